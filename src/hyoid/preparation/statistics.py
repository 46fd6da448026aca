"""Statistics of a stream of numbers that is never held in memory."""

from __future__ import annotations

import numpy as np

_DROPPED_BITS = 12
"""Mantissa bits of float32 that the histogram forgets; 11 stay, so integers up to 4096 are exact."""

_ZERO = 1 << (31 - _DROPPED_BITS)
"""Bin of the number 0."""

_CHUNK = 1 << 20


class Statistics:
    """Mean, standard deviation, extremes and percentiles of everything that was added.

    Mean and deviation are combined chunk by chunk in float64 (chan1983variance). Percentiles come from a histogram
    over float32 numbers rounded to 12 significant bits: relative error at most 2**-12, any range, 8 MB.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = float("nan")
        self.min = float("inf")
        self.max = float("-inf")
        self._squares = 0.0
        self._bins = np.zeros(0, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Take in finite numbers of any shape; an empty array changes nothing."""
        values = np.asarray(values).ravel()
        for begin in range(0, values.size, _CHUNK):
            chunk = values[begin : begin + _CHUNK].astype(np.float64)
            mean = float(chunk.mean())
            squares = float(np.square(chunk - mean).sum())
            self._combine(chunk.size, mean, squares, float(chunk.min()), float(chunk.max()), _histogram(chunk))

    def merge(self, other: Statistics) -> None:
        """Take in everything that the other has seen."""
        if other.count:
            self._combine(other.count, other.mean, other._squares, other.min, other.max, other._bins)

    @property
    def std(self) -> float:
        """Standard deviation of the population; NaN when nothing was added."""
        return float(np.sqrt(self._squares / self.count)) if self.count else float("nan")

    def percentile(self, q: float) -> float:
        """The value below which q per cent lie; NaN when nothing was added."""
        if not self.count:
            return float("nan")
        reached = np.cumsum(self._bins)
        rank = q / 100 * (self.count - 1)
        low, high = (int(np.searchsorted(reached, np.floor(rank + extra), "right")) for extra in (0, 1))
        high = min(high, int(np.flatnonzero(self._bins)[-1]))
        fraction = rank - np.floor(rank)
        value = _value(low) + fraction * (_value(high) - _value(low))
        return float(np.clip(value, self.min, self.max))

    def _combine(self, count: int, mean: float, squares: float, low: float, high: float, bins: np.ndarray) -> None:
        self.min, self.max = min(self.min, low), max(self.max, high)
        if not self.count:
            self.count, self.mean, self._squares, self._bins = count, mean, squares, bins.copy()
            return
        total = self.count + count
        shift = mean - self.mean
        self._squares += squares + shift * shift * self.count * count / total
        self.mean += shift * count / total
        self.count = total
        self._bins += bins


def _histogram(values: np.ndarray) -> np.ndarray:
    """Counts by the leading bits of each number as float32, in ascending order of value."""
    bits = values.astype(np.float32).view(np.int32).astype(np.int64)
    # The pattern of a negative float counts downwards from -2**31; turned round, patterns are ordered like numbers.
    ordered = np.where(bits >= 0, bits, -(2**31) - bits)
    keys = (ordered + (1 << (_DROPPED_BITS - 1))) >> _DROPPED_BITS
    return np.bincount(keys + _ZERO, minlength=2 * _ZERO + 1)


def _value(index: int) -> float:
    """The number that a bin stands for."""
    key = index - _ZERO
    bits = np.array(abs(key) << _DROPPED_BITS, np.int32)
    return float(np.copysign(bits.view(np.float32), key))
