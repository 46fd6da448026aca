"""What every baseline on the shelf must do."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.classical import Examples, baselines
from hyoid.core.case import Case, Image
from hyoid.core.citations import bibliography
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels

SHAPES = {2: (40, 44), 3: (24, 26, 28)}
LABELS = Labels(names=("inner", "outer"), values=((3,), (1,)), ignore=255)

LEAST = {"otsu": 0.0, "k_means": 0.6, "mean_shift": 0.6, "geodesic_contour": 0.6}
"""Dice of the easy case, of methods that part it in other than three, or that smooth small things away."""


@pytest.fixture(params=list(baselines))
def name(request) -> str:
    return request.param


def case(shape: tuple[int, ...], seed: int = 0, channels: int = 1, bright: bool = True) -> Case:
    """A bright core in a less bright ball, in noise; the labels have values 3 and 1."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    far = np.sqrt(sum((a - s) ** 2 for a, s in zip(axes, rng.uniform(-0.1, 0.1, len(shape)), strict=True)))
    labels = np.select([far < 0.3, far < 0.65], [3, 1], 0).astype(np.uint8) * bright
    signal = np.select([labels == 3, labels == 1], [4.0, 2.0], 0.0)
    array = (signal + 0.25 * rng.standard_normal((channels, *shape))).astype(np.float32)
    grid = Grid.plain(shape, (1.0, 1.5, 2.0)[: len(shape)])
    return Case(f"case_{seed}", Image(array, grid), Image(labels[None], grid, "labels"))


def fitted(name: str, dims: int = 2, channels: int = 1):
    baseline = baselines.build(name)
    baseline.fit(Examples([case(SHAPES[dims], seed, channels) for seed in range(3)], LABELS))
    return baseline


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("dims", [2, 3])
def test_it_finds_what_is_easy_to_find(name, dims):
    new = case(SHAPES[dims], 9)
    assert new.truth is not None
    found = fitted(name, dims).segment(new.image)
    assert found.grid == new.image.grid
    assert found.kind == "labels"
    assert found.array.dtype == np.uint8
    for value in (1, 3):
        assert dice(found.array == value, new.truth.array == value) >= LEAST.get(name, 0.8), value
    assert dice(found.array > 0, new.truth.array > 0) > 0.5


def test_several_channels_and_repetition(name):
    new = case(SHAPES[2], 9, 2)
    first, second = (fitted(name, 2, 2).segment(new.image).array for _ in range(2))
    assert np.array_equal(first, second)
    assert new.truth is not None
    assert dice(first > 0, new.truth.array > 0) > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2)])
def test_tiny_images_get_an_answer(name, shape):
    answer = fitted(name).segment(case(shape, 4).image)
    assert answer.array.shape == (1, *shape)
    assert set(np.unique(answer.array)) <= {0, 1, 3}


@pytest.mark.parametrize("level", [0.0, 4.0])
def test_constant_images_get_an_answer(name, level):
    answer = fitted(name).segment(Image(np.full((1, 8, 9), level, np.float32), Grid.plain((8, 9))))
    assert answer.array.shape == (1, 8, 9)


def test_images_without_foreground_teach_background(name):
    baseline = baselines.build(name)
    baseline.fit(Examples([case(SHAPES[2], 1, bright=False)], LABELS))
    assert not baseline.segment(case(SHAPES[2], 2).image).array.any()


def test_ignored_voxels_teach_nothing(name):
    cases = [case(SHAPES[2], seed) for seed in range(2)]
    broken = []
    for one in cases:
        assert one.truth is not None
        image, labels = one.image.array.copy(), one.truth.array.copy()
        labels[..., -3:] = 255
        other = image.copy()
        broken.append((image, labels, other, one))
    first, second = baselines.build(name), baselines.build(name)
    first.fit(Examples([_with(o, i, labels) for i, labels, _, o in broken], LABELS))
    kept = first.prior.counts  # type: ignore[attr-defined]
    second.fit(Examples([_with(o, i, np.where(labels == 255, 7, labels)) for i, labels, _, o in broken], LABELS))
    assert np.array_equal(kept, second.prior.counts)  # type: ignore[attr-defined]
    assert kept.sum() == sum((labels != 255).sum() for _, labels, _, _ in broken)


def _with(one: Case, image: np.ndarray, labels: np.ndarray) -> Case:
    return Case(one.id, one.image.with_array(image), Image(labels, one.image.grid, "labels"))


def test_wrong_input_gives_one_sentence(name):
    with pytest.raises(ConfigError, match="fit"):
        baselines.build(name).segment(case((5, 5)).image)
    baseline = fitted(name)
    with pytest.raises(DataError, match="2D"):
        baseline.segment(case((5, 5, 5)).image)
    image = case((5, 5)).image
    with pytest.raises(DataError, match="finite"):
        baseline.segment(image.with_array(np.full_like(image.array, np.nan)))
    with pytest.raises(DataError, match="no annotated"):
        baselines.build(name).fit(Examples([], LABELS))


def test_its_papers_are_known(name):
    assert baselines[name].papers
    assert set(baselines[name].papers) <= set(bibliography())
    assert baselines[name].summary
