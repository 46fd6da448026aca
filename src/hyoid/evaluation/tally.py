"""Probabilities of one structure counted by value and truth: little memory, and every number of certainty follows.

A probability, or its distance from 1 when that is smaller, is rounded to 11 binary digits: 79875 values from 0 to 1,
closest at both ends. Two counts of each value, of all voxels and of those that hold the structure, say the same about
calibration, ranking and surprise as all voxels together do.
"""

from __future__ import annotations

import numpy as np

BINS = 15
"""Bins of a reliability diagram."""

CERTAINTY_METRICS = ("ece", "ace", "brier", "nll", "auc_roc", "average_precision")

_DROPPED = 13
"""Last digits of a float32 that are rounded away."""

_LEAST = int(np.float32(2**-40).view(np.uint32) >> _DROPPED)
"""The smallest number but 0 that is told apart, as an integer; larger numbers have larger integers."""

_HALF = int(np.float32(0.5).view(np.uint32) >> _DROPPED) - _LEAST + 1
"""Place of 0.5 among the values; that of 0 is 0."""

_FLOATS = (np.arange(_LEAST, _LEAST + _HALF, dtype=np.uint32) << _DROPPED).view(np.float32)
_LOWER = np.concatenate([[0.0], _FLOATS.astype(float)])
_VALUES = np.concatenate([_LOWER, 1 - _LOWER[-2::-1]])
_REST = np.concatenate([1 - _LOWER, _LOWER[-2::-1]])
_SMALLEST = 1e-12
_BIN_OF = np.minimum((_VALUES * BINS).astype(np.intp), BINS - 1)


class Tally:
    """Counts of probabilities; parts of an image may come one after the other."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, len(_VALUES)), np.int64)

    def add(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        """Count voxels.

        Args:
            probabilities: Of the structure, 0 to 1, any shape.
            truth: Boolean, the same shape.
        """
        flat = probabilities.reshape(-1).astype(np.float32)
        upper = flat > 0.5
        np.subtract(1, flat, out=flat, where=upper)
        rounded = (np.abs(flat).view(np.uint32) + (1 << (_DROPPED - 1))) >> _DROPPED
        index = np.clip(rounded.astype(np.intp) - _LEAST + 1, 0, _HALF)
        np.subtract(len(_VALUES) - 1, index, out=index, where=upper)
        index[truth.reshape(-1)] += len(_VALUES)
        self.counts += np.bincount(index, minlength=self.counts.size).reshape(2, -1)

    @property
    def num_voxels(self) -> int:
        """Voxels that were counted."""
        return int(self.counts.sum())

    def bins(self) -> np.ndarray:
        """(BINS, 3): voxels, sum of probabilities, and voxels of the structure in bins of equal width."""
        total = self.counts.sum(0)
        columns = (total, total * _VALUES, self.counts[1])
        return np.stack([np.bincount(_BIN_OF, column, BINS) for column in columns], axis=1)

    def numbers(self) -> dict[str, float]:
        """The metrics of certainty, as `metrics.calibration` defines them; NaN where the counts do not tell."""
        number, total, true = self.num_voxels, self.counts.sum(0), self.counts[1]
        if not number:
            return dict.fromkeys(CERTAINTY_METRICS, float("nan"))
        surprise = true * np.log(np.maximum(_VALUES, _SMALLEST))
        surprise += (total - true) * np.log(np.maximum(_REST, _SMALLEST))
        return {
            "ece": ece(self.bins()),
            "ace": self._ace(),
            "brier": float((total * _VALUES**2 - 2 * true * _VALUES + true).sum() / number),
            "nll": float(-surprise.sum() / number) + 0.0,
            **self._ranking(),
        }

    def _ace(self) -> float:
        """Bins of equal count; voxels of one probability that lie in two bins are shared out alike."""
        total = self.counts.sum(0)
        upto = np.concatenate([[0], np.cumsum(total)])
        edges = np.linspace(0, upto[-1], BINS + 1)
        confidence, hits = (
            np.diff(np.interp(edges, upto, np.concatenate([[0], np.cumsum(column)])))
            for column in (total * _VALUES, self.counts[1])
        )
        return float(np.abs(hits - confidence).mean() * BINS / upto[-1])

    def _ranking(self) -> dict[str, float]:
        true, false = (np.cumsum(column[::-1]) for column in (self.counts[1], self.counts[0]))
        roc, precision = float("nan"), float("nan")
        if true[-1]:
            new = np.diff(true, prepend=0)
            marked = np.maximum(true + false, 1)
            precision = float((new * (true / marked)).sum() / true[-1])
            if false[-1]:
                roc = float(np.trapezoid(np.append(0, true) / true[-1], np.append(0, false) / false[-1]))
        return {"auc_roc": roc, "average_precision": precision}


def ece(bins: np.ndarray) -> float:
    """Expected calibration error of counted bins (BINS, 3): mean over voxels of |share of hits - mean probability|."""
    count = bins[:, 0].sum()
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / count) if count else float("nan")
