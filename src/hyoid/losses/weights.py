"""Weights of voxels in a loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ops.morphology import distance

_REACH = 6.0
"""Beyond so many sigmas the weight is below 2e-8 of w0 and is left at its floor."""


def touching_weights(
    instances: np.ndarray, w0: float = 10.0, sigma: float = 5.0, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """Large weights in the gaps between objects that nearly touch, 1 elsewhere.

    On the background w = 1 + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), with d1 and d2 the distances to the nearest and second
    nearest object. Each object is measured in its own neighbourhood only, so that the time grows with the objects' area
    and not with their number times the image.

    Args:
        instances: Integers (*S), 0 for background, another value for each object.
        w0: Largest extra weight.
        sigma: Width of a gap that still matters, in voxels, or in the unit of `spacing`.
        spacing: Distance between voxels along each axis; 1 when None.

    Returns:
        Weights (*S), float32. All are 1 when there are fewer than two objects.

    Reference:
        ronneberger2015unet (eq. 2).
    """
    from scipy import ndimage

    steps = np.ones(instances.ndim) if spacing is None else np.asarray(spacing, float)
    reach = np.ceil(_REACH * sigma / steps).astype(int)
    ids, compact = np.unique(instances, return_inverse=True)
    compact = compact.reshape(instances.shape) + (0 if ids[0] == 0 else 1)
    first = np.full(instances.shape, np.inf, np.float32)
    second = first.copy()
    for index, box in enumerate(ndimage.find_objects(compact), start=1):
        around = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach, strict=True))
        away = distance(compact[around] != index, spacing)
        nearer, farther = np.minimum(first[around], away), np.maximum(first[around], away)
        first[around], second[around] = nearer, np.minimum(second[around], farther)
    extra = w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return np.where(compact == 0, 1 + extra, 1).astype(np.float32)
