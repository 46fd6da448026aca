"""Thin lines and topology of masks: simple voxels, skeletons, Betti numbers.

Foreground is connected over faces, edges and corners (26 in 3D, 8 in 2D), background over faces (6, 4). A voxel is
*simple* when changing it changes no component, tunnel or cavity. A flat mask is a volume of one slice with nothing
around it, which gives the rules of 2D.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from .loops import compiled
from .morphology import components, distance


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Lines in the middle of the mask with its topology, boolean (*S); one float and a few bytes a voxel.

    Voxels are taken away from the outside inwards (by their distance to the outside) wherever they are simple; the end
    of a line stays when it is the centre of a largest ball inside the mask.

    Args:
        mask: Boolean (*S) of two or three axes.

    Reference:
        pudney1998distance, bertrand1994simple.
    """
    solid = np.pad(np.asarray(mask, bool), 1)
    depth = _as_3d(distance(solid))
    order = np.argsort(depth, axis=None, kind="stable")[np.count_nonzero(depth == 0) :]
    thin = _as_3d(solid).astype(np.uint8)
    _thin(thin, depth, order)
    return _without_pad(thin, mask.ndim)


def warped(mask: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mask changed towards a target as far as changing simple voxels goes, so with the mask's own topology.

    Args:
        mask: Boolean (*S).
        target: Boolean, same shape.

    Reference:
        jain2010boundary.
    """
    ours = _as_3d(np.pad(np.asarray(mask, bool), 1)).astype(np.uint8)
    _warp(ours, _as_3d(np.pad(np.asarray(target, bool), 1)).astype(np.uint8))
    return _without_pad(ours, mask.ndim)


def betti_numbers(mask: np.ndarray) -> tuple[int, ...]:
    """Components, holes (2D), or components, tunnels, cavities (3D) of a mask.

    Holes and cavities are components of the background that the outside does not reach; tunnels follow from the Euler
    characteristic, b1 = b0 + b2 - chi.
    """
    solid = np.pad(np.asarray(mask, bool), 1)
    pieces = components(solid)[1]
    enclosed = components(~solid, full=False)[1] - 1
    if solid.ndim == 2:
        return pieces, enclosed
    return pieces, pieces + enclosed - euler_characteristic(mask), enclosed


def euler_characteristic(mask: np.ndarray) -> int:
    """Components minus tunnels plus cavities (components minus holes in 2D), counted from cells of voxels as cubes.

    Vertices - edges + faces - cubes, where a cell belongs to the solid when one of the voxels around it does.
    """
    solid = np.pad(np.asarray(mask, bool), 1)
    total = 0
    for between in product((False, True), repeat=solid.ndim):
        cells = solid
        for axis, twice in enumerate(between):
            if twice:
                turned = cells.swapaxes(0, axis)
                cells = (turned[1:] | turned[:-1]).swapaxes(0, axis)
        total += (-1) ** (solid.ndim - sum(between)) * int(np.count_nonzero(cells))
    return total


def _as_3d(array: np.ndarray) -> np.ndarray:
    """With empty slices around where there are two axes."""
    return np.ascontiguousarray(array) if array.ndim == 3 else np.pad(array[None], ((1, 1), (0, 0), (0, 0)))


def _without_pad(array: np.ndarray, dims: int) -> np.ndarray:
    inner = array[1:-1, 1:-1, 1:-1] > 0
    return inner if dims == 3 else inner[0]


@compiled
def _is_simple(block, seen, stack):  # type: ignore[no-untyped-def]
    """Whether one component of foreground (26) and one of background (6 within 18) touch the middle of 3x3x3 voxels."""
    for solid in (1, 0):
        seen[:] = 0
        found = 0
        for start in range(27):
            a, b, c = start // 9 - 1, start // 3 % 3 - 1, start % 3 - 1
            steps = abs(a) + abs(b) + abs(c)
            if steps == 0 or block[start] != solid or seen[start] or (solid == 0 and steps != 1):
                continue
            found += 1
            if found > 1:
                return False
            seen[start] = 1
            stack[0], size = start, 1
            while size:
                size -= 1
                here = stack[size]
                for there in range(27):
                    if there == 13 or seen[there] or block[there] != solid:
                        continue
                    p, q, r = (
                        abs(there // 9 - here // 9),
                        abs(there // 3 % 3 - here // 3 % 3),
                        abs(there % 3 - here % 3),
                    )
                    if solid == 1 and max(p, q, r) > 1:
                        continue
                    off = abs(there // 9 - 1) + abs(there // 3 % 3 - 1) + abs(there % 3 - 1)
                    if solid == 0 and (p + q + r != 1 or off > 2):
                        continue
                    seen[there] = 1
                    stack[size] = there
                    size += 1
        if found == 0:
            return False
    return True


@compiled
def _gather(array, i, j, k, block):  # type: ignore[no-untyped-def]
    """The 3x3x3 voxels around a place; the number of foreground voxels around the middle."""
    count, place = 0, 0
    for a in range(-1, 2):
        for b in range(-1, 2):
            for c in range(-1, 2):
                value = array[i + a, j + b, k + c]
                block[place] = value
                count += value
                place += 1
    return count - block[13]


@compiled
def _is_largest(depth, i, j, k):  # type: ignore[no-untyped-def]
    """Whether no ball around a neighbour holds the ball around this voxel."""
    for a in range(-1, 2):
        for b in range(-1, 2):
            for c in range(-1, 2):
                step = np.sqrt(float(a * a + b * b + c * c))
                if step > 0 and depth[i + a, j + b, k + c] >= depth[i, j, k] + step - 1e-4:
                    return False
    return True


@compiled
def _thin(array, depth, order):  # type: ignore[no-untyped-def]
    """Passes over the voxels from the outside inwards until none can go."""
    block, seen, stack = np.zeros(27, np.uint8), np.zeros(27, np.uint8), np.zeros(27, np.int64)
    _, rows, columns = array.shape
    changed = True
    while changed:
        changed = False
        for place in order:
            i, j, k = place // (rows * columns), place // columns % rows, place % columns
            if not array[i, j, k]:
                continue
            around = _gather(array, i, j, k, block)
            if around == 1 and _is_largest(depth, i, j, k):
                continue
            if _is_simple(block, seen, stack):
                array[i, j, k] = 0
                changed = True


@compiled
def _warp(array, target):  # type: ignore[no-untyped-def]
    """Passes that change simple voxels which differ, until none does."""
    block, seen, stack = np.zeros(27, np.uint8), np.zeros(27, np.uint8), np.zeros(27, np.int64)
    changed = True
    while changed:
        changed = False
        for i in range(1, array.shape[0] - 1):
            for j in range(1, array.shape[1] - 1):
                for k in range(1, array.shape[2] - 1):
                    if array[i, j, k] == target[i, j, k]:
                        continue
                    _gather(array, i, j, k, block)
                    if _is_simple(block, seen, stack):
                        array[i, j, k] = target[i, j, k]
                        changed = True
