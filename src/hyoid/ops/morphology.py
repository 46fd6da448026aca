"""Shapes of masks: connected components, distances, holes, surfaces.

All take a boolean array (*S) of two or three axes. Components and holes are linear in the voxels and need one int32
array; distances are linear too and need one float32 array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


def components(mask: np.ndarray, full: bool = True) -> tuple[np.ndarray, int]:
    """Connected components, numbered from 1 in (*S) integers, and how many there are.

    Args:
        mask: Boolean (*S).
        full: Whether voxels that touch only by an edge or a corner are connected (8 in 2D, 26 in 3D; else 4, 6).
    """
    import cc3d

    # cc3d 4.1.1 reads past the edge of boolean images of odd size (8 neighbours) and joins or invents pieces.
    solid = np.ascontiguousarray(mask, bool).view(np.uint8)
    neighbours: dict[tuple[int, bool], Literal[4, 6, 8, 26]] = {
        (2, True): 8,
        (2, False): 4,
        (3, True): 26,
        (3, False): 6,
    }
    labels, count = cc3d.connected_components(solid, connectivity=neighbours[mask.ndim, full], return_N=True)
    return labels, int(count)


def largest(mask: np.ndarray, full: bool = True) -> np.ndarray:
    """The component with most voxels (the first one when equal); empty for an empty mask."""
    labels, count = components(mask, full)
    if count < 2:
        return np.asarray(mask, bool)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return labels == 1 + int(sizes[1:].argmax())


def distance(mask: np.ndarray, spacing_mm: Sequence[float] | None = None) -> np.ndarray:
    """How far each voxel of the mask is from the nearest voxel outside it; 0 outside, float32.

    Infinite everywhere when the mask has no outside. The border of the array is not an outside. For the distance to
    a mask pass its complement.

    Args:
        mask: Boolean (*S).
        spacing_mm: Distances between voxel centres along each axis; 1 by default.
    """
    return _transformed(np.ascontiguousarray(mask, bool), spacing_mm)


def apart(mask: np.ndarray, spacing_mm: Sequence[float] | None = None) -> np.ndarray:
    """How far each voxel is from the nearest voxel on the other side of the mask's surface, float32.

    `distance` of the mask and of its complement in one pass, which takes a third of their time; infinite when there is
    only one side. Arguments as there.
    """
    return _transformed(np.ascontiguousarray(mask, np.uint8) + np.uint8(1), spacing_mm)  # 0 would have no distance


def _transformed(sides: np.ndarray, spacing_mm: Sequence[float] | None) -> np.ndarray:
    import edt

    spacing = tuple(float(s) for s in spacing_mm) if spacing_mm is not None else (1.0,) * sides.ndim
    return edt.edt(sides, anisotropy=spacing, black_border=False, parallel=1)


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with everything filled that cannot be reached from the border of the array over faces."""
    outside, count = components(~np.asarray(mask, bool), full=False)
    open_ = np.zeros(count + 1, bool)
    for axis in range(mask.ndim):
        for end in (0, -1):
            open_[np.unique(outside.take(end, axis))] = True
    open_[0] = False
    return ~open_[outside]


def surface(mask: np.ndarray) -> np.ndarray:
    """The voxels of the mask with a face that leads outside it; faces at the border of the array do."""
    mask = np.asarray(mask, bool)
    inner = mask.copy()
    for axis in range(mask.ndim):
        turned, inside = mask.swapaxes(0, axis), inner.swapaxes(0, axis)
        inside[1:] &= turned[:-1]
        inside[:-1] &= turned[1:]
        inside[0] = inside[-1] = False
    return mask & ~inner


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds the mask; None when it is empty."""
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        if not len(found):
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)
