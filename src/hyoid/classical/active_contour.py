"""Active contours that move by morphology: towards uniform regions (Chan-Vese) or towards edges (geodesic).

A contour is the rim of a binary mask. At each step voxels at the rim are given to the side that the image pulls them
to, and the rim is smoothed: a voxel stays inside only if some straight piece (2D) or plane (3D) of its neighbourhood
lies inside, and outside likewise. Contours start from what the prior says of each structure.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from ..core.case import Image
from ..ops.loops import compiled
from ..ops.morphology import bounding_box
from .neighbours import three_axes
from .prior import checked
from .regions import edges_of

STEPS = 60
MARGIN = 0.25
"""How far the box of a structure is grown on each side, as a share of its size; the contour stays inside."""
STEEPNESS = 5.0
"""How strongly edges, relative to their mean, stop a geodesic contour."""

Pull = Callable[[np.ndarray], None]
"""Moves the rim of a mask (uint8, three axes) in place."""


def chan_vese(image: Image, energies: np.ndarray) -> np.ndarray:
    """The class of each voxel (*S): each structure's contour parts two regions of little variance.

    A rim voxel of intensity I belongs inside when |I - c1|^2 < |I - c0|^2, with c1 and c0 the mean intensities inside
    and outside, in a box around where the prior sees the structure.

    Reference:
        chan2001active, marquezneila2014morphological.
    """
    array = checked(image)

    def pull_in(box: tuple[slice, ...]) -> Pull:
        part = array[(slice(None), *box)]

        def pull(mask: np.ndarray) -> None:
            inside = mask.reshape(part.shape[1:]).astype(bool)
            if inside.all() or not inside.any():
                return
            means = [part[:, side].mean(1).reshape(-1, *[1] * inside.ndim) for side in (inside, ~inside)]
            force = ((part - means[1]) ** 2 - (part - means[0]) ** 2).sum(0)
            _pull_to_region(mask, np.ascontiguousarray(three_axes(force)))

        return pull

    return _compete(energies, pull_in)


def geodesic(image: Image, energies: np.ndarray) -> np.ndarray:
    """The class of each voxel (*S): each structure's contour slides to the nearest edges.

    Rim voxels follow grad(g) . grad(u), where g = 1 / sqrt(1 + a |grad I|^2) is small at edges.

    Reference:
        caselles1997geodesic, marquezneila2014morphological.
    """
    edges = edges_of(image)
    mean = float(edges.mean())
    speed = 1 / np.sqrt(1 + (STEEPNESS * edges / mean) ** 2) if mean else np.ones_like(edges)

    def pull_in(box: tuple[slice, ...]) -> Pull:
        part = three_axes(speed[box])
        slope = np.stack([np.gradient(part, axis=a) if part.shape[a] > 1 else np.zeros_like(part) for a in range(3)])
        return lambda mask: _pull_to_edge(mask, mask.copy(), slope)

    return _compete(energies, pull_in)


def _compete(energies: np.ndarray, pull_in: Callable[[tuple[slice, ...]], Pull]) -> np.ndarray:
    """Move the contour of each structure; where several claim a voxel, the prior decides."""
    start = energies.argmin(0)
    claims = np.zeros(energies.shape, bool)
    claims[0] = True
    for index in range(1, len(energies)):
        box = _roomy(start == index)
        if box is not None:
            mask = np.ascontiguousarray(three_axes((start[box] == index).astype(np.uint8)))
            _evolve(mask, pull_in(box), energies.ndim - 1)
            claims[index][box] = mask.reshape(start[box].shape)
    claims[0] = ~claims[1:].any(0)
    return np.where(claims, energies, np.inf).argmin(0)


def _roomy(mask: np.ndarray) -> tuple[slice, ...] | None:
    box = bounding_box(mask)
    if box is None:
        return None
    room = [2 + round(MARGIN * (part.stop - part.start)) for part in box]
    sized = zip(box, room, mask.shape, strict=True)
    return tuple(slice(max(0, part.start - more), min(size, part.stop + more)) for part, more, size in sized)


def _evolve(mask: np.ndarray, pull: Pull, dims: int) -> None:
    """Pull and smooth until nothing moves."""
    planes = flat_pieces(dims)
    other = np.empty_like(mask)
    for step in range(STEPS):
        before = mask.copy()
        pull(mask)
        for value in (1, 0) if step % 2 else (0, 1):
            _trim(mask, other, planes, np.uint8(value))
            mask[...] = other
        if np.count_nonzero(before != mask) <= 1e-4 * np.count_nonzero(mask):
            return


def flat_pieces(dims: int) -> np.ndarray:
    """Offsets of the straight pieces (4 of 3 pixels) or planes (9 of 9 voxels) through a voxel, (P, M, 3)."""
    cube = list(product(*[(0,)] * (3 - dims), *[(-1, 0, 1)] * dims))
    normals = [n for n in cube if 1 <= sum(map(abs, n)) <= 2 and next(a for a in n if a) > 0]
    return np.array([[x for x in cube if np.dot(n, x) == 0] for n in normals], np.int64)


@compiled
def _pull_to_region(mask: np.ndarray, force: np.ndarray) -> None:
    shape = mask.shape
    before = mask.copy()
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                rim = before[max(i - 1, 0), j, k] != before[min(i + 1, shape[0] - 1), j, k]
                rim |= before[i, max(j - 1, 0), k] != before[i, min(j + 1, shape[1] - 1), k]
                rim |= before[i, j, max(k - 1, 0)] != before[i, j, min(k + 1, shape[2] - 1)]
                if rim and force[i, j, k] != 0:
                    mask[i, j, k] = 1 if force[i, j, k] > 0 else 0


@compiled
def _pull_to_edge(mask: np.ndarray, before: np.ndarray, slope: np.ndarray) -> None:
    shape = mask.shape
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                a = float(before[min(i + 1, shape[0] - 1), j, k]) - float(before[max(i - 1, 0), j, k])
                b = float(before[i, min(j + 1, shape[1] - 1), k]) - float(before[i, max(j - 1, 0), k])
                c = float(before[i, j, min(k + 1, shape[2] - 1)]) - float(before[i, j, max(k - 1, 0)])
                push = a * slope[0, i, j, k] + b * slope[1, i, j, k] + c * slope[2, i, j, k]
                if push > 0:
                    mask[i, j, k] = 1
                elif push < 0:
                    mask[i, j, k] = 0


@compiled
def _trim(mask: np.ndarray, result: np.ndarray, planes: np.ndarray, value: int) -> None:
    """Voxels of this value keep it only where a whole flat piece around them has it; beyond the border all do."""
    shape = mask.shape
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                result[i, j, k] = mask[i, j, k]
                if mask[i, j, k] != value:
                    continue
                kept = False
                for piece in range(planes.shape[0]):
                    whole = True
                    for m in range(planes.shape[1]):
                        x = i + planes[piece, m, 0]
                        y = j + planes[piece, m, 1]
                        z = k + planes[piece, m, 2]
                        outside = x < 0 or y < 0 or z < 0 or x >= shape[0] or y >= shape[1] or z >= shape[2]
                        if not outside and mask[x, y, z] != value:
                            whole = False
                            break
                    if whole:
                        kept = True
                        break
                if not kept:
                    result[i, j, k] = 1 - value
