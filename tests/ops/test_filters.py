"""Gaussian filter and the importance of a tile's voxels."""

import numpy as np
import pytest
from scipy import ndimage

from hyoid.ops.filters import gaussian, tile_importance


@pytest.mark.parametrize("shape", [(40, 33), (12, 24, 17), (1, 20, 20)])
@pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0])
def test_gaussian_agrees_with_scipy(shape, sigma):
    array = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    expected = [ndimage.gaussian_filter(one, sigma, mode="nearest", truncate=4) for one in array]
    np.testing.assert_allclose(gaussian(array, sigma), expected, atol=2e-4)


def test_each_axis_has_its_own_width():
    array = np.random.default_rng(0).normal(size=(1, 9, 20, 20)).astype(np.float32)
    expected = ndimage.gaussian_filter(array[0], (0, 1, 2), mode="nearest")
    np.testing.assert_allclose(gaussian(array, (0, 1, 2))[0], expected, atol=2e-4)


@pytest.mark.parametrize("shape", [(64,), (17, 1), (96, 96, 96), (1, 512, 512), (8, 224, 224)])
def test_importance_is_largest_in_the_middle_and_never_zero(shape):
    importance = tile_importance(shape)
    assert importance.shape == shape and importance.dtype == np.float32
    assert importance.max() == 1 and importance.min() > 0
    assert importance[tuple(n // 2 for n in shape)] == pytest.approx(1, abs=0.01)
    for axis in range(len(shape)):
        np.testing.assert_array_equal(importance, np.flip(importance, axis))


def test_importance_is_a_gaussian_of_an_eighth_without_a_floor():
    line = tile_importance((81,))
    np.testing.assert_allclose(line, np.exp(-0.5 * ((np.arange(81) - 40) / (81 / 8)) ** 2), rtol=1e-5)
    solid = tile_importance((81, 81, 81))
    assert solid[0, 0, 0] == pytest.approx(float(line[0]) ** 3, rel=1e-4)
    assert np.unique(solid[:41, 40, 40]).size == 41
