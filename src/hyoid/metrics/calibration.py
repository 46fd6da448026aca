"""Metrics of probabilities: do they rank voxels rightly, and do they mean what they say.

A *confidence* is what a probability claims (of the structure; with several classes, of the likeliest class), a *hit*
whether the claim is true there. Bins are [0, 1/n), ..., [1 - 1/n, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.registry import Registry
from .finding import Compared
from .metric import Bins, Metric, metric

probability_metrics: Registry[Metric] = Registry("metric of probabilities", checked=True)

_SMALLEST = 1e-12
"""Probabilities below count as this much, so that one sure mistake does not make a mean infinite."""


@dataclass(frozen=True)
class Beliefs(Compared):
    """Probabilities beside the truth.

    Attributes:
        probabilities: (voxels,) of one structure, or (classes, voxels) that add up to one.
        reference: (voxels,) true or false, or the index of the class.
    """

    probabilities: np.ndarray
    reference: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float] | None = None) -> Beliefs:
        """Probabilities of one structure (*S) with its mask (*S), or of all classes (C, *S) with their indices (*S).

        Args:
            probabilities: Between 0 and 1.
            reference: Boolean mask, or integers below C.
            spacing_mm: Not used: every voxel counts the same.

        Raises:
            DataError: When shapes do not fit or numbers are not probabilities.
        """
        probabilities, reference = np.asarray(probabilities, float), np.asarray(reference)
        several = probabilities.ndim == reference.ndim + 1
        if probabilities.shape[several:] != reference.shape:
            raise DataError(
                f"Probabilities {probabilities.shape} do not lie on their reference {reference.shape}; expected the "
                "same shape, or one more axis of classes in front."
            )
        if probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1):
            raise DataError("Probabilities lie between 0 and 1; apply sigmoid or softmax to logits first.")
        if several:
            return cls(probabilities.reshape(len(probabilities), -1), reference.reshape(-1).astype(np.intp))
        return cls(probabilities.reshape(-1), reference.reshape(-1).astype(bool))

    @property
    def several(self) -> bool:
        """Whether there is a probability for each class."""
        return self.probabilities.ndim == 2

    @cached_property
    def confidence(self) -> np.ndarray:
        """What is claimed at each voxel."""
        return self.probabilities.max(0) if self.several else self.probabilities

    @cached_property
    def hit(self) -> np.ndarray:
        """Whether the claim is true."""
        return self.probabilities.argmax(0) == self.reference if self.several else self.reference

    @cached_property
    def of_truth(self) -> np.ndarray:
        """The probability that was given to what is there."""
        if self.several:
            return np.take_along_axis(self.probabilities, self.reference[None], 0)[0]
        return np.where(self.reference, self.probabilities, 1 - self.probabilities)

    @cached_property
    def ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """True and false positives when everything from each distinct probability upwards is marked, from 0.

        Raises:
            DataError: With several classes, which have no one order.
        """
        if self.several:
            raise DataError("auc_roc and average_precision are of one structure; give its probabilities (*S) alone.")
        order = np.argsort(-self.probabilities, kind="stable")
        scores, truth = self.probabilities[order], self.reference[order]
        last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
        true = np.cumsum(truth)[last]
        return np.concatenate([[0], true]), np.concatenate([[0], last + 1 - true])


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows: for each bin the mean confidence, the share of hits, and the voxels."""

    confidence: np.ndarray
    frequency: np.ndarray
    count: np.ndarray


_FACTS: dict[str, Any] = {"shelf": probability_metrics, "compares": Beliefs, "defined_for_empty": True}
_ERROR: dict[str, Any] = {"best": 0.0, "worst": 1.0, **_FACTS}
_SHARE: dict[str, Any] = {"best": 1.0, "worst": 0.0, **_FACTS}


def reliability(beliefs: Beliefs, bins: Bins = 15) -> Reliability:
    """Mean confidence and share of hits in bins of equal width; bins without a voxel are left out."""
    place = np.minimum((beliefs.confidence * bins).astype(np.intp), bins - 1)
    count = np.bincount(place, minlength=bins)
    some = count > 0
    sums = [np.bincount(place, weights, bins)[some] for weights in (beliefs.confidence, beliefs.hit)]
    return Reliability(sums[0] / count[some], sums[1] / count[some], count[some])


@metric("ece", papers="guo2017calibration", convention="bins of equal width, weighted", **_ERROR)
def ece(beliefs: Beliefs, bins: Bins = 15) -> float:
    """Expected calibration error: mean over voxels of |share of hits - mean confidence| of their bin.

    Background that is easy fills the lowest bin and makes it small: judge a box around the structure, or read `mce`.
    """
    found = reliability(beliefs, bins)
    return float((found.count * np.abs(found.frequency - found.confidence)).sum() / found.count.sum())


@metric("average_calibration_error", papers="neumann2018relaxed", convention="bins of equal width, alike", **_ERROR)
def average_calibration_error(beliefs: Beliefs, bins: Bins = 15) -> float:
    """Mean over bins of |share of hits - mean confidence|, each bin that has a voxel counting the same."""
    found = reliability(beliefs, bins)
    return float(np.abs(found.frequency - found.confidence).mean())


@metric("mce", papers="guo2017calibration", convention="bins of equal width, largest", **_ERROR)
def mce(beliefs: Beliefs, bins: Bins = 15) -> float:
    """Maximum calibration error: the largest |share of hits - mean confidence| of a bin."""
    found = reliability(beliefs, bins)
    return float(np.abs(found.frequency - found.confidence).max())


@metric("ace", papers="nixon2019measuring", convention="bins of equal count", **_ERROR)
def ace(beliefs: Beliefs, bins: Bins = 15) -> float:
    """Adaptive calibration error: mean of |share of hits - mean confidence| over bins that hold equally many voxels.

    Voxels of one confidence share their hits, so that their order does not matter where a bin ends between them.
    Some toolkits call the mean over bins of equal width by the same letters: here `average_calibration_error`.
    """
    levels, level, count = np.unique(beliefs.confidence, return_inverse=True, return_counts=True)
    share = np.bincount(level.ravel(), beliefs.hit.ravel()) / count
    gaps = np.repeat(share - levels, count)
    return float(np.mean([abs(part.mean()) for part in np.array_split(gaps, bins) if len(part)]))


@metric("brier", papers="brier1950verification", **_ERROR)
def brier(beliefs: Beliefs) -> float:
    """Mean squared difference of probability and truth; with several classes half of their sum, so that 1 is worst."""
    if not beliefs.several:
        return float(np.mean((beliefs.probabilities - beliefs.reference) ** 2))
    others = (beliefs.probabilities**2).sum(0) - beliefs.of_truth**2
    return float(np.mean((1 - beliefs.of_truth) ** 2 + others) / 2)


@metric("nll", papers="guo2017calibration", best=0.0, worst=float("inf"), unit="nats", **_FACTS)
def nll(beliefs: Beliefs) -> float:
    """Mean of -log p of what is there; probabilities below 1e-12 count as 1e-12."""
    return float(-np.log(np.maximum(beliefs.of_truth, _SMALLEST)).mean())


@metric("auc_roc", papers="hanley1982meaning", **_SHARE)
def auc_roc(beliefs: Beliefs) -> float:
    """Probability that a voxel of the structure has a higher value than one outside; ties count half.

    NaN when the reference is empty or fills the image: there is nothing to tell apart.
    """
    true, false = beliefs.ranked
    if not true[-1] or not false[-1]:
        return float("nan")
    return float(np.trapezoid(true / true[-1], false / false[-1]))


@metric("average_precision", papers="davis2006relationship", convention="steps, not trapezia", **_SHARE)
def average_precision(beliefs: Beliefs) -> float:
    """Mean precision over all thresholds, weighted by the recall that each adds. NaN when the reference is empty."""
    true, false = beliefs.ranked
    if not true[-1]:
        return float("nan")
    return float((np.diff(true) * (true[1:] / (true[1:] + false[1:]))).sum() / true[-1])
