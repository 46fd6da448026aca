"""Overlapping tiles: where they lie, how they are read beyond the border, how their answers are blended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Border = Literal["zero", "mirror"]
Forward = Callable[["torch.Tensor"], "torch.Tensor"]
"""Tiles (B, C, *input tile) in, probabilities (B, K, *tile) out; the seam for ensembles and other backends."""


def tile_starts(size: int, tile: int, overlap: float = 0.5) -> tuple[int, ...]:
    """First voxels of the fewest evenly spread tiles that cover an axis and overlap at least this much.

    Args:
        size: Voxels along the axis, at least `tile`.
        tile: Voxels of a tile.
        overlap: Share of a tile that its neighbour covers too.

    Reference:
        isensee2021nnunet.
    """
    if size <= tile:
        return (0,)
    num_tiles = math.ceil((size - tile) / max(1, tile * (1 - overlap))) + 1
    return tuple(round(i * (size - tile) / (num_tiles - 1)) for i in range(num_tiles))


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


def read_box(array: np.ndarray, start: Sequence[int], shape: Sequence[int], border: Border = "zero") -> np.ndarray:
    """The box of an array (C, *S) whose first voxel is `start`; it may reach outside.

    Args:
        array: Shape (C, *S); a memory map is read only where the box lies.
        start: First voxel along each spatial axis, possibly negative.
        shape: Voxels along each spatial axis.
        border: What lies outside: zeros, or the image mirrored at its outermost voxels.

    Reference:
        ronneberger2015unet (mirrored borders).
    """
    sizes = array.shape[1:]
    if border == "mirror":
        reach = zip(start, shape, sizes, strict=True)
        indices = [_mirrored(np.arange(first, first + length), size) for first, length, size in reach]
        box = array[(slice(None), *(slice(int(i.min()), int(i.max()) + 1) for i in indices))]
        for axis, index in enumerate(indices, 1):
            if (np.diff(index) != 1).any():
                box = np.take(box, index - index.min(), axis)
        return np.ascontiguousarray(box)
    inside = [slice(max(0, a), max(0, min(n, a + m))) for a, m, n in zip(start, shape, sizes, strict=True)]
    part = array[(slice(None), *inside)]
    if part.shape[1:] == tuple(shape):
        return np.ascontiguousarray(part)
    box = np.zeros((array.shape[0], *shape), part.dtype)
    place = [slice(max(0, -a), max(0, -a) + m) for a, m in zip(start, part.shape[1:], strict=True)]
    box[(slice(None), *place)] = part
    return box


def _mirrored(index: np.ndarray, size: int) -> np.ndarray:
    period = max(1, 2 * (size - 1))
    index = index % period
    return np.minimum(index, period - index) if size > 1 else np.zeros_like(index)


@dataclass(frozen=True)
class Tiling:
    """Tiles that cover an image.

    Attributes:
        shape: Voxels of the image.
        tile: Voxels of the net's answer for one tile.
        margin: Voxels by which the net's input is larger than its answer, at each end of each axis.
        overlap: Share of a tile that its neighbour covers too.
        border: What the net sees beyond the image.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    margin: tuple[int, ...]
    overlap: float = 0.5
    border: Border = "zero"

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """For each axis the first voxels of the tiles, in an image padded (centred) to at least a tile."""
        sizes = zip(self.shape, self.tile, strict=True)
        return tuple(tile_starts(max(n, t), t, self.overlap) for n, t in sizes)

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
    def num_tiles(self) -> int:
        """How many times the net answers."""
        return math.prod(map(len, self.starts))

    @property
    def long_axis(self) -> int:
        """The axis with most tiles along it: a slab across it is the smallest part that can be finished alone."""
        return int(np.argmax([n / t for n, t in zip(self.shape, self.tile, strict=True)]))

    def read(self, image: np.ndarray, index: Sequence[int]) -> np.ndarray:
        """What the net sees for one tile: (C, *(tile + 2 margin))."""
        places = zip(self.starts, index, self.offset, self.margin, strict=True)
        start = [starts[i] - offset - margin for starts, i, offset, margin in places]
        shape = [t + 2 * m for t, m in zip(self.tile, self.margin, strict=True)]
        return read_box(image, start, shape, self.border)

    def weight(self, index: Sequence[int]) -> np.ndarray:
        """Blending weight of each voxel of one tile."""
        product_of_axes = np.ones((1,) * len(index), np.float32)
        for axis, (weights, i) in enumerate(zip(self.weights, index, strict=True)):
            product_of_axes = product_of_axes * weights[i].reshape(-1, *(1,) * (len(index) - axis - 1))
        return product_of_axes


def stitch(
    forward: Forward,
    image: np.ndarray,
    tiling: Tiling,
    batch: int = 1,
    memory_gb: float = 2.0,
    advance: Callable[[float], object] | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Blended answers of a whole image, one finished slab after another along the tiling's long axis.

    Memory is one slab of a tile's thickness, in float32, or in float16 when that would exceed `memory_gb`.

    Args:
        forward: The net with its activation, as probabilities.
        image: Shape (C, *S).
        tiling: Where the tiles lie.
        batch: Tiles that go through the net together.
        memory_gb: Largest slab that is kept in float32.
        advance: Told the share of the image that was just done.

    Yields:
        First voxel along the long axis and probabilities (K, *slab), without gaps. A slab is only valid until the
        next one is asked for.
    """
    axis = tiling.long_axis
    starts, tile = tiling.starts[axis], tiling.tile[axis]
    others = [range(len(s)) if a != axis else range(1) for a, s in enumerate(tiling.starts)]
    slab: torch.Tensor | None = None
    for row, start in enumerate(starts):
        indices = (tuple(row if a == axis else i for a, i in enumerate(place)) for place in product(*others))
        while group := list(islice(indices, batch)):
            answers = _answers(forward, image, tiling, group)
            if slab is None:
                slab = _empty_slab(answers, tiling, axis, memory_gb)
            for answer, index in zip(answers, group, strict=True):
                _add(slab, answer, tiling, index, axis)
            if advance is not None:
                advance(len(group) / tiling.num_tiles)
        assert slab is not None
        finished = (starts[row + 1] if row + 1 < len(starts) else start + tile) - start
        yield from _inside(slab.narrow(axis + 1, 0, finished), tiling, axis, start)
        rest = slab.narrow(axis + 1, finished, tile - finished).clone()
        slab.zero_()
        slab.narrow(axis + 1, 0, tile - finished).copy_(rest)


def _answers(forward: Forward, image: np.ndarray, tiling: Tiling, group: list[tuple[int, ...]]) -> torch.Tensor:
    import torch

    boxes = np.stack([tiling.read(image, index) for index in group])
    return forward(torch.from_numpy(boxes))


def _empty_slab(answers: torch.Tensor, tiling: Tiling, axis: int, memory_gb: float) -> torch.Tensor:
    import torch

    shape = [max(n, t) for n, t in zip(tiling.shape, tiling.tile, strict=True)]
    shape[axis] = tiling.tile[axis]
    values = math.prod(shape) * answers.shape[1]
    dtype = torch.float32 if 4 * values <= memory_gb * 2**30 else torch.float16
    return torch.zeros((answers.shape[1], *shape), dtype=dtype, device=answers.device)


def _add(slab: torch.Tensor, answer: torch.Tensor, tiling: Tiling, index: tuple[int, ...], axis: int) -> None:
    import torch

    place = [slice(None)]
    for a, (starts, i, tile) in enumerate(zip(tiling.starts, index, tiling.tile, strict=True)):
        place.append(slice(None) if a == axis else slice(starts[i], starts[i] + tile))
    weight = torch.from_numpy(tiling.weight(index)).to(answer.device)
    slab[tuple(place)] += answer * weight


def _inside(slab: torch.Tensor, tiling: Tiling, axis: int, start: int) -> Iterator[tuple[int, torch.Tensor]]:
    """The part of a finished slab that lies in the image itself."""
    for a, (offset, size) in enumerate(zip(tiling.offset, tiling.shape, strict=True)):
        low = max(0, offset - start) if a == axis else offset
        high = min(slab.shape[a + 1], offset + size - start) if a == axis else offset + size
        if low >= high:
            return
        slab = slab.narrow(a + 1, low, high - low)
    yield max(0, start - tiling.offset[axis]), slab
