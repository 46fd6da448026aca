"""Banded operators, and answers decoded piece by piece."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from skimage.transform import resize as skimage_resize

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.ops import banded
from hyoid.ops.resample import decode_onto, onto, resize


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", [(31, 12, 25), (9, 40, 17), (20, 24, 18), (1, 2, 3)])
def test_resize_agrees_with_scikit_image(order, shape):
    array = np.random.default_rng(0).normal(size=(2, 20, 24, 18)).astype(np.float32)
    expected = [
        skimage_resize(one.astype(float), shape, order=order, mode="edge", anti_aliasing=False, clip=False)
        for one in array
    ]
    np.testing.assert_allclose(resize(array, shape, order), expected, atol=1e-3)


def test_resize_of_flat_images_agrees_with_scikit_image():
    array = np.random.default_rng(0).normal(size=(3, 70, 33)).astype(np.float32)
    options = {"order": 3, "mode": "edge", "anti_aliasing": False, "clip": False}
    expected = [skimage_resize(one.astype(float), (20, 90), **options) for one in array]
    resized = resize(array, (20, 90))
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, atol=1e-3)


def test_a_separate_axis_takes_the_nearest_voxel():
    array = np.random.default_rng(0).normal(size=(1, 4, 9, 9)).astype(np.float32)
    resized = resize(array, (8, 12, 12), 3, separate_axis=0)
    np.testing.assert_array_equal(resized[:, ::2], resized[:, 1::2])
    np.testing.assert_array_equal(resized[:, ::2], resize(array, (4, 12, 12), 3))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_constants_stay_constant(order):
    np.testing.assert_allclose(resize(np.full((1, 5, 7), 1234.5), (13, 4), order), 1234.5, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_operators_apply_along_any_axis(axis):
    array = np.random.default_rng(0).normal(size=(70, 17, 66)).astype(np.float32)
    band = banded.interpolation(np.array([-3.0, 0.2, 5.5, 16.9, 40.0]), array.shape[axis], 3)
    matrix = np.zeros((5, array.shape[axis]))
    for row, (start, weights) in enumerate(zip(band.start, band.weights, strict=True)):
        matrix[row, start : start + len(weights)] += weights
    expected = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    np.testing.assert_allclose(banded.apply(array, band, axis), expected, atol=1e-4)


def test_operators_read_only_what_they_need():
    array = np.full((100, 3), np.nan, np.float32)
    array[40:60] = 2
    assert (banded.apply(array, banded.interpolation(np.array([50.0, 50.5]), 100, 1), 0) == 2).all()


def probabilities(grid, channels=7, dtype=np.float32, seed=0):
    fields = np.random.default_rng(seed).normal(size=(channels, *grid.shape))
    fields = np.exp(3 * ndimage.gaussian_filter(fields, [0] + [1.0] * grid.dims))
    return (fields / fields.sum(0)).astype(dtype)


def turned(grid):
    affine = grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] @ Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix()
    return Grid.from_affine(affine, (15, 14, 13))


TARGETS = {
    "same": lambda grid: grid,
    "finer": lambda grid: grid.with_spacing((0.6, 0.8, 1.3)),
    "coarser": lambda grid: grid.with_spacing((2.3, 2.0, 1.7)),
    "turned by whole voxels": lambda grid: grid.flipped(1).transposed((2, 0, 1)).cropped((-2, 3, 1), (25, 10, 15)),
    "larger": lambda grid: grid.padded((2, 3, 4), (5, 0, 1)).transposed((1, 2, 0)).with_spacing((0.7, 0.7, 0.7)),
    "thick": lambda grid: grid.with_spacing((6, 0.9, 0.9)),
    "oblique": turned,
    "elsewhere": lambda grid: grid.cropped((90, 0, 0), (4, 5, 6)).with_spacing((0.6, 0.8, 1.3)),
}


@pytest.mark.parametrize("slab_bytes", [1, 20_000, 1 << 22])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_decoding_in_pieces_equals_decoding_at_once(target, slab_bytes, dtype):
    grid = Grid.plain((14, 17, 16), (1.0, 1.0, 1.1))
    maps = probabilities(grid, dtype=dtype)
    goal = TARGETS[target](grid)
    found = decode_onto(maps, grid, goal, lambda slab: slab.argmax(0), slab_bytes)
    whole = onto(Image(maps.astype(np.float32), grid, "probabilities"), goal).array
    first, second = np.sort(whole, 0)[-1:-3:-1]
    clear = (first - second > 1e-5) | (first == 0)
    assert found.shape == goal.shape
    np.testing.assert_array_equal(found[clear], whole.argmax(0)[clear])


def test_flat_answers_are_decoded_by_rows():
    grid = Grid.plain((20, 31))
    maps = probabilities(grid)
    goal = grid.resized((44, 50))
    found = decode_onto(maps, grid, goal, lambda slab: slab.argmax(0).astype(np.uint8), 5000)
    whole = onto(Image(maps, grid, "probabilities"), goal).array
    assert found.dtype == np.uint8
    assert (found == whole.argmax(0)).mean() > 0.999


def test_pieces_have_the_axes_of_the_target():
    grid = Grid.plain((6, 7, 8), (1, 1, 1))
    seen = []
    decode_onto(probabilities(grid), grid, grid.resized((9, 9, 9)), lambda slab: seen.append(slab.shape) or slab[0] > 0)
    assert all(len(shape) == 4 and shape[0] == 7 for shape in seen)
    assert sum(int(np.prod(shape[1:])) for shape in seen) == 9**3


def test_probabilities_need_their_grid():
    grid = Grid.plain((6, 7))
    with pytest.raises(DataError, match="shape"):
        decode_onto(probabilities(grid), Grid.plain((6, 8)), grid, lambda slab: slab.argmax(0))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", [(11, 40, 9), (30, 7, 21)])
def test_whole_numbers_are_resized_as_the_same_numbers_in_floating_point(order, shape):
    array = np.random.default_rng(0).integers(-1000, 3000, (1, 23, 19, 17), np.int16)
    found = resize(array, shape, order)
    np.testing.assert_allclose(found, resize(array.astype(np.float32), shape, order), rtol=1e-5, atol=1e-2)


def test_two_weights_a_row_are_the_matrix_they_stand_for():
    array = np.random.default_rng(0).standard_normal((5, 23, 7)).astype(np.float32)
    for axis, size in enumerate(array.shape):
        band = banded.interpolation(np.linspace(-0.3, size - 0.7, 12), size, 1)
        matrix = np.zeros((12, size))
        for row, (start, weights) in enumerate(zip(band.start, band.weights, strict=True)):
            matrix[row, start : start + 2] = weights
        expected = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
        np.testing.assert_allclose(banded.apply(array, band, axis), expected, atol=1e-5)
