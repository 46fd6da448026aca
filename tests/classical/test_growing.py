"""Watershed, random walker and contours against independent implementations."""

import numpy as np
import pytest
from scipy.sparse import csc_array
from scipy.sparse.linalg import spsolve
from skimage.segmentation import morphsnakes
from skimage.segmentation import watershed as their_watershed

from hyoid.classical.active_contour import _trim as trim
from hyoid.classical.active_contour import chan_vese, flat_pieces, geodesic
from hyoid.classical.neighbours import likeness
from hyoid.classical.prior import EXCLUDED
from hyoid.classical.random_walker import walk
from hyoid.classical.regions import flood, markers_from
from hyoid.core.case import Image
from hyoid.core.grid import Grid


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)


def disc(shape: tuple[int, ...], radius: float, shift: float = 0.0) -> np.ndarray:
    axes = [np.arange(n) - n / 2 for n in shape]
    axes[0] = axes[0] + shift
    return sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) < radius**2


@pytest.mark.parametrize("shape", [(30, 33), (12, 13, 14)])
def test_basins_are_those_of_scikit_image(shape):
    relief = np.rint(smooth(shape) * 2000)
    relief -= relief.min()
    relief *= 255 / relief.max()
    relief = np.floor(relief)
    markers = np.zeros(shape, np.int32)
    rng = np.random.default_rng(1)
    for number in range(1, 5):
        markers[tuple(rng.integers(0, n) for n in shape)] = number
    ours = flood(relief, markers)
    assert (ours == their_watershed(relief, markers, connectivity=1)).mean() > 0.99
    assert (ours > 0).all()


def test_the_surer_half_are_markers():
    energies = np.array([[[0, 0, 0, 9.0]], [[8, 4, 1, 0]]])
    assert markers_from(energies).tolist() == [[1, 1, 0, 2]]


@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 5)])
def test_the_walk_solves_its_equations(shape):
    rng = np.random.default_rng(0)
    picture = Image(
        rng.standard_normal((2, *shape)).astype(np.float32), Grid.plain(shape, (1.0, 2.0, 1.5)[-len(shape) :])
    )
    energies = rng.uniform(0, 3, (3, *shape)).astype(np.float32)
    size, weights = int(np.prod(shape)), likeness(picture)
    tied = np.zeros((size, size))
    number = np.arange(size).reshape(shape)
    for axis, weight in enumerate(weights):
        first = np.moveaxis(number, axis, 0)
        for one, other in zip(first[:-1].ravel(), first[1:].ravel(), strict=True):
            tied[one, other] = tied[other, one] = weight.ravel()[one] + 1e-3
    laplacian = np.diag(tied.sum(1)) - tied
    prior = np.exp(-energies) / np.exp(-energies).sum(0)
    expected = [spsolve(csc_array(laplacian + 0.1 * np.eye(size)), 0.1 * one.ravel()) for one in prior.astype(float)]
    assert walk(picture, energies, 0.1, 1e-6) == pytest.approx(
        np.reshape(expected, energies.shape).astype(float), abs=1e-4
    )


def test_a_walk_starts_at_its_seeds():
    picture = Image(np.zeros((1, 1, 9), np.float32), Grid.plain((1, 9)))
    energies = np.zeros((2, 1, 9), np.float32)
    energies[1, 0, 0] = energies[0, 0, 8] = EXCLUDED
    probability = walk(picture, energies, 1e-6, 1e-7)[1, 0]
    assert probability == pytest.approx(np.arange(9) / 8, abs=2e-3)  # along a line the chance grows evenly


@pytest.mark.parametrize("shape", [(30, 31), (17, 18, 19)])
def test_a_walk_does_not_wash_away_a_small_structure_that_the_prior_sees(shape):
    truth = disc(shape, 4)
    energies = np.stack([truth * 2.0, ~truth * 2.0])
    noise = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    found = walk(Image(noise, Grid.plain(shape)), energies).argmax(0)
    assert 2 * (found * truth).sum() / (found.sum() + truth.sum()) > 0.95


@pytest.mark.parametrize("shape", [(14, 15), (9, 10, 11)])
@pytest.mark.parametrize("value", [0, 1])
def test_smoothing_is_that_of_morphological_snakes(shape, value):
    mask = (smooth(shape, 4) > 0).astype(np.uint8)
    ours = np.empty_like(mask).reshape((1,) * (3 - mask.ndim) + shape)
    trim(mask.reshape(ours.shape), ours, flat_pieces(mask.ndim), np.uint8(value))
    theirs = morphsnakes.sup_inf(mask) if value else morphsnakes.inf_sup(mask)
    inside = (slice(1, -1),) * mask.ndim
    assert np.array_equal(ours.reshape(shape)[inside], theirs[inside])


@pytest.mark.parametrize("shape", [(40, 44), (20, 22, 24)])
def test_a_contour_finds_the_disc_though_it_starts_beside_it(shape):
    truth = disc(shape, 8)
    rng = np.random.default_rng(0)
    array = (truth + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    picture = Image(array[None], Grid.plain(shape))
    start = disc(shape, 6, 3)
    energies = np.stack([start * 5.0, ~start * 5.0])
    found = chan_vese(picture, energies)
    assert 2 * (found * truth).sum() / (found.sum() + truth.sum()) > 0.95
    start = disc(shape, 7)
    found = geodesic(picture, np.stack([start * 5.0, ~start * 5.0]))
    assert 2 * (found * truth).sum() / (found.sum() + truth.sum()) > 0.93
