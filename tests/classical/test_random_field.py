"""The lattice and the mean field against sums over all pairs."""

import numpy as np
import pytest

from hyoid.classical.lattice import Lattice
from hyoid.classical.random_field import FieldSettings, mean_field, refine
from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid


def noisy(shape: tuple[int, ...], channels: int = 1, spacing_mm=None) -> tuple[Image, np.ndarray, np.ndarray]:
    """An image of a ball, uncertain probabilities of it, and the truth."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.arange(n) - n / 2 for n in shape], indexing="ij")
    truth = sum(a**2 for a in axes) < (min(shape) / 3) ** 2
    array = (truth + 0.15 * rng.standard_normal((channels, *shape))).astype(np.float32)
    logit = (2.0 * truth - 1) + 1.2 * rng.standard_normal(shape)
    p = 1 / (1 + np.exp(-logit))
    return Image(array, Grid.plain(shape, spacing_mm)), np.stack([1 - p, p]).astype(np.float32), truth


@pytest.mark.parametrize("dims", [2, 3, 5])
def test_the_lattice_filters_like_a_gaussian(dims):
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 4, (600, dims))
    values = rng.uniform(0, 1, (600, 2))
    lattice = Lattice(features)
    kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(2))
    ours = lattice.filter(values) / lattice.filter(np.ones((600, 1)))
    exact = kernel @ values / kernel.sum(1, keepdims=True)
    assert np.abs(ours - exact).mean() < 0.02
    assert np.corrcoef((ours - 0.5).ravel(), (exact - 0.5).ravel())[0, 1] > 0.95


def test_the_lattice_is_linear():
    rng = np.random.default_rng(0)
    lattice = Lattice(rng.uniform(0, 3, (50, 3)))
    matrix = lattice.filter(np.eye(50))
    values = rng.standard_normal((50, 3)).astype(np.float32)
    assert lattice.filter(values) == pytest.approx(matrix @ values, abs=1e-4)


def test_features_too_far_apart_in_too_many_dimensions_are_refused():
    with pytest.raises(DataError, match="channels"):
        Lattice(np.array([[0.0] * 9, [1e4] * 9]))


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "channels"), [((24, 26), None, 1), ((24, 26), None, 3), ((8, 12, 12), (3.0, 1.0, 1.0), 1)]
)
def test_the_fast_mean_field_is_near_the_exact_one(shape, spacing_mm, channels):
    image, probabilities, truth = noisy(shape, channels, spacing_mm)
    fast, exact = mean_field(image, probabilities), mean_field(image, probabilities, exact=True)
    assert np.abs(fast - exact).mean() < 0.02
    assert (fast.argmax(0) == exact.argmax(0)).mean() > 0.98
    right = [(one.argmax(0) == truth).mean() for one in (probabilities, fast)]
    assert right[1] > right[0] + 0.05


def test_near_voxels_alone_are_filtered_exactly():
    image, probabilities, _ = noisy((10, 12))
    settings = FieldSettings(appearance=0, smoothness=2.0)
    fast, exact = mean_field(image, probabilities, settings), mean_field(image, probabilities, settings, exact=True)
    assert fast == pytest.approx(exact, abs=2e-3)


def test_one_step_of_two_voxels_by_hand():
    image = Image(np.zeros((1, 1, 2), np.float32), Grid.plain((1, 2)))
    probabilities = np.array([[[0.9, 0.4]], [[0.1, 0.6]]])
    settings = FieldSettings(appearance=0, smoothness=1.5, smoothness_reach=1, steps=1)
    k = np.exp(-0.5) / (1 + np.exp(-0.5))  # both sums are 1 + exp(-1/2)
    heard = 0.4 * np.exp(1.5 * k * 0.9), 0.6 * np.exp(1.5 * k * 0.1)
    found = mean_field(image, probabilities, settings, exact=True)
    assert found[0, 0, 1] == pytest.approx(heard[0] / sum(heard), abs=1e-6)


def test_sure_voxels_and_places_without_prediction_stay():
    image, probabilities, _ = noisy((20, 30))
    probabilities[:, :, 15:] = np.array([0.999, 0.001])[:, None, None]
    probabilities[:, :, 29] = 0
    refined = refine(image, probabilities)
    assert np.array_equal(refined[:, :, 15:], probabilities[:, :, 15:])
    assert not np.array_equal(refined[:, :, :15], probabilities[:, :, :15])


def test_parts_give_what_the_whole_gives(monkeypatch):
    image, probabilities, _ = noisy((16, 90))
    settings = FieldSettings(appearance_reach=2, steps=2)
    whole = refine(image, probabilities, settings=settings)
    monkeypatch.setattr("hyoid.classical.random_field.LARGEST_PART", 16 * 50)
    parts = refine(image, probabilities, settings=settings)
    assert (parts.argmax(0) == whole.argmax(0)).mean() > 0.98


def test_regions_are_refined_one_by_one():
    image, probabilities, truth = noisy((24, 24))
    regions = np.stack([probabilities[1], np.full(truth.shape, 0.001, np.float32)])
    refined = refine(image, regions, exclusive=False)
    assert ((refined[0] > 0.5) == truth).mean() > ((regions[0] > 0.5) == truth).mean()
    assert (refined[1] < 0.01).all()
    assert refined.dtype == regions.dtype


def test_probabilities_on_another_grid_are_refused():
    image, probabilities, _ = noisy((10, 12))
    with pytest.raises(DataError, match="do not fit"):
        mean_field(image, probabilities[:, :5])
