"""Statistics of a stream of numbers that is never held in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_DROPPED_BITS = 12
"""Mantissa bits of float32 that the histogram forgets; 11 stay, so integers up to 4096 are exact."""

_ZERO = 1 << (31 - _DROPPED_BITS)
"""Bin of the number 0."""

_CHUNK = 1 << 18


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
        self._bins = np.zeros(2 * _ZERO + 1, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Take in finite numbers of any shape; an empty array changes nothing."""
        for chunk in _chunks(values):
            np.add.at(self._bins, _bins(chunk), 1)
            mean = float(chunk.mean())
            self.min, self.max = min(self.min, float(chunk.min())), max(self.max, float(chunk.max()))
            self._combine(chunk.size, mean, float(np.square(chunk - mean).sum()))

    def merge(self, other: Statistics) -> None:
        """Take in everything that the other has seen."""
        if other.count:
            self._bins += other._bins
            self.min, self.max = min(self.min, other.min), max(self.max, other.max)
            self._combine(other.count, other.mean, other._squares)

    @property
    def std(self) -> float:
        """Standard deviation of the population; NaN when nothing was added."""
        return float(np.sqrt(self._squares / self.count)) if self.count else float("nan")

    def percentile(self, q: float) -> float:
        """The value below which q per cent lie, interpolated as NumPy does; NaN when nothing was added."""
        if not self.count:
            return float("nan")
        reached = np.cumsum(self._bins)
        rank = q / 100 * (self.count - 1)
        whole = int(rank)
        low = _value(int(np.searchsorted(reached, whole, "right")))
        high = _value(int(np.searchsorted(reached, min(whole + 1, self.count - 1), "right")))
        return float(np.clip(low + (rank - whole) * (high - low), self.min, self.max))

    def _combine(self, count: int, mean: float, squares: float) -> None:
        if not self.count:
            self.count, self.mean, self._squares = count, mean, squares
            return
        total, shift = self.count + count, mean - self.mean
        self._squares += squares + shift * shift * self.count * count / total
        self.mean += shift * count / total
        self.count = total


def mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation in float64, without a float64 copy of the array."""
    count, mean, squares = 0, 0.0, 0.0
    for chunk in _chunks(values):
        shift = float(chunk.mean()) - mean
        squares += float(np.square(chunk - chunk.mean()).sum())
        squares += shift * shift * count * chunk.size / (count + chunk.size)
        count += chunk.size
        mean += shift * chunk.size / count
    return mean, float(np.sqrt(squares / max(count, 1)))


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers as float64, a few at a time, in the order of memory."""
    for part in np.nditer(
        np.asarray(values),
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=np.float64,
        casting="same_kind",
        buffersize=_CHUNK,
    ):
        chunk = np.asarray(part)
        if chunk.size:
            yield chunk


def _bins(values: np.ndarray) -> np.ndarray:
    """The bin of each number: the leading bits of its float32, in ascending order of value."""
    bits = values.astype(np.float32).view(np.int32).astype(np.int64)
    # The pattern of a negative float counts downwards from -2**31; turned round, patterns are ordered like numbers.
    ordered = np.where(bits >= 0, bits, -(2**31) - bits)
    return ((ordered + (1 << (_DROPPED_BITS - 1))) >> _DROPPED_BITS) + _ZERO


def _value(index: int) -> float:
    """The number that a bin stands for."""
    key = index - _ZERO
    bits = np.array(abs(key) << _DROPPED_BITS, np.int32)
    return float(np.copysign(bits.view(np.float32), key))
