"""Images that stay in their file: stored in blocks, lying as they are, or in several files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.boxes import Boxes, Index

KEPT_BYTES = 2**28
"""Decoded blocks that stay in memory, since neighbouring tiles read the same ones."""


def as_read(dtype: np.dtype | str) -> np.dtype:
    """The type in which numbers of a type are computed with: fractions in 32 bits, whole numbers as they are."""
    kind = np.dtype(dtype)
    return np.dtype(np.float32) if kind.kind == "f" else kind.newbyteorder("=")


@dataclass
class Blocks:
    """An image stored in blocks, each of which is decoded whole; the last ones used are kept.

    `fetch` gives the block of a place on the lattice of blocks; at the end of an axis it may be cut or padded.
    """

    shape: tuple[int, ...]  # (C, *S)
    dtype: np.dtype
    block: tuple[int, ...]
    fetch: Callable[[tuple[int, ...]], np.ndarray]
    _kept: OrderedDict[tuple[int, ...], np.ndarray] = field(default_factory=OrderedDict, repr=False)

    def __getitem__(self, index: Index) -> np.ndarray:
        """A box, put together from the blocks that it touches."""
        box = [range(*part.indices(size)) for part, size in zip(index, self.shape, strict=True)]
        result = np.empty([len(part) for part in box], self.dtype)
        if not result.size:
            return result
        axes = [range(part.start // n, -(-part.stop // n)) for part, n in zip(box, self.block, strict=True)]
        for place in product(*axes):
            into, of = [], []
            for number, part, n in zip(place, box, self.block, strict=True):
                low, high = max(part.start, number * n), min(part.stop, (number + 1) * n)
                into.append(slice(low - part.start, high - part.start))
                of.append(slice(low - number * n, high - number * n))
            result[tuple(into)] = self._block(place)[tuple(of)]
        return result

    def _block(self, place: tuple[int, ...]) -> np.ndarray:
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        block = self._kept[place] = self.fetch(place)
        while len(self._kept) > 1 and len(self._kept) * block.nbytes > KEPT_BYTES:
            self._kept.popitem(last=False)
        return block


@dataclass(frozen=True)
class Mapped:
    """An image that lies in its file number by number; each box is mapped alone, so that nothing piles up."""

    path: Path
    offset: int  # where the numbers begin
    stored: tuple[int, ...]  # shape in the file
    kind: np.dtype  # type in the file, with its byte order
    order: Literal["C", "F"]  # whether the last axis runs fastest, or the first
    arranged: Callable[[np.ndarray], np.ndarray]  # gives the stored array as a view (C, *S)
    finished: Callable[[np.ndarray], np.ndarray]  # gives the numbers that are meant by those that are stored

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *S)."""
        return self._view().shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers that are meant."""
        return self.finished(np.zeros(1, self.kind)).dtype

    @property
    def block(self) -> tuple[int, ...]:
        """One plane across the spatial axis that runs slowest in the file, of one channel where these lie apart."""
        view = self._view()
        steps = [abs(step) * (n > 1) for step, n in zip(view.strides, view.shape, strict=True)]
        slowest = 1 + int(np.argmax(steps[1:]))
        apart = {0, slowest} if steps[0] > steps[slowest] else {slowest}
        return tuple(1 if axis in apart else n for axis, n in enumerate(view.shape))

    def __getitem__(self, index: Index) -> np.ndarray:
        """A box, copied."""
        return self.finished(np.array(self._view()[index]))

    def _view(self) -> np.ndarray:
        return self.arranged(np.memmap(self.path, self.kind, "r", self.offset, self.stored, self.order))


@dataclass(frozen=True)
class Channels:
    """Channels from several images on one grid, or one image repeated."""

    parts: tuple[Boxes, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *S)."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """A type that holds the numbers of every part."""
        return np.result_type(*(part.dtype for part in self.parts))

    @property
    def block(self) -> tuple[int, ...]:
        """The blocks of the first image, all channels at once."""
        return (self.shape[0], *self.parts[0].block[1:])

    def __getitem__(self, index: Index) -> np.ndarray:
        """A box."""
        spatial = (slice(None), *index[1:])
        seen: dict[int, np.ndarray] = {}
        for part in self.parts:
            if id(part) not in seen:
                seen[id(part)] = part[spatial]
        return np.concatenate([seen[id(part)] for part in self.parts])[index[0]]
