"""Gaussian filter, and the weight of a tile's voxels when overlapping tiles are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def gaussian(array: np.ndarray, sigma: float | Sequence[float], truncate: float = 4.0) -> np.ndarray:
    """The array blurred along its spatial axes, edges repeated; float32.

    Args:
        array: (C, *S).
        sigma: Standard deviation in voxels, one for all axes or one each; 0 leaves an axis alone.
        truncate: Where the kernel ends, in standard deviations.

    Time is O(truncate * sigma) per voxel and axis; memory is two copies.
    """
    from . import banded

    dims = array.ndim - 1
    sigmas = [float(sigma)] * dims if isinstance(sigma, int | float) else [float(s) for s in sigma]
    for axis, width in enumerate(sigmas, start=1):
        if width > 0:
            array = banded.apply(array, banded.convolution(gaussian_kernel(width, truncate), array.shape[axis]), axis)
    return np.asarray(array, np.float32)


def gaussian_kernel(sigma: float, truncate: float = 4.0) -> np.ndarray:
    """Weights that sum to one, of odd length, centred."""
    reach = max(1, int(truncate * sigma + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def tile_importance(shape: Sequence[int], sigma: float = 0.125) -> np.ndarray:
    """How much each voxel of a tile counts in the average of overlapping tiles; (*shape) float32, largest 1.

    A separable Gaussian about the middle with a standard deviation of `sigma` tile lengths. It is never zero, and it
    is not floored: a floor on the product of the axes puts more than half of the tile on one level, so that a tile's
    damaged rim competes with the sound inside of its neighbour.
    """
    importance = np.ones((), np.float32)
    for length in shape:
        distance = (np.arange(length) - (length - 1) / 2) / (sigma * length)
        importance = importance[..., None] * np.exp(-0.5 * distance**2).astype(np.float32)
    return importance / importance.max()
