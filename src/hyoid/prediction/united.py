"""Predictors of different plans that answer as one, on the grid of the image, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Self

import numpy as np

from ..core.case import Case, Image
from ..core.errors import ConfigError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.progress import log
from ..ops.resample import onto
from ..tasks.regions import Regions
from ..tasks.semantic import Classes
from ..tasks.task import Task
from .answering import CHUNK_BYTES, Advance, Answering
from .predictor import Predictor
from .slabs import Along, Piece, narrowed
from .whole import room_for


def union_of(tasks: Sequence[Task], names: Sequence[str]) -> Task:
    """The task whose structures are those of all tasks of one type, merged by name; messages call these by `names`.

    A structure has the values of the first task that knows it. Values that another task uses for another structure are
    replaced by a new one, which is logged.

    Raises:
        ConfigError: When structures differ, and the task is not one of classes or regions.
    """
    first = tasks[0]
    if all(task.labels == first.labels and task.outputs == first.outputs for task in tasks):
        return first
    if not isinstance(first, Classes | Regions):
        raise ConfigError(f"{', '.join(names)}: members of the task {type(first).__name__} need equal structures.")
    values: dict[str, tuple[int, ...]] = {}
    paint: dict[str, int] = {}
    for task, name in zip(tasks, names, strict=True):
        taken = {value for structure in values for value in (*values[structure], paint[structure])}
        rows = zip(task.labels.names, task.labels.values, task.labels.written, strict=True)
        for structure, group, written in (row for row in rows if row[0] not in values):
            if taken & {*group, written}:
                written = 1 + max(taken | {value for some in task.labels.values for value in some})
                group = (written,)
                taken.add(written)
                log.info("%s of %s is written as %d, since its value means something else.", structure, name, written)
            values[structure], paint[structure] = group, written
    codes = {n: c for task in tasks[::-1] for n, c in zip(task.labels.names, task.labels.coded, strict=True) if c}
    coded = tuple(map(codes.get, values)) if codes else ()
    labels = Labels(names=tuple(values), values=tuple(values.values()), paint=tuple(paint.values()), codes=coded)
    return type(first)(labels)


class United(Answering):
    """Predictors whose probabilities are averaged on the grid of the image, part by part.

    A structure's probability is averaged over the members that know it, and background is what the structures leave.
    Where the slabs of members lie along one axis of the image, a slab of each is in memory at a time. The maps of
    members whose slabs lie otherwise are summed up first, in float16, on disk beyond `prediction.memory_gb`.

    Args:
        members: They answer images with the same channels.
        weights: How much each counts; they need not sum to 1.
        names: What messages call the members.
    """

    def __init__(self, members: Sequence[Predictor], weights: Sequence[float], names: Sequence[str]) -> None:
        self.task = union_of([member.task for member in members], names)
        self.members = list(members)
        self.plans = [member.plan for member in members]
        self.settings, self.engine = members[0].settings, members[0].engine
        if self.settings.refine is not None:
            raise ConfigError("prediction.refine: members of different plans are not refined; set it to null.")
        self._places = [[self.task.outputs.index(name) for name in member.task.outputs] for member in members]
        shares = np.zeros((len(members), self.task.channels))
        for row, weight, places in zip(shares, weights, self._places, strict=True):
            row[places] = weight
        self._shares = (shares / shares.sum(0)).astype(np.float32)

    def prepared(self, case: Case) -> Image:
        """The image as it is: each member prepares it when it answers."""
        return case.image

    def within(self, memory_gb: float) -> Self:
        """The same predictor, whose members share a memory."""
        other = super().within(memory_gb)
        other.members = [member.within(memory_gb / len(self.members)) for member in self.members]
        return other

    def _at_once(self, case: Case, prepared: Image, advance: Advance | None) -> Image | None:
        if self.task.kind == "labels":
            return None
        weighted = (n * one.predict(case).array for n, one in zip(self._shares[:, 0], self.members, strict=True))
        return Image(np.add.reduce(list(weighted)), case.image.grid, self.task.kind)

    def _fill(self, maps: np.ndarray, case: Case, prepared: Image, advance: Advance | None) -> None:
        for piece in self.pieces(case, prepared, advance):
            maps[(slice(None), *piece.place)] = piece.probabilities

    def pieces(self, case: Case, prepared: Image, advance: Advance | None) -> Iterator[Piece]:
        """The averaged probabilities of a case, float32, a band of the image after another."""
        if self.task.kind == "intensities":
            raise ConfigError("Members of different plans scale images each in its own way; only answers are averaged.")
        target, count = case.image.grid, len(self.members)
        part = None if advance is None else lambda share: advance(share / count)
        streams: list[tuple[_Stream, int]] = []
        held: np.ndarray | None = None
        images: dict[str, Image] = {}
        with ExitStack() as stack:
            for number, member in enumerate(self.members):
                key = repr(member.plan.preparation)
                image = images[key] = images[key] if key in images else member.prepared(case)
                stream = _Stream(member.pieces(case, image, part), target)
                if stream.order is not None and (not streams or stream.order == streams[0][0].order):
                    streams.append((stream, number))
                    continue
                if held is None:
                    room = room_for((self.task.channels, *target.shape), self.settings.memory_gb)
                    (held := stack.enter_context(room))[...] = 0
                for piece in stream.rest():
                    for place, grid in _bands(piece.target, 0, True, self.task.channels, piece.place):
                        self._add(held[(slice(None), *place)], number, piece, grid)
            axis, forward = streams[0][0].order or (0, True) if streams else (0, True)
            for place, grid in _bands(target, axis, forward, self.task.channels):
                total = np.zeros((self.task.channels, *grid.shape), np.float32)
                if held is not None:
                    total += held[(slice(None), *place)]
                for stream, number in streams:
                    for piece, inside in stream.meeting(place[axis]):
                        where = (slice(None),) * (axis + 1) + (_moved(inside, -place[axis].start),)
                        self._add(total[where], number, piece, narrowed(target, axis, range(inside.start, inside.stop)))
                if isinstance(self.task, Classes):  # background is what the structures leave, and all sum to 1
                    structures = total[1:].sum(0)
                    total[1:] /= np.maximum(structures, 1)
                    total[0] = np.maximum(1 - structures, 0)
                yield Piece(total, grid, grid, place)

    def _add(self, total: np.ndarray, number: int, piece: Piece, grid: Grid) -> None:
        """Add what a member says of a grid, weighted, to a total (K, *grid.shape)."""
        maps = onto(Image(piece.probabilities, piece.source, "probabilities"), grid).array
        for channel, place in zip(maps, self._places[number], strict=True):
            total[place] += self._shares[number, place] * channel


class _Stream:
    """The pieces of one member, the next of them computed already."""

    def __init__(self, pieces: Iterator[Piece], target: Grid) -> None:
        self._pieces = pieces
        self._piece = next(pieces, None)
        # the axis of the target along which pieces follow one another, and whether upwards; None when they do not
        self.order: tuple[int, bool] | None = None
        cut = [] if self._piece is None else [a for a, part in enumerate(self._piece.place) if part != slice(None)]
        if self._piece is not None and len(cut) == 1:
            lines = [Along.of(self._piece.source, target, axis) for axis in range(target.dims)]
            self.order = next((cut[0], one.scale > 0) for one in lines if one is not None and one.axis == cut[0])

    def rest(self) -> Iterator[Piece]:
        while self._piece is not None:
            yield self._piece
            self._piece = None  # it would be in memory together with the next one
            self._piece = next(self._pieces, None)

    def meeting(self, band: slice) -> Iterator[tuple[Piece, slice]]:
        """The pieces that reach into a band of the ordered axis, and where they do; bands are asked for in order."""
        assert self.order is not None
        axis, forward = self.order
        while self._piece is not None:
            part = self._piece.place[axis]
            low, high = max(part.start, band.start), min(part.stop, band.stop)
            if low < high:
                yield self._piece, slice(low, high)
            if part.stop > band.stop if forward else part.start < band.start:
                return  # the next band needs it too
            self._piece = None
            self._piece = next(self._pieces, None)


def _bands(
    grid: Grid, axis: int, forward: bool, channels: int, place: Sequence[slice] | None = None
) -> Iterator[tuple[tuple[slice, ...], Grid]]:
    """Parts of a grid along an axis whose maps are small: their places in it, or in what it has a place in."""
    size = grid.shape[axis]
    step = max(1, CHUNK_BYTES // (4 * channels * math.prod(grid.shape) // size))
    starts = range(0, size, step)
    for start in starts if forward else reversed(starts):
        stop = min(start + step, size)
        where = list(place or (slice(None),) * grid.dims)
        where[axis] = _moved(slice(start, stop), where[axis].start or 0)
        yield tuple(where), narrowed(grid, axis, range(start, stop))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
