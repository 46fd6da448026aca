"""Watershed: markers grow over the image in the order of its edges, and borders lie where they meet."""

from __future__ import annotations

import numpy as np

from ..core.case import Image
from ..ops.loops import compiled
from .neighbours import three_axes
from .prior import checked

LEVELS = 256


def edges_of(image: Image) -> np.ndarray:
    """Length of the gradient in mm, over all channels, after a Gaussian of one voxel; (*S) float32."""
    from scipy.ndimage import gaussian_filter

    total = np.zeros(image.grid.shape, np.float32)
    for channel in checked(image):
        smooth = gaussian_filter(channel, 1.0)
        for axis, spacing in enumerate(image.grid.spacing_mm):
            if smooth.shape[axis] > 1:
                total += (np.gradient(smooth, spacing, axis=axis) ** 2).astype(np.float32)
    return np.sqrt(total)


def markers_from(energies: np.ndarray) -> np.ndarray:
    """The surer half of the voxels of each class, as class + 1, and 0 elsewhere; (*S) int32."""
    order = np.sort(energies, 0)
    margin = order[1] - order[0] if len(energies) > 1 else np.ones(energies.shape[1:])
    best = energies.argmin(0)
    markers = np.zeros(best.shape, np.int32)
    for index in range(len(energies)):
        mine = best == index
        if mine.any():
            markers[mine & (margin >= np.median(margin[mine]))] = index + 1
    return markers


def flood(relief: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """The marker whose water reaches each voxel first, int32 (*S).

    Water rises through 256 levels of the relief; at each level, basins grow from voxel to neighbour along the axes,
    first come first served. There is no line between basins.

    Args:
        relief: Height of each voxel (*S).
        markers: Positive where water rises from, 0 elsewhere.

    Reference:
        meyer1994topographic.
    """
    low, high = float(relief.min()), float(relief.max())
    scale = (LEVELS - 1) / (high - low) if high > low else 0.0
    levels = np.ascontiguousarray(three_axes((relief - low) * scale), np.uint8)
    basins = np.ascontiguousarray(three_axes(markers), np.int32).copy()
    _flood(levels, basins)
    return basins.reshape(relief.shape)


@compiled
def _flood(levels: np.ndarray, basins: np.ndarray) -> None:
    shape = levels.shape
    heights, owner = levels.reshape(-1), basins.reshape(-1)
    size = heights.size
    following = np.empty(size, np.int32)
    first = np.full(256, -1, np.int32)
    last = np.full(256, -1, np.int32)
    steps = (shape[1] * shape[2], shape[2], 1)

    for node in range(size):
        if owner[node] > 0:
            level = heights[node]
            following[node] = -1
            if first[level] < 0:
                first[level] = node
            else:
                following[last[level]] = node
            last[level] = node
    level = 0
    while level < 256:
        node = first[level]
        if node < 0:
            level += 1
            continue
        first[level] = following[node]
        place = (node // steps[0], node // steps[1] % shape[1], node % shape[2])
        for axis in range(3):
            for side in (-1, 1):
                at = place[axis] + side
                if at < 0 or at >= shape[axis]:
                    continue
                other = node + side * steps[axis]
                if owner[other] != 0:
                    continue
                owner[other] = owner[node]
                height = max(level, heights[other])
                following[other] = -1
                if first[height] < 0:
                    first[height] = other
                else:
                    following[last[height]] = other
                last[height] = other


def watershed(image: Image, energies: np.ndarray) -> np.ndarray:
    """The class of each voxel (*S): the surest voxels are markers, and flooding the edges decides the others."""
    return flood(edges_of(image), markers_from(energies)) - 1
