"""Banded operators: linear maps along one axis that read a few neighbours, such as a resize.

A resize or a crop with sub-voxel shift along one axis is a matrix with few non-zeros per row. Writing it down once as
(first column, weights) and applying it axis by axis gives the exact operator of spline interpolation at about a tenth
of the usual cost: O(taps) multiplications per output value and one float32 intermediate per axis.
Values beyond the ends repeat the edge value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .loops import compiled_fast

_POLE = np.sqrt(3.0) - 2.0
"""Pole of the cubic B-spline's inverse filter; sqrt(3) * _POLE**|k| is its impulse response."""

_REACH = 8
"""Neighbours on each side that a cubic spline reads; |_POLE|**8 is 3e-5, below float16 storage."""

# Sizes of blocks that stay in the first cache, and that transpose well; measured, within 20 % of each other nearby.
_BLOCK = 1024
_ROWS = 64
_TURN = 16
_FEW_TAPS = 4


@dataclass(frozen=True)
class Band:
    """A banded matrix with the same number of weights in each row.

    Attributes:
        start: (rows,) first input position each row reads.
        weights: (rows, taps) float32; `start + taps` never passes the end of the input.
    """

    start: np.ndarray
    weights: np.ndarray

    def needed(self) -> tuple[int, int]:
        """The range of input positions that any row reads."""
        return int(self.start.min()), int(self.start.max()) + self.weights.shape[1]

    def shifted(self, by: int) -> Band:
        """The same operator on an input whose first `by` positions were cut off."""
        return Band(self.start - by, self.weights)


def interpolation(positions: np.ndarray, size: int, order: int) -> Band:
    """The operator that reads an axis of this size at fractional positions.

    Args:
        positions: (rows,) in input voxels; the centre of the first voxel is 0.
        size: Number of input voxels; beyond the ends the edge value repeats.
        order: 0 nearest, 1 linear, 3 interpolating cubic B-spline.

    Reference:
        unser1993bspline.
    """
    positions = np.asarray(positions, float)
    if order == 0:
        # Halves go up; the rounding keeps a half that arrived as 0.4999999 a half.
        columns = np.floor(np.round(positions, 6) + 0.5)[:, None]
        return _folded(columns, np.ones_like(columns), size)
    low = np.floor(positions)
    fraction = (positions - low)[:, None]
    if order == 1:
        return _folded(low[:, None] + [0, 1], np.concatenate([1 - fraction, fraction], 1), size)
    if order != 3:
        raise ValueError(f"interpolation order is 0, 1 or 3, got {order}")
    offsets = np.arange(-_REACH, _REACH + 2)
    nodes = np.arange(-1, 3)
    inverse = np.sqrt(3.0) * _POLE ** np.abs(nodes[:, None] - offsets)
    weights = cubic_basis(fraction - nodes) @ inverse
    return _folded(low[:, None] + offsets, weights / weights.sum(1, keepdims=True), size)


def averaging(positions: np.ndarray, size: int, width: float) -> Band:
    """The operator that takes the mean of an axis over `width` voxels around each position; linear interpolation at 1.

    Args:
        positions: (rows,) in input voxels; the centre of the first voxel is 0.
        size: Number of input voxels; beyond the ends the edge value repeats.
        width: In input voxels, at least 1; voxels that are partly covered count by their part.
    """
    left = np.asarray(positions, float)[:, None] - width / 2
    columns = np.floor(left + 0.5) + np.arange(int(np.ceil(width)) + 1)
    covered = np.minimum(columns + 0.5, left + width) - np.maximum(columns - 0.5, left)
    return _folded(columns, np.maximum(covered, 0) / width, size)


def spline_coefficients(size: int, margin: int) -> Band:
    """The operator from samples to cubic B-spline coefficients, with `margin` extra ones beyond both ends."""
    offsets = np.arange(-_REACH, _REACH + 1)
    weights = np.sqrt(3.0) * _POLE ** np.abs(offsets)
    rows = np.arange(-margin, size + margin)[:, None]
    return _folded(rows + offsets, np.broadcast_to(weights / weights.sum(), (len(rows), len(offsets))), size)


def smoothing(size: int, width: float) -> Band:
    """A Gaussian of this width, cut at four widths; the outermost samples are continued.

    Args:
        size: Samples along the axis.
        width: Standard deviation in samples.
    """
    reach = max(1, int(4 * width + 0.5))
    around = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (around / max(width, 1e-3)) ** 2)
    columns = np.arange(size)[:, None] + around
    return _folded(columns, np.broadcast_to(taps / taps.sum(), columns.shape), size)


def cubic_basis(x: np.ndarray) -> np.ndarray:
    """The cubic B-spline at distance x from its centre."""
    x = np.abs(x)
    return np.where(x < 1, 2 / 3 - x * x + x**3 / 2, np.where(x < 2, (2 - x) ** 3 / 6, 0.0))


def apply(array: np.ndarray, band: Band, axis: int) -> np.ndarray:
    """The operator applied along one axis of an array; float32.

    Args:
        array: Any shape and real type; float32 and int16, the type of scanners, are not copied when contiguous.
        band: An operator whose input is this axis.
        axis: Counted from the front.
    """
    low, high = band.needed()
    if (low, high) != (0, array.shape[axis]):
        array = array[(slice(None),) * axis + (slice(low, high),)]
        band = band.shifted(low)
    array = np.ascontiguousarray(array, np.int16 if array.dtype == np.int16 else np.float32)
    rows, shape = len(band.start), array.shape
    outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    result = np.empty((*shape[:axis], rows, *shape[axis + 1 :]), np.float32)
    if inner == 1:
        last = _apply_last_few if band.weights.shape[1] <= _FEW_TAPS else _apply_last_many
        last(array.reshape(outer, -1), band.start, band.weights, result.reshape(outer, rows))
    else:
        source, target = array.reshape(outer, shape[axis], inner), result.reshape(outer, rows, inner)
        _apply_middle(source, band.start, band.weights, target)
    return result


def _folded(columns: np.ndarray, weights: np.ndarray, size: int) -> Band:
    """The band whose columns beyond the ends are moved onto the edge."""
    columns = columns.astype(np.int64)
    rows, taps = columns.shape
    width = min(taps, size)
    start = np.clip(columns[:, 0], 0, size - width)
    folded = np.zeros((rows, width))
    inside = np.clip(columns, 0, size - 1) - start[:, None]
    np.add.at(folded, (np.arange(rows)[:, None], inside), weights)
    return Band(start, folded.astype(np.float32))


@compiled_fast
def _apply_middle(source: np.ndarray, start: np.ndarray, weights: np.ndarray, target: np.ndarray) -> None:
    outer, rows, inner = target.shape
    taps = weights.shape[1]
    total = np.empty(_BLOCK, np.float32)
    for o in range(outer):
        # Blocks keep the running sum in the first cache and the input rows in the second.
        for begin in range(0, inner, _BLOCK):
            length = min(_BLOCK, inner - begin)
            for i in range(rows):
                first, line = weights[i, 0], source[o, start[i], begin : begin + length]
                if taps == 2:
                    second, other = weights[i, 1], source[o, start[i] + 1, begin : begin + length]
                    for k in range(length):
                        target[o, i, begin + k] = first * line[k] + second * other[k]
                    continue
                for k in range(length):
                    total[k] = first * line[k]
                for t in range(1, taps):
                    weight = weights[i, t]
                    line = source[o, start[i] + t, begin : begin + length]
                    for k in range(length):
                        total[k] += weight * line[k]
                for k in range(length):
                    target[o, i, begin + k] = total[k]


@compiled_fast
def _apply_last_few(source: np.ndarray, start: np.ndarray, weights: np.ndarray, target: np.ndarray) -> None:
    if weights.shape[1] == 2:
        first, second = weights[:, 0].copy(), weights[:, 1].copy()
        for o in range(target.shape[0]):
            line = source[o]
            for i in range(target.shape[1]):
                target[o, i] = first[i] * line[start[i]] + second[i] * line[start[i] + 1]
        return
    for o in range(target.shape[0]):
        for i in range(target.shape[1]):
            total = np.float32(0)
            for t in range(weights.shape[1]):
                total += weights[i, t] * source[o, start[i] + t]
            target[o, i] = total


@compiled_fast
def _apply_last_many(source: np.ndarray, start: np.ndarray, weights: np.ndarray, target: np.ndarray) -> None:
    outer, size = source.shape
    rows, taps = weights.shape
    # Many lines at once, turned so that they lie side by side: the sums then run in vector registers.
    lines = np.empty((size, _ROWS), np.float32)
    sums = np.empty((rows, _ROWS), np.float32)
    for begin in range(0, outer, _ROWS):
        count = min(_ROWS, outer - begin)
        for left in range(0, size, _TURN):
            for r in range(count):
                for k in range(left, min(left + _TURN, size)):
                    lines[k, r] = source[begin + r, k]
        for i in range(rows):
            total = sums[i]
            total[:] = 0
            for t in range(taps):
                weight, line = weights[i, t], lines[start[i] + t]
                for r in range(_ROWS):
                    total[r] += weight * line[r]
        for left in range(0, rows, _TURN):
            for r in range(count):
                for i in range(left, min(left + _TURN, rows)):
                    target[begin + r, i] = sums[i, r]
