"""What one pass over label maps tells of all their values: boxes, and how often two values meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .loops import compiled
from .morphology import bounding_box

Box = tuple[slice, ...]

_LARGEST_IN_A_TABLE = 65535


def boxes_of_values(array: np.ndarray, values: Sequence[int]) -> dict[int, Box]:
    """The smallest box that holds each of these values; values that are nowhere are left out. About 1 ns a voxel.

    Args:
        array: Integers (*S) of two or three axes.
        values: What is looked for.
    """
    if min(values) < 0 or max(values) > _LARGEST_IN_A_TABLE:
        found = {value: bounding_box(array == value) for value in values}
        return {value: box for value, box in found.items() if box is not None}
    wanted = np.zeros(max(values) + 2, bool)
    wanted[list(values)] = True
    # Boxes are found whatever the order of axes, so the scan follows memory.
    turned, order = _in_memory_order(array)
    low = np.full((len(wanted), 3), np.iinfo(np.int64).max)
    high = np.full((len(wanted), 3), -1)
    _scan_boxes(turned if turned.ndim == 3 else turned[None], wanted, low, high)
    place = np.argsort(order)
    boxes = {}
    for value in values:
        if high[value, 2] >= 0:
            spans = list(zip(low[value], high[value] + 1, strict=True))[3 - array.ndim :]
            boxes[value] = tuple(slice(int(spans[axis][0]), int(spans[axis][1])) for axis in place)
    return boxes


def count_meetings(one: np.ndarray, other: np.ndarray, one_size: int, other_size: int) -> np.ndarray:
    """How many voxels hold value i in one and j in the other, int64 (one_size, other_size).

    Args:
        one: Integers (*S) from 0 to below `one_size`.
        other: Integers (*S) from 0 to below `other_size`.
        one_size: Number of rows.
        other_size: Number of columns.
    """
    counts = np.zeros((one_size, other_size), np.int64)
    if one.flags.f_contiguous and other.flags.f_contiguous:
        one, other = one.T, other.T
    _count(np.ascontiguousarray(one).reshape(-1), np.ascontiguousarray(other).reshape(-1), counts)
    return counts


def count_values(flat: np.ndarray, size: int) -> np.ndarray:
    """How often each value from 0 to below `size` occurs, int64 (size,); no memory beside it, about 1 ns a voxel.

    Args:
        flat: Integers (N,) from 0 to below `size`.
        size: Number of counts.
    """
    counts = np.zeros(size, np.int64)
    _count_runs(flat, counts)
    return counts


def _in_memory_order(array: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The array with its axes from the widest stride to the narrowest, and which axis went where."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return array.transpose(order), order


@compiled
def _scan_boxes(array, wanted, low, high):  # type: ignore[no-untyped-def]
    """Runs of equal values along the last axis widen the boxes."""
    size, length = len(wanted), array.shape[2]
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            k = 0
            while k < length:
                value = array[i, j, k]
                start = k
                k += 1
                while k < length and array[i, j, k] == value:
                    k += 1
                if value < 0 or value >= size or not wanted[value]:
                    continue
                low[value, 0] = min(low[value, 0], i)
                low[value, 1] = min(low[value, 1], j)
                low[value, 2] = min(low[value, 2], start)
                high[value, 0] = max(high[value, 0], i)
                high[value, 1] = max(high[value, 1], j)
                high[value, 2] = max(high[value, 2], k - 1)


@compiled
def _count(one, other, counts):  # type: ignore[no-untyped-def]
    """Runs of equal pairs are added at once."""
    n, k = len(one), 0
    while k < n:
        first, second, start = one[k], other[k], k
        k += 1
        while k < n and one[k] == first and other[k] == second:
            k += 1
        counts[first, second] += k - start


@compiled
def _count_runs(flat, counts):  # type: ignore[no-untyped-def]
    """Runs of equal values are added at once."""
    n, k = len(flat), 0
    while k < n:
        value, start = flat[k], k
        k += 1
        while k < n and flat[k] == value:
            k += 1
        counts[value] += k - start
