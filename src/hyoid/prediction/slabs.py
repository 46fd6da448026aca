"""From probabilities on the prepared grid, slab by slab, to an answer on the grid of the case.

All probabilities of all structures at once are the largest thing a prediction could hold (61 structures of a
512 x 512 x 400 scan: 26 GB in float32). So each slab is cut into pieces that say which voxels of the target they
settle, and those are resampled and decoded before the next slab is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..core.grid import Grid
from .tiles import Window

EDGE = 0.5 + 1e-4
"""Voxels beyond the outermost centre that still belong to a grid."""


@dataclass(frozen=True)
class Piece:
    """Probabilities of a part of the source, and the part of the target that they settle."""

    probabilities: np.ndarray  # (K, *source.shape), float16 or float32
    source: Grid  # where they lie
    target: Grid  # the voxels to answer now
    place: tuple[slice, ...]  # where those lie in the array of the whole target


def same_voxels(source: Grid, target: Grid) -> bool:
    """Whether every voxel of the target lies on the endless lattice of the source's voxels."""
    relation = np.linalg.solve(source.affine, target.affine)[:-1]
    whole = np.rint(relation)
    far = max(*target.shape, *source.shape)
    turn, shift = np.abs(relation - whole)[:, :-1], np.abs(relation - whole)[:, -1]
    return bool(turn.max() * far < 1e-2 and shift.max() < 1e-2 and (np.abs(whole[:, :-1]).sum(0) == 1).all())


@dataclass(frozen=True)
class Along:
    """How one axis of a source lies along an axis of a target: position = scale * target index + shift."""

    axis: int  # of the target
    position: np.ndarray  # where each of its voxels lies on the source's axis
    scale: float  # source voxels for each target voxel

    @classmethod
    def of(cls, source: Grid, target: Grid, axis: int) -> Along | None:
        """The relation of the source's axis; None when no target axis is parallel to it."""
        relation = np.linalg.solve(source.affine, target.affine)[:-1]
        across = int(np.abs(relation[axis, :-1]).argmax())
        strays = np.abs(np.delete(relation[axis, :-1], across)) * np.delete(np.asarray(target.shape), across)
        if strays.max() > 1e-2:
            return None
        scale = float(relation[axis, across])
        return cls(across, scale * np.arange(target.shape[across]) + relation[axis, -1], scale)

    @property
    def context(self) -> int:
        """Source voxels beyond a part that its outermost targets read."""
        return math.ceil(abs(self.scale)) + 1

    def between(self, low: float, high: float) -> range:
        """Target voxels whose position is at least `low` and below `high`."""
        (found,) = np.nonzero((self.position >= low) & (self.position < high))
        return range(int(found[0]), int(found[-1]) + 1) if len(found) else range(0)


def all_pieces(
    slabs: Callable[[Window | None], Iterable[tuple[int, torch.Tensor]]],
    windows: Sequence[Window | None],
    source: Grid,
    axis: int,
    target: Grid,
) -> Iterator[Piece]:
    """The pieces of an image that is answered in windows, each a little wider than what it settles.

    Args:
        slabs: Gives the slabs of a window.
        windows: Parts that together are the whole; None is the whole.
        source: The grid of the whole image.
        axis: The axis across which slabs are cut.
        target: The grid to answer on.
    """
    first = windows[0]
    across = None if first is None else Along.of(source, target, first.axis)
    if first is None or across is None:
        yield from pieces(slabs(None), source, axis, target)
        return
    size = source.shape[first.axis]
    for window in windows:
        assert window is not None
        low = -EDGE if window.start == 0 else window.start - 0.5
        high = size - 1 + EDGE if window.stop == size else window.stop - 0.5
        if not (wanted := across.between(low, high)):
            continue
        start, stop = max(0, window.start - across.context), min(size, window.stop + across.context)
        part = narrowed(source, window.axis, range(start, stop))
        answers = slabs(Window(window.axis, start, stop))
        for piece in pieces(answers, part, axis, narrowed(target, across.axis, wanted)):
            place = list(piece.place)
            place[across.axis] = slice(wanted.start, wanted.stop)
            yield replace(piece, place=tuple(place))
            del piece


def pieces(slabs: Iterable[tuple[int, torch.Tensor]], source: Grid, axis: int, target: Grid) -> Iterator[Piece]:
    """What each slab of probabilities settles on another grid.

    Args:
        slabs: First voxel along `axis` and probabilities (K, *slab), in order and without gaps; each is used before the
            next is asked for.
        source: The grid the slabs lie on.
        axis: The axis across which the slabs are cut.
        target: The grid to answer on. When it is oblique to the source everything is one piece.

    Yields:
        Pieces that together cover every target voxel inside the source, each once; to be used before the next is asked
        for, since its probabilities may be a part of what the slabs are made in.
    """
    along = Along.of(source, target, axis)
    if along is None:
        array = np.concatenate([slab.to("cpu", torch.float16, copy=True).numpy() for _, slab in slabs], axis + 1)
        yield Piece(array, source, target, (slice(None),) * target.dims)
        return
    size, settled = source.shape[axis], -EDGE
    tail: torch.Tensor | None = None
    for first, slab in slabs:
        known = slab if tail is None else torch.cat([tail, slab], axis + 1)
        end = first + slab.shape[axis + 1]
        del slab  # here and below: at most one slab and what it is joined into are in memory together
        ready = size - 1 + EDGE if end == size else end - 1.0
        if wanted := along.between(settled, ready):
            part = narrowed(source, axis, range(end - known.shape[axis + 1], end))
            place = [slice(None)] * target.dims
            place[along.axis] = slice(wanted.start, wanted.stop)
            yield Piece(known.cpu().numpy(), part, narrowed(target, along.axis, wanted), tuple(place))
        settled = ready
        kept = min(along.context, known.shape[axis + 1])
        tail = known.narrow(axis + 1, known.shape[axis + 1] - kept, kept).clone()
        del known


def narrowed(grid: Grid, axis: int, voxels: range) -> Grid:
    """The part of a grid with these voxels along one axis."""
    first, shape = [0] * grid.dims, list(grid.shape)
    first[axis], shape[axis] = voxels.start, len(voxels)
    return grid.cropped(first, tuple(shape))
