"""How much alike neighbouring voxels are: the weights that graph cuts and random walks share."""

from __future__ import annotations

import numpy as np

from ..core.case import Image
from .prior import checked


def likeness(image: Image) -> list[np.ndarray]:
    """For each axis the weight between every voxel and the next one, float32 (*S), 0 behind the last voxel.

    w = exp(-d^2 / (2 mean(d^2))) / |step|, where d is the difference of intensities summed in squares over channels,
    the mean is over all neighbours of the image, and |step| is the spacing along the axis relative to the finest.

    Reference:
        boykov2001interactive.
    """
    array = checked(image)
    finest = min(image.grid.spacing_mm)
    squares = [(np.diff(array, axis=axis + 1) ** 2).sum(0) for axis in range(image.grid.dims)]
    pairs = sum(square.size for square in squares)
    mean = sum(float(square.sum(dtype=np.float64)) for square in squares) / max(pairs, 1)
    weights = []
    for axis, square in enumerate(squares):
        alike = np.exp(square / (-2 * mean)) if mean else np.ones_like(square)
        behind = [(0, int(axis == other)) for other in range(image.grid.dims)]
        weights.append(np.pad(alike * (finest / image.grid.spacing_mm[axis]), behind).astype(np.float32))
    return weights


def three_axes(array: np.ndarray) -> np.ndarray:
    """An array of two axes with a first one of length 1; one of three as it is."""
    return array if array.ndim == 3 else array[None]


def pair(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All voxels of three axes but the last along one axis, and all but the first."""
    ends = (slice(None, -1), slice(1, None))
    behind, before = (tuple(end if other == axis else slice(None) for other in range(3)) for end in ends)
    return behind, before


def three_weights(weights: list[np.ndarray]) -> np.ndarray:
    """Weights along three axes, float32 (3, *S) of three axes; none along an axis that was added."""
    if len(weights) == 3:
        return np.stack(weights)
    return np.stack([np.zeros_like(weights[0]), *weights])[:, None]
