"""Boxes of arrays, which may reach outside of them, and arrays that are scaled as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Border = Literal["zero", "mirror"]
"""What lies outside of an image: zeros, or the image mirrored at its outermost voxels."""


@dataclass(frozen=True)
class Scaled:
    """A memory-mapped array that reads as float32: `stored * scale + offset` for each channel."""

    stored: np.ndarray
    scale: np.ndarray
    offset: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *S)."""
        return self.stored.shape

    def __getitem__(self, index: Any) -> np.ndarray:
        """A part as float32; only what is asked for is read. The first index must keep the channel axis."""
        index = index if isinstance(index, tuple) else (index,)
        channels = index[0] if index and index[0] is not Ellipsis else slice(None)
        part = self.stored[index].astype(np.float32)
        column = (-1,) + (1,) * (part.ndim - 1)
        part *= self.scale[channels].reshape(column)
        part += self.offset[channels].reshape(column)
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole image."""
        return self[:] if dtype is None else self[:].astype(dtype)


def read_box(
    array: np.ndarray | Scaled, start: Sequence[int], shape: Sequence[int], border: Border = "zero"
) -> np.ndarray:
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
