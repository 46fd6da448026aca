"""Overlapping tiles: where they lie, how they are read beyond the border, how their answers are blended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..ops.boxes import Border, read_box

if TYPE_CHECKING:
    import torch

Forward = Callable[["torch.Tensor"], "torch.Tensor"]
"""Tiles (B, C, *input tile) in, answers (B, K, *tile) out; the seam for ensembles and other backends."""
Index = tuple[int, ...]
Activate = Callable[["torch.Tensor"], "torch.Tensor"]
"""Answers (B, K, *S) in, what is averaged of them out, voxel by voxel."""


GROWN = (1, 5 / 4, 3 / 2, 2)
"""Lengths of a tile, in patches; few, since engines are built for each shape."""


def tile_starts(size: int, tile: int, shared: float) -> tuple[int, ...]:
    """First voxels of the fewest evenly spread tiles that cover an axis and overlap at least this much.

    Args:
        size: Voxels along the axis.
        tile: Voxels of a tile; one is enough when the axis is no longer.
        shared: Voxels that neighbours share, about: starts are whole numbers.

    Reference:
        isensee2021nnunet.
    """
    if size <= tile:
        return (0,)
    num_tiles = math.ceil((size - tile) / max(1, tile - shared)) + 1
    return tuple(round(i * (size - tile) / (num_tiles - 1)) for i in range(num_tiles))


def cheapest_tile(lengths: Sequence[Sequence[int]], most: float, work: Callable[[tuple[int, ...]], float]) -> Index:
    """The tile with which an image takes least work; of several the smallest. See docs/decisions/tile_size.md.

    Args:
        lengths: For each axis the lengths to choose from, the shortest first.
        most: Voxels of the largest tile; the shortest lengths are allowed in any case.
        work: What an image takes with a tile.
    """
    shortest = tuple(some[0] for some in lengths)
    allowed = [tile for tile in product(*lengths) if math.prod(tile) <= most]
    return min((shortest, *allowed), key=lambda tile: (work(tile), math.prod(tile)))


def blend_weights(size: int, tile: int, starts: Sequence[int], sigma: float = 1 / 8) -> np.ndarray:
    """Weight of each voxel of each tile along one axis; over all tiles they sum to one at every voxel.

    A Gaussian around the centre of the tile, divided by the sum over tiles. Since tiles lie on a lattice, the
    product over axes sums to one too, so no map of weights is ever needed, and no floor that would let the rim of
    one tile compete with the middle of another.

    Returns:
        Shape (tiles, tile), float64.
    """
    bell = np.exp(-0.5 * ((np.arange(tile) - (tile - 1) / 2) / (sigma * tile)) ** 2)
    total = np.zeros(size)
    for start in starts:
        total[start : start + tile] += bell
    return np.stack([bell / total[start : start + tile] for start in starts])


@dataclass(frozen=True)
class Window:
    """Voxels `start` to `stop` of one axis of an image."""

    axis: int
    start: int
    stop: int


@dataclass(frozen=True)
class Tiling:
    """Tiles that cover an image; sizes in voxels along each axis."""

    shape: tuple[int, ...]  # of the image
    tile: tuple[int, ...]  # of the net's answer for one tile
    margin: tuple[int, ...]  # by which the net's input is larger than its answer, at each end
    shared: tuple[float, ...]  # what neighbouring tiles share
    border: Border = "zero"  # what the net sees beyond the image

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """For each axis the first voxels of the tiles, in an image padded (centred) to at least a tile."""
        sizes = zip(self.shape, self.tile, self.shared, strict=True)
        return tuple(tile_starts(n, t, shared) for n, t, shared in sizes)

    @cached_property
    def weights(self) -> tuple[np.ndarray, ...]:
        """For each axis the blending weights of its tiles, float32."""
        axes = zip(self.shape, self.tile, self.starts, strict=True)
        return tuple(blend_weights(max(n, t), t, starts).astype(np.float32) for n, t, starts in axes)

    @property
    def offset(self) -> tuple[int, ...]:
        """Where the image begins in the padded one."""
        return tuple(max(0, t - n) // 2 for n, t in zip(self.shape, self.tile, strict=True))

    @property
    def cross_axis(self) -> int:
        """The axis with most tiles along it but for the long one: windows cut it."""
        ratio = [n / t for n, t in zip(self.shape, self.tile, strict=True)]
        ratio[self.long_axis] = 0
        return int(np.argmax(ratio))

    @property
    def num_tiles(self) -> int:
        """How many times the net answers."""
        return math.prod(map(len, self.starts))

    @property
    def seen(self) -> int:
        """Voxels that the net sees of one tile."""
        return math.prod(t + 2 * m for t, m in zip(self.tile, self.margin, strict=True))

    @property
    def long_axis(self) -> int:
        """The axis with most tiles along it: a slab across it is the smallest part that can be finished alone."""
        return int(np.argmax([n / t for n, t in zip(self.shape, self.tile, strict=True)]))

    def rows(self, window: Window | None = None) -> list[range]:
        """For each axis the numbers of the tiles that reach into the window."""
        rows = [range(len(starts)) for starts in self.starts]
        if window is not None:
            axis = window.axis
            low, high = (edge + self.offset[axis] for edge in (window.start, window.stop))
            reach = [i for i, start in enumerate(self.starts[axis]) if start < high and start + self.tile[axis] > low]
            rows[axis] = range(reach[0], reach[-1] + 1)
        return rows

    def read(self, image: np.ndarray, index: Sequence[int]) -> np.ndarray:
        """What the net sees for one tile: (C, *(tile + 2 margin))."""
        places = zip(self.starts, index, self.offset, self.margin, strict=True)
        start = [starts[i] - offset - margin for starts, i, offset, margin in places]
        shape = [t + 2 * m for t, m in zip(self.tile, self.margin, strict=True)]
        return read_box(image, start, shape, self.border)


def windows(tiling: Tiling, channels: int, memory_gb: float) -> tuple[list[Window | None], torch.dtype]:
    """How to answer an image within a memory: in which number format, and in how many parts.

    Parts cost time, since tiles that reach into two of them are answered twice; so float16 comes first.

    Args:
        tiling: Where the tiles lie.
        channels: Maps that are averaged.
        memory_gb: What the sums of a ring may take.
    """
    import torch

    axis, cross = tiling.long_axis, tiling.cross_axis
    values = channels * tiling.tile[axis] * math.prod(tiling.shape) / tiling.shape[axis]
    if 4 * values <= memory_gb * 2**30:
        return [None], torch.float32
    size = tiling.shape[cross]
    width = math.ceil(size / math.ceil(2 * values / (memory_gb * 2**30)))
    width = max(width, math.ceil(tiling.tile[cross] / 4))
    if width >= size:
        return [None], torch.float16
    return [Window(cross, start, min(start + width, size)) for start in range(0, size, width)], torch.float16


ADDED = 2**19
"""Numbers of a tile that are activated, weighed and added at once, so few that they stay in the cache."""

LARGEST = 2.0**15
"""Largest feature that float16 averages: far beyond what norms let through, and within its range."""


def stitch(
    forward: Forward,
    image: np.ndarray,
    tiling: Tiling,
    batch: int = 1,
    window: Window | None = None,
    dtype: torch.dtype | None = None,
    advance: Callable[[float], object] | None = None,
    activate: Activate | None = None,
    most: int = 2**26,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Blended answers of an image, one finished slab after another along the tiling's long axis.

    Memory is a ring of one tile's thickness across the image, or across the window, and the answers of a batch.

    Args:
        forward: The net.
        image: Shape (C, *S).
        tiling: Where the tiles lie.
        batch: Tiles that go through the net together.
        window: The part of another axis to answer; None answers all of the image.
        dtype: Number format of the ring; float32 when None.
        advance: Told the share of the image that was just done.
        activate: Makes of answers what is averaged, a part at a time, so that this is never in memory for a whole
            tile; None when it is the answers.
        most: Voxels that are handed on at once, so that what is made of them stays small too.

    Yields:
        First voxel along the long axis and averages (K, *slab), without gaps; a part of the ring, to be used or
        copied before the next one is asked for.
    """
    axis = tiling.long_axis
    rows = tiling.rows(window)
    total = math.prod(map(len, rows))
    indices = sorted(product(*rows), key=lambda index: index[axis])
    ring: _Ring | None = None
    row = rows[axis][0]
    for index, answer in _answered(forward, image, tiling, indices, batch):
        if ring is None:
            ring = _Ring(answer, tiling, window, dtype, activate, most)
        if index[axis] != row:
            yield from ring.finished(row)
            row = index[axis]
        ring.add(answer, index)
        del answer  # it would stay in memory while the net answers the next tiles
        if advance is not None:
            advance(1 / total)
    assert ring is not None
    yield from ring.finished(row)


def _answered(
    forward: Forward, image: np.ndarray, tiling: Tiling, indices: Sequence[Index], batch: int
) -> Iterator[tuple[Index, torch.Tensor]]:
    """Each tile with its answer (K, *tile), in order; of tiles that hold one value throughout only the first is run."""
    import torch

    known: dict[bytes | None, torch.Tensor] = {}
    waiting: list[tuple[Index, bytes | None]] = []
    boxes: dict[Index, np.ndarray] = {}
    for position, index in enumerate(indices):
        box = tiling.read(image, index)
        value = _only_value(box)
        waiting.append((index, value))
        if value not in known:
            boxes[index] = box
        if len(boxes) < batch and position + 1 < len(indices):
            continue
        stacked = forward(torch.from_numpy(np.stack(list(boxes.values())))) if boxes else ()
        found = dict(zip(boxes, stacked, strict=True))
        boxes = {}
        del stacked
        for one, value in waiting:
            answer = found.pop(one) if one in found else known[value]
            if value is not None and value not in known and (len(known) + 1) * answer.nbytes <= KEPT_BYTES:
                known[value] = answer.clone()
            yield one, answer
            del answer
        waiting = []


KEPT_BYTES = 2**27
"""What answers may take that are kept for tiles that are alike."""


def _only_value(box: np.ndarray) -> bytes | None:
    """What every voxel of a tile (C, *S) holds, or None when they differ."""
    first = box[(slice(None), *(slice(0, 1),) * (box.ndim - 1))]
    corners = box[(slice(None), *(slice(None, None, max(1, n - 1)) for n in box.shape[1:]))]
    return first.tobytes() if (corners == first).all() and (box == first).all() else None


class _Ring:
    """Sums (K, *S) of weighted answers: S is a tile along the long axis, the (padded) image or window along others.

    Along the long axis voxel v lies at v modulo the tile's length.
    """

    def __init__(
        self,
        answer: torch.Tensor,
        tiling: Tiling,
        window: Window | None,
        dtype: torch.dtype | None,
        activate: Activate | None,
        most: int,
    ) -> None:
        import torch

        self.tiling, self.activate, self.most = tiling, activate, most
        low, shape = list(tiling.offset), list(tiling.shape)
        if window is not None:
            low[window.axis] += window.start
            shape[window.axis] = window.stop - window.start
        axis = tiling.long_axis
        low[axis], shape[axis] = 0, tiling.tile[axis]
        self.low = low  # the first voxel of each axis that is kept, in the padded image
        kind = dtype or (answer.dtype if activate is None else torch.float32)
        self.sums = answer.new_zeros((len(answer), *shape), dtype=kind)
        self.weights = [torch.from_numpy(one).to(answer.device) for one in tiling.weights]

    def add(self, answer: torch.Tensor, index: tuple[int, ...]) -> None:
        """Add the answer (K, *tile) of one tile, weighted."""
        axis, tiling, sums = self.tiling.long_axis, self.tiling, self.sums
        weight = self._weight(index)
        for a in set(range(len(index))) - {axis}:
            start, first = tiling.starts[a][index[a]], max(tiling.starts[a][index[a]], self.low[a])
            length = min(start + tiling.tile[a], self.low[a] + self.sums.shape[a + 1]) - first
            sums = sums.narrow(a + 1, first - self.low[a], length)
            answer, weight = (part.narrow(a + 1, first - start, length) for part in (answer, weight))
        turn = tiling.starts[axis][index[axis]] % tiling.tile[axis]
        rest = tiling.tile[axis] - turn
        for place, begin, length in ((turn, 0, rest), (0, rest, turn)):
            if length:
                given, share = (part.narrow(axis + 1, begin, length) for part in (answer, weight))
                self._add_parts(sums.narrow(axis + 1, place, length), given, share)

    def _weight(self, index: Index) -> torch.Tensor:
        """Blending weight (1, *tile) of each voxel of one tile."""
        axes = enumerate(zip(self.weights, index, strict=True), 1)
        first, *others = (weights[i].reshape(-1, *(1,) * (len(index) - axis)) for axis, (weights, i) in axes)
        return math.prod(others, start=first)[None]

    def _add_parts(self, sums: torch.Tensor, answer: torch.Tensor, weight: torch.Tensor) -> None:
        """Add an answer (K, *S), weighted by (1, *S), a few rows at a time."""
        import torch

        along = next((axis for axis, size in enumerate(answer.shape) if axis and size > 1), 1)
        rows = max(1, ADDED // max(1, answer.narrow(along, 0, 1).numel()))
        parts = (array.split(rows, along) for array in (sums, answer, weight))
        for total, given, share in zip(*parts, strict=True):
            some = given if self.activate is None else self.activate(given[None])[0]
            if total.dtype == torch.float16:
                some = some.clamp(-LARGEST, LARGEST)
            total.addcmul_(some.to(total.dtype), share.to(total.dtype))

    def finished(self, row: int) -> Iterator[tuple[int, torch.Tensor]]:
        """What no later row of tiles touches, in chunks; its place in the ring is emptied."""
        axis, tiling = self.tiling.long_axis, self.tiling
        starts, tile = tiling.starts[axis], tiling.tile[axis]
        begin, offset = starts[row], tiling.offset[axis]
        end = starts[row + 1] if row + 1 < len(starts) else begin + tile
        step = max(1, self.most * tile // self.sums[0].numel())
        while begin < end:
            stop = min(end, begin + step, (begin // tile + 1) * tile)
            part = self.sums.narrow(axis + 1, begin % tile, stop - begin)
            low, high = max(begin, offset), min(stop, offset + tiling.shape[axis])
            if low < high:
                yield low - offset, part.narrow(axis + 1, low - begin, high - low)
            part.zero_()
            begin = stop
