"""Warps against SciPy and torch, and the box of the source that they need."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from hyoid.ops.loops import compiled, compiled_fast
from hyoid.ops.warp import (
    Warp,
    clipped,
    source_box,
    spline_control,
    spline_matrix,
    warp_array,
    warp_labels,
    warp_tensor,
)
from phantoms import coordinates

SHAPES = [(21, 18), (13, 15, 14), (1, 19, 17)]


def drawn(shape: tuple[int, ...], seed: int = 0, elastic: bool = True, nodes: int = 4) -> Warp:
    """A random warp of a patch that lies about the middle of a source of three times its size."""
    rng = np.random.default_rng(seed)
    moving = [n > 1 for n in shape]
    both = np.outer(moving, moving)
    matrix = np.eye(len(shape)) + 0.2 * both * rng.standard_normal(both.shape)
    values = 1.5 * rng.standard_normal((len(shape), *[nodes if m else 1 for m in moving]))
    values[np.logical_not(moving)] = 0
    middle = (np.array(shape) - 1) / 2
    centre = np.array([1.5 * n - 0.37 if m else 1.0 for n, m in zip(shape, moving, strict=True)])
    return Warp(shape, matrix, centre - matrix @ middle, spline_control(values) if elastic else None)


def source(shape: tuple[int, ...], channels: int = 2, size: float = 3) -> np.ndarray:
    """Noise that a warp of `drawn` fits into; with a smaller size it reaches outside."""
    big = [max(int(size * n), 3) for n in shape]
    return np.random.default_rng(9).standard_normal((channels, *big)).astype(np.float32)


def part(array: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    return array[(slice(None), *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))]


def crop(start: tuple[int, ...], shape: tuple[int, ...]) -> Warp:
    """Only a box of the source."""
    return Warp(shape, np.eye(len(shape)), np.asarray(start, float))


def expected(image: np.ndarray, warp: Warp, **options: object) -> np.ndarray:
    return np.stack([map_coordinates(channel, coordinates(warp), **options) for channel in image])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [3, 1.6], ids=["inside", "at the edge"])
@pytest.mark.parametrize("elastic", [True, False])
def test_interpolation_equals_scipy(shape, size, elastic):
    image, warp = source(shape, size=size), drawn(shape, elastic=elastic)
    result = warp_array(image, (0,) * len(shape), warp, fill=0.5)
    np.testing.assert_allclose(result, expected(image, warp, order=1, mode="grid-constant", cval=0.5), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_fill_the_border_continues_as_in_scipy(shape):
    image, warp = source(shape, size=1.6), drawn(shape)
    result = warp_array(image, (0,) * len(shape), warp, fill=None)
    np.testing.assert_allclose(result, expected(image, warp, order=1, mode="nearest"), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [3, 1.6], ids=["inside", "at the edge"])
def test_a_label_wins_by_its_share_of_the_linear_interpolation(shape, size):
    labels = (np.abs(source(shape, 1, size)) * 3).astype(np.uint8)
    warp = drawn(shape)
    values = np.unique([*np.unique(labels), 2])
    shares = [expected((labels == v).astype(float), warp, order=1, mode="grid-constant", cval=v == 2) for v in values]
    result = warp_labels(labels, (0,) * len(shape), warp, fill=2)
    assert result.dtype == np.uint8
    # In float32 a near draw may fall to either side.
    assert (result != values[np.argmax(shares, 0)]).mean() < 2e-3


def test_a_label_outside_that_the_dtype_cannot_hold_widens_it():
    result = warp_labels(np.ones((1, 4, 4), np.uint8), (0, 0), crop((2, 0), (4, 4)), fill=-1)
    assert result.dtype == np.int32
    assert result[0, :, 0].tolist() == [1, 1, -1, -1]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_of_tensors_gives_the_numbers_of_arrays(shape):
    image, warps = source(shape, size=1.6), [drawn(shape, 1), drawn(shape, 2, elastic=False)]
    start = (0,) * len(shape)
    labels = (np.abs(image) * 3).astype(np.int64)
    boxes = torch.from_numpy(np.stack([image, image]))
    for fill in (0.5, None):
        result = warp_tensor(boxes, [start, start], warps, fill).numpy()
        plain = np.stack([warp_array(image, start, warp, fill) for warp in warps])
        assert np.quantile(np.abs(result - plain), 0.999) < 1e-3
    result = warp_tensor(torch.from_numpy(np.stack([labels, labels])), [start, start], warps, 7).numpy()
    assert (result != np.stack([warp_labels(labels, start, warp, 7) for warp in warps])).mean() < 2e-3


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_flips_and_whole_shifts_are_exact_copies(signs):
    image = source((9, 7, 8), size=2)
    matrix = np.diag(np.array(signs, float))
    warp = Warp((9, 7, 8), matrix, np.array([2 if s > 0 else 2 + n - 1 for s, n in zip(signs, (9, 7, 8), strict=True)]))
    start, shape = source_box(warp)
    assert (start, shape) == ((2, 2, 2), (9, 7, 8))
    axes = tuple(axis + 1 for axis, sign in enumerate(signs) if sign < 0)
    truth = np.flip(part(image, start, shape), axes)
    np.testing.assert_array_equal(warp_array(part(image, start, shape), start, warp), truth)


def test_flipping_a_single_slice_leaves_no_odd_strides():
    flip = Warp((1, 4, 4), np.diag([-1.0, 1, 1]), np.array([2.0, 0, 0]))
    assert torch.from_numpy(warp_array(source((1, 4, 4)), (0, 0, 0), flip)).shape == (2, 1, 4, 4)


def test_axis_permutations_are_exact_copies():
    image = source((9, 7, 8))
    warp = Warp((8, 9, 7), np.eye(3)[[1, 2, 0]] * [1, -1, 1], np.array([8, 0, 0]))
    assert warp.is_copy
    points = np.rint(coordinates(warp)).astype(int)
    np.testing.assert_array_equal(warp_array(image, (0, 0, 0), warp), image[:, points[0], points[1], points[2]])


@pytest.mark.parametrize(("fill", "mode"), [(0.0, "constant"), (None, "edge")])
def test_a_copy_that_reaches_outside_is_padded(fill, mode):
    image = source((5, 4), size=1)
    truth = np.pad(image, [(0, 0), (3, 2), (4, 4)], mode)
    np.testing.assert_array_equal(warp_array(image, (0, 0), crop((-3, -4), (10, 12)), fill=fill), truth)
    beside = warp_array(image, (0, 0), crop((8, 0), (2, 4)), fill=fill)
    np.testing.assert_array_equal(beside[:, 0], image[:, -1] if fill is None else np.zeros((2, 4)))


@pytest.mark.parametrize("matrix", [np.eye(2), 1.1 * np.eye(2)], ids=["copied", "resampled"])
@pytest.mark.parametrize("first", [(90.0, 0), (-30.0, 5)])
def test_a_patch_beside_the_image_is_fill_or_border(matrix, first):
    image = source((20, 20), size=1)
    warp = Warp((4, 4), matrix, np.array(first))
    start, shape = clipped(*source_box(warp), (20, 20))
    assert shape[0] == 1
    assert (warp_array(part(image, start, shape), start, warp, fill=4.0) == 4).all()
    row = image[:, 0 if first[0] < 0 else -1]
    truth = expected(image, warp, order=1, mode="nearest")
    np.testing.assert_allclose(warp_array(part(image, start, shape), start, warp, fill=None), truth, atol=1e-4)
    assert np.abs(truth).max() <= np.abs(row).max()


def test_a_volume_of_one_slice_can_be_tilted():
    image = source((1, 12, 12), size=1)[:, :1]
    tilt = np.deg2rad(10)
    matrix = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    warp = Warp((3, 12, 12), matrix, np.array([0.0, -1, 0]))
    truth = expected(image, warp, order=1, mode="grid-constant")
    np.testing.assert_allclose(warp_array(image, (0, 0, 0), warp), truth, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_source_box_holds_all_that_is_needed(shape):
    image = source(shape)
    for seed in range(6):
        warp = drawn(shape, seed, elastic=seed % 2 == 0)
        start, size = clipped(*source_box(warp), image.shape[1:])
        whole = warp_array(image, (0,) * len(shape), warp)
        np.testing.assert_allclose(warp_array(part(image, start, size), start, warp), whole, atol=2e-4)


@pytest.mark.parametrize("shape", [(64, 48), (24, 30, 28)])
def test_the_source_box_is_no_larger_than_it_has_to_be(shape):
    for seed in range(5):
        warp = drawn(shape, seed, nodes=3)
        _, size = source_box(warp)
        points = coordinates(warp).reshape(len(shape), -1)
        tightest = np.floor(points.max(1)) + 1 - np.floor(points.min(1)) + 1
        assert (np.array(size) >= tightest - 1).all()
        assert (np.array(size) <= tightest + 3).all()


def test_the_displacement_is_the_spline_through_its_nodes():
    nodes = np.random.default_rng(0).standard_normal((2, 3, 5))
    warp = Warp((21, 33), np.eye(2), np.zeros(2), spline_control(nodes))
    grid = np.stack(np.meshgrid(np.linspace(0, 2, 21), np.linspace(0, 4, 33), indexing="ij"))
    identity = np.indices((21, 33))
    for axis in range(2):
        truth = map_coordinates(nodes[axis], grid, order=3, mode="mirror")
        np.testing.assert_allclose(coordinates(warp)[axis] - identity[axis], truth, atol=1e-12)


def test_splines_sum_to_one():
    np.testing.assert_allclose(spline_matrix(17, 8).sum(1), 1)


def test_loops_compile_where_machine_code_cannot_be_kept():
    names: dict[str, object] = {}
    exec("def twice(x):\n    return 2 * x", names)  # a function without a file has no cache folder either
    assert compiled(names["twice"])(3) == compiled_fast(names["twice"])(3) == 6
