"""From probabilities on the prepared grid, slab by slab, to an answer on the grid of the case.

All probabilities of all structures at once are the largest thing a prediction could hold (61 structures of a
512 x 512 x 400 scan: 26 GB in float32). So each slab is cut into pieces that say which voxels of the target they
settle, and those are resampled and decoded before the next slab is computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..core.grid import Grid

_EDGE = 0.5 + 1e-4
"""Voxels beyond the outermost centre that still belong to a grid."""


@dataclass(frozen=True)
class Piece:
    """Probabilities of a part of the source, and the part of the target that they settle.

    Attributes:
        probabilities: Shape (K, *source.shape), float16 or float32.
        source: Where they lie.
        target: The voxels to answer now.
        place: Where those lie in the array of the whole target.
    """

    probabilities: np.ndarray
    source: Grid
    target: Grid
    place: tuple[slice, ...]


def same_voxels(source: Grid, target: Grid) -> bool:
    """Whether every voxel of the target lies on the endless lattice of the source's voxels."""
    relation = np.linalg.solve(source.affine, target.affine)[:-1]
    whole = np.rint(relation)
    far = max(*target.shape, *source.shape)
    turn, shift = np.abs(relation - whole)[:, :-1], np.abs(relation - whole)[:, -1]
    return bool(turn.max() * far < 1e-2 and shift.max() < 1e-2 and (np.abs(whole[:, :-1]).sum(0) == 1).all())


def pieces(slabs: Iterable[tuple[int, torch.Tensor]], source: Grid, axis: int, target: Grid) -> Iterator[Piece]:
    """What each slab of probabilities settles on another grid.

    Args:
        slabs: First voxel along `axis` and probabilities (K, *slab), in order and without gaps.
        source: The grid the slabs lie on.
        axis: The axis across which the slabs are cut.
        target: The grid to answer on. When it is oblique to the source everything is one piece.

    Yields:
        Pieces that together cover every target voxel inside the source, each once.
    """
    relation = np.linalg.solve(source.affine, target.affine)[:-1]
    across = int(np.abs(relation[axis, :-1]).argmax())
    strays = np.abs(np.delete(relation[axis, :-1], across)) * np.delete(np.asarray(target.shape), across)
    if strays.max() > 1e-2:
        yield _whole(slabs, source, axis, target)
        return
    scale = relation[axis, across]
    position = scale * np.arange(target.shape[across]) + relation[axis, -1]
    size, context = source.shape[axis], math.ceil(abs(scale)) + 1
    settled = -_EDGE
    tail: torch.Tensor | None = None
    for first, slab in slabs:
        known = slab if tail is None else torch.cat([tail, slab], axis + 1)
        end = first + slab.shape[axis + 1]
        ready = size - 1 + _EDGE if end == size else end - 1.0
        (wanted,) = np.nonzero((position >= settled) & (position < ready))
        if len(wanted):
            begin, stop = int(wanted[0]), int(wanted[-1]) + 1
            part = source.cropped(_along(axis, end - known.shape[axis + 1], source.dims), known.shape[1:])
            shape = tuple(stop - begin if a == across else n for a, n in enumerate(target.shape))
            place = (slice(None),) * across + (slice(begin, stop),)
            box = target.cropped(_along(across, begin, target.dims), shape)
            yield Piece(known.cpu().numpy(), part, box, place)
        settled = ready
        kept = min(context, known.shape[axis + 1])
        tail = known.narrow(axis + 1, known.shape[axis + 1] - kept, kept).clone()


def _whole(slabs: Iterable[tuple[int, torch.Tensor]], source: Grid, axis: int, target: Grid) -> Piece:
    array = np.concatenate([slab.half().cpu().numpy() for _, slab in slabs], axis + 1)
    return Piece(array, source, target, (slice(None),) * target.dims)


def _along(axis: int, start: int, dims: int) -> list[int]:
    return [start if a == axis else 0 for a in range(dims)]
