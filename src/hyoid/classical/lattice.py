"""Gaussian filtering in many dimensions, on the permutohedral lattice: the cost grows with points, not with pairs.

The features of each point lie in a simplex of the lattice that tiles the space; values are spread onto its d + 1
corners, blurred along the d + 1 axes of the lattice, and read back. For N points of d features this takes
O(d^2 N) time and about 8 (d + 1) N bytes.

Reference:
    adams2010permutohedral.
"""

from __future__ import annotations

import math

import numpy as np

from ..core.errors import DataError
from ..ops.loops import compiled_fast


class Lattice:
    """Where points lie on the lattice; any values of them can then be filtered.

    Args:
        features: Shape (N, d), in standard deviations of the Gaussian.

    Raises:
        DataError: When features spread so far, in so many dimensions, that corners cannot be numbered.
    """

    def __init__(self, features: np.ndarray) -> None:
        features = np.ascontiguousarray(features, np.float32)
        number, dims = features.shape
        scale = (math.sqrt(2 / 3) * (dims + 1) / np.sqrt(np.arange(1, dims + 1) * np.arange(2, dims + 2))).astype(
            np.float32
        )
        low, high = _reach(features, scale)
        digits = np.array([b - a + 4 * dims + 8 for a, b in zip(low[:dims], high[:dims], strict=True)], np.int64)
        if math.log2(math.prod(int(d) for d in digits)) > 62:
            raise DataError("a dense random field cannot tell so many channels apart; give it fewer.")
        radix = np.ones(dims, np.int64)
        for axis in range(1, dims):
            radix[axis] = radix[axis - 1] * digits[axis - 1]
        shift = np.array([2 * dims + 4 - a for a in low[:dims]], np.int64)
        self.corners = np.empty((number, dims + 1), np.int32)
        self.shares = np.empty((number, dims + 1), np.float32)
        codes, table = _place(features, scale, radix, shift, self.corners, self.shares)
        self.neighbours = _neighbours(codes, table, radix, dims)
        self._gain = 1 / (1 + 2.0**-dims)

    def filter(self, values: np.ndarray) -> np.ndarray:
        """The sum over all points, the point itself among them, weighed by exp(-|f_i - f_j|^2 / 2), up to a factor.

        Args:
            values: Shape (N, K).
        """
        size = len(self.neighbours)
        spread = np.zeros((size + 1, values.shape[1]), np.float32)
        _spread(self.corners, self.shares, np.ascontiguousarray(values, np.float32), spread)
        other = np.zeros_like(spread)
        for axis in range(self.neighbours.shape[1]):
            _blur(spread, other, self.neighbours, axis)
            spread, other = other, spread
        result = np.empty(values.shape, np.float32)
        _read(self.corners, self.shares, spread, result, np.float32(self._gain))
        return result


@compiled_fast
def _elevate(feature: np.ndarray, scale: np.ndarray, raised: np.ndarray) -> None:
    """The point on the plane of d + 1 coordinates whose sum is 0."""
    total = np.float32(0)
    for axis in range(feature.size, 0, -1):
        step = feature[axis - 1] * scale[axis - 1]
        raised[axis] = total - axis * step
        total += step
    raised[0] = total


@compiled_fast
def _reach(features: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dims = features.shape[1]
    raised = np.empty(dims + 1, np.float32)
    low = np.zeros(dims + 1, np.int64)
    high = np.zeros(dims + 1, np.int64)
    for point in range(features.shape[0]):
        _elevate(features[point], scale, raised)
        for axis in range(dims + 1):
            low[axis] = min(low[axis], math.floor(raised[axis]))
            high[axis] = max(high[axis], math.ceil(raised[axis]))
    return low, high


@compiled_fast
def _find(code: int, codes: np.ndarray, table: np.ndarray) -> int:
    """Where in the table a code is, or the free place where it would be."""
    mask = table.size - 1
    mixed = code * 0x9E3779B97F4A7C1
    at = (mixed ^ (mixed >> 29)) & mask
    while table[at] >= 0 and codes[table[at]] != code:
        at = (at + 1) & mask
    return at


@compiled_fast
def _place(
    features: np.ndarray,
    scale: np.ndarray,
    radix: np.ndarray,
    shift: np.ndarray,
    corners: np.ndarray,
    shares: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The corners of each point's simplex and their shares; the code of each corner, and a table to find it."""
    number, dims = features.shape
    raised = np.empty(dims + 1, np.float32)
    base = np.empty(dims + 1, np.int64)
    rank = np.empty(dims + 1, np.int64)
    weight = np.empty(dims + 2, np.float32)
    table = np.full(1 << 14, -1, np.int32)
    codes = np.empty(1 << 13, np.int64)
    count = 0
    for point in range(number):
        _elevate(features[point], scale, raised)
        total = 0
        for axis in range(dims + 1):
            down = math.floor(raised[axis] / (dims + 1))
            near = down + 1 if (down + 1) * (dims + 1) - raised[axis] < raised[axis] - down * (dims + 1) else down
            base[axis] = near * (dims + 1)
            total += near
        rank[:] = 0
        for i in range(dims):
            for j in range(i + 1, dims + 1):
                if raised[i] - base[i] < raised[j] - base[j]:
                    rank[i] += 1
                else:
                    rank[j] += 1
        for axis in range(dims + 1):
            rank[axis] += total
            if rank[axis] < 0:
                rank[axis] += dims + 1
                base[axis] += dims + 1
            elif rank[axis] > dims:
                rank[axis] -= dims + 1
                base[axis] -= dims + 1
        weight[:] = 0
        for axis in range(dims + 1):
            step = (raised[axis] - base[axis]) / (dims + 1)
            weight[dims - rank[axis]] += step
            weight[dims + 1 - rank[axis]] -= step
        weight[0] += 1 + weight[dims + 1]
        for corner in range(dims + 1):
            code = 0
            for axis in range(dims):
                step = corner if rank[axis] <= dims - corner else corner - (dims + 1)
                code += (base[axis] + step + shift[axis]) * radix[axis]
            at = _find(code, codes, table)
            if table[at] < 0:
                if count == codes.size:
                    grown = np.empty(2 * count, np.int64)
                    grown[:count] = codes
                    codes = grown
                    table = np.full(2 * table.size, -1, np.int32)
                    for known in range(count):
                        table[_find(codes[known], codes, table)] = known
                    at = _find(code, codes, table)
                codes[count] = code
                table[at] = count
                count += 1
            corners[point, corner] = table[at]
            shares[point, corner] = weight[corner]
    return codes[:count], table


@compiled_fast
def _neighbours(codes: np.ndarray, table: np.ndarray, radix: np.ndarray, dims: int) -> np.ndarray:
    """The two neighbours of each corner along each axis of the lattice; the number of corners where there is none."""
    number = codes.size
    result = np.empty((number, dims + 1, 2), np.int32)
    for axis in range(dims + 1):
        step = 0
        for other in range(dims):
            step += radix[other] * (dims if other == axis else -1)
        for corner in range(number):
            for side in range(2):
                at = table[_find(codes[corner] + (step if side else -step), codes, table)]
                result[corner, axis, side] = at if at >= 0 else number
    return result


@compiled_fast
def _spread(corners: np.ndarray, shares: np.ndarray, values: np.ndarray, spread: np.ndarray) -> None:
    for point in range(corners.shape[0]):
        for corner in range(corners.shape[1]):
            at, share = corners[point, corner], shares[point, corner]
            for k in range(values.shape[1]):
                spread[at, k] += share * values[point, k]


@compiled_fast
def _blur(spread: np.ndarray, result: np.ndarray, neighbours: np.ndarray, axis: int) -> None:
    for corner in range(neighbours.shape[0]):
        one, other = neighbours[corner, axis, 0], neighbours[corner, axis, 1]
        for k in range(spread.shape[1]):
            result[corner, k] = spread[corner, k] + np.float32(0.5) * (spread[one, k] + spread[other, k])


@compiled_fast
def _read(corners: np.ndarray, shares: np.ndarray, spread: np.ndarray, result: np.ndarray, gain: np.float32) -> None:
    for point in range(corners.shape[0]):
        for k in range(spread.shape[1]):
            total = np.float32(0)
            for corner in range(corners.shape[1]):
                total += shares[point, corner] * spread[corners[point, corner], k]
            result[point, k] = gain * total
