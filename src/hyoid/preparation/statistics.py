"""Mean, standard deviation and percentiles of numbers that may be too many to hold or copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

_CHUNK = 1 << 18
_HALF = 1 << 16


class Moments:
    """Mean and standard deviation in float64 of numbers that come part by part (chan1983variance)."""

    def __init__(self) -> None:
        self.mean, self._count, self._squares = 0.0, 0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Hear some more numbers."""
        for chunk in _chunks(values):
            shift = float(chunk.mean()) - self.mean
            self._squares += float(np.square(chunk - chunk.mean()).sum())
            self._squares += shift * shift * self._count * chunk.size / (self._count + chunk.size)
            self._count += chunk.size
            self.mean += shift * chunk.size / self._count

    @property
    def std(self) -> float:
        """Standard deviation of all that was heard."""
        return float(np.sqrt(self._squares / max(self._count, 1)))


def mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation in float64, combined chunk by chunk."""
    moments = Moments()
    moments.add(values)
    return moments.mean, moments.std


class Ranks:
    """Exact order statistics of numbers that come part by part, twice: as float32, memory of a few histograms.

    The 32 bits of a number, turned so that they sort as it does, are counted by their upper half in the first pass,
    and in the second by their lower half where the wanted ranks lie.

    Between neighbouring ranks the wanted percentiles are read linearly.
    """

    def __init__(self, percents: Sequence[float]) -> None:
        self.percents = percents
        self._upper = np.zeros(_HALF, np.int64)
        self._lower: dict[int, np.ndarray] = {}

    def count(self, values: np.ndarray) -> None:
        """First pass."""
        self._upper += np.bincount(_sortable(values) >> 16, minlength=_HALF)

    def refine(self, values: np.ndarray) -> None:
        """Second pass, over the same numbers."""
        if not self._lower:
            ranks = [rank for percent in self.percents for rank in self._around(percent)[:2]]
            self._lower = {self._place(self._upper, rank)[0]: np.zeros(_HALF, np.int64) for rank in ranks}
        keys = _sortable(values)
        for upper, counts in self._lower.items():
            counts += np.bincount(keys[keys >> 16 == upper] & (_HALF - 1), minlength=_HALF)

    def found(self) -> list[float]:
        """The percentiles."""
        found = []
        for low, high, share in map(self._around, self.percents):
            below, above = self._value(low), self._value(high)
            found.append(below + (above - below) * share)
        return found

    def _around(self, percent: float) -> tuple[int, int, float]:
        last = int(self._upper.sum()) - 1
        place = percent / 100 * last
        return int(place), min(int(place) + 1, last), place - int(place)

    def _value(self, rank: int) -> float:
        upper, rest = self._place(self._upper, rank)
        lower, _ = self._place(self._lower[upper], rest)
        key = upper << 16 | lower
        bits = key ^ 0x80000000 if key >> 31 else key ^ 0xFFFFFFFF
        return float(np.array(bits, np.uint32).view(np.float32))

    @staticmethod
    def _place(counts: np.ndarray, rank: int) -> tuple[int, int]:
        """The bin in which a rank lies, and its rank there."""
        until = np.cumsum(counts)
        place = int(np.searchsorted(until, rank, side="right"))
        return place, rank - int(until[place] - counts[place])


def _sortable(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, np.float32).ravel().view(np.uint32)
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


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
