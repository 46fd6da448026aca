"""Boxes: what stands in for an array that stays on disk and is read box by box."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Protocol

import numpy as np

WALKED = 2**22
"""Numbers that are read at once when a whole image is walked through."""

Index = tuple[slice, ...]


class Boxes(Protocol):
    """What stands in for an array (C, *S) that stays on disk.

    Attributes:
        shape: (C, *S).
        dtype: Type of its numbers.
        block: Shape of the parts in which it is read without reading anything twice.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def block(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Index) -> np.ndarray:
        """A box in memory; a slice without steps for each axis."""


class Filled(Protocol):
    """Labels (*S) that are written and read box by box, in memory or on disk."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, place: Index) -> np.ndarray:
        """A box in memory."""

    def __setitem__(self, place: Index, box: np.ndarray) -> None:
        """Keep the numbers of a box."""


def walk(boxes: Boxes, within: Sequence[slice]) -> Iterator[Index]:
    """Boxes that together are a box (C, *S) of an image, in an order that is read quickly."""
    step = list(boxes.block)
    for axis in reversed(range(len(step))):
        times = max(1, WALKED // math.prod(step))
        step[axis] = min(step[axis] * times, max(step[axis], boxes.shape[axis]))
    axes = []
    for limit, one in zip(within, step, strict=True):
        first = limit.start // one * one
        cuts = [slice(max(a, limit.start), min(a + one, limit.stop)) for a in range(first, limit.stop, one)]
        axes.append(cuts)
    yield from product(*axes)
