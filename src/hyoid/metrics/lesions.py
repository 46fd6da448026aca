"""Metrics of detection: are lesions found at all, whatever their size.

A lesion is a connected piece. It counts as found when one voxel of it is marked, and a predicted piece as right when
one of its voxels is marked in the reference. FROC looks at this at every threshold of a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .instances import object_metrics
from .metric import metric
from .objects import Objects

_SHARE: dict[str, Any] = {"shelf": object_metrics, "compares": Objects, "best": 1.0, "worst": 0.0}
_ONE_VOXEL = "one common voxel"

FALSE_POSITIVES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per case at which sensitivities are averaged (LUNA16)."""


@metric("lesion_recall", papers="commowick2018objective", convention=_ONE_VOXEL, **_SHARE)
def lesion_recall(objects: Objects) -> float:
    """Share of the lesions of the reference that any voxel of the prediction touches."""
    return len(np.unique(objects.overlaps[1])) / objects.num_reference


@metric("lesion_precision", papers="commowick2018objective", convention=_ONE_VOXEL, **_SHARE)
def lesion_precision(objects: Objects) -> float:
    """Share of the predicted pieces that touch a lesion of the reference."""
    return len(np.unique(objects.overlaps[0])) / objects.num_predicted


@metric("lesion_f1", papers="commowick2018objective", convention=_ONE_VOXEL, **_SHARE)
def lesion_f1(objects: Objects) -> float:
    """Harmonic mean of the shares of lesions that are found and of predicted pieces that are right."""
    recall, precision = lesion_recall(objects), lesion_precision(objects)
    return 2 * recall * precision / (recall + precision) if recall else 0.0


@dataclass(frozen=True)
class Candidates:
    """What one case gives to a FROC curve.

    Attributes:
        hits: Highest score among the predicted pieces that touch each lesion; minus infinity for lesions none touches.
        false: Scores of the predicted pieces that touch no lesion.
    """

    hits: tuple[float, ...]
    false: tuple[float, ...]


def candidates(probability: np.ndarray, reference: np.ndarray, threshold: float = 0.1) -> Candidates:
    """Connected pieces above a threshold, each scored by its highest probability.

    Args:
        probability: (*S), 0 to 1.
        reference: Boolean (*S), or object numbers.
        threshold: Where pieces are cut out; low, so that the scores tell them apart.
    """
    objects = Objects.of(probability > threshold, reference)
    scores = np.full(objects.num_predicted + 1, -np.inf)
    np.maximum.at(scores, objects.prediction.reshape(-1), np.asarray(probability, float).reshape(-1))
    predicted, lesions, *_ = objects.overlaps
    hits = np.full(objects.num_reference + 1, -np.inf)
    np.maximum.at(hits, lesions, scores[predicted])
    false = np.setdiff1d(np.arange(1, objects.num_predicted + 1), predicted)
    return Candidates(tuple(hits[1:].tolist()), tuple(scores[false].tolist()))


def froc(cases: Sequence[Candidates]) -> tuple[np.ndarray, np.ndarray]:
    """False positives per case and share of found lesions at every score, from strict to lax; both start at 0.

    Reference:
        bandos2009area.
    """
    hits = np.array([score for case in cases for score in case.hits])
    false = np.array([score for case in cases for score in case.false])
    scores = np.unique(np.concatenate([hits[np.isfinite(hits)], false]))[::-1]
    per_case = [np.count_nonzero(false >= score) / max(1, len(cases)) for score in scores]
    found = [np.count_nonzero(hits >= score) / max(1, len(hits)) for score in scores]
    return np.array([0.0, *per_case]), np.array([0.0, *found])


def froc_score(cases: Sequence[Candidates], at: Sequence[float] = FALSE_POSITIVES) -> float:
    """Mean share of found lesions at some numbers of false positives per case, read off the curve as steps.

    NaN when no case has a lesion.
    """
    if not any(case.hits for case in cases):
        return float("nan")
    false, found = froc(cases)
    return float(np.mean([found[false <= limit].max() for limit in at]))
