"""Metrics of detection: are lesions found at all, whatever their size.

A lesion is a connected piece. By `lesion_recall`, `lesion_precision` and `lesion_f1` it counts as found when one
voxel of it is marked, and a predicted piece as right when one of its voxels is marked in the reference: the rule of
challenges with few lesions that lie apart. One piece over ten lesions finds ten so. FROC looks at every threshold of a
probability, and matches pieces one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops.morphology import components
from .instances import object_metrics
from .metric import metric
from .objects import Objects

_SHARE: dict[str, Any] = {"shelf": object_metrics, "compares": Objects, "best": 1.0, "worst": 0.0}
_ONE_VOXEL = "one common voxel"

FOUND_IOU = 0.1
"""A predicted piece and a lesion whose IoU is above this may belong together."""

SURE = 0.5

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
        hits: Score of the predicted piece that is matched to each lesion; minus infinity for lesions without one.
        false: Scores of the predicted pieces that are matched to no lesion.
    """

    hits: tuple[float, ...]
    false: tuple[float, ...]


def candidates(probability: np.ndarray, reference: np.ndarray, threshold: float = 0.1) -> Candidates:
    """Predicted pieces, each scored by its highest probability and matched to one lesion at most.

    Pieces are cut out where the probability is above one half, as answers are, and beside these where it is above a
    threshold. A piece and a lesion match when their IoU is above 0.1: enough to show the place of small lesions, whose
    rim is uncertain, and too much for one piece over several.

    Args:
        probability: (*S), 0 to 1.
        reference: Boolean (*S), or object numbers.
        threshold: Where pieces that no voxel above one half has are cut out; low, so that the scores tell them apart.

    Reference:
        maierhein2024metrics, section on localisation and assignment.
    """
    sure, count = components(probability > SURE)
    faint = components(probability > threshold)[0]
    faint[np.isin(faint, np.unique(faint[sure > 0]))] = 0
    objects = Objects.of(np.where(faint > 0, faint + count, sure), reference)
    scores = np.full(objects.num_predicted + 1, -np.inf)
    np.maximum.at(scores, objects.prediction.reshape(-1), np.asarray(probability, float).reshape(-1))
    predicted, lesions, _ = objects.pairs(FOUND_IOU)
    hits = np.full(objects.num_reference + 1, -np.inf)
    hits[lesions] = scores[predicted]
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
