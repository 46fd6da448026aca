"""Metrics of overlap and size: what share of the voxels is right."""

from __future__ import annotations

from .metric import metric
from .pair import Pair


@metric("dice", papers="dice1945measures", best=1.0, worst=0.0)
def dice(pair: Pair) -> float:
    """Overlap of both masks relative to their mean size, 2 TP / (2 TP + FP + FN)."""
    return 2 * pair.true_positives / (pair.num_predicted + pair.num_reference)


@metric("iou", papers="jaccard1912distribution", best=1.0, worst=0.0)
def iou(pair: Pair) -> float:
    """Overlap of both masks relative to their union, TP / (TP + FP + FN)."""
    return pair.true_positives / (pair.num_predicted + pair.false_negatives)


@metric("precision", best=1.0, worst=0.0)
def precision(pair: Pair) -> float:
    """Share of the prediction that is right, TP / (TP + FP)."""
    return pair.true_positives / pair.num_predicted


@metric("recall", best=1.0, worst=0.0)
def recall(pair: Pair) -> float:
    """Share of the reference that was found, TP / (TP + FN); also called sensitivity."""
    return pair.true_positives / pair.num_reference


@metric("specificity", best=1.0, worst=0.0, defined_for_empty=True)
def specificity(pair: Pair) -> float:
    """Share of the voxels outside the reference that stayed outside, TN / (TN + FP).

    Depends on how much background the image shows, and is 1 for an empty prediction: read it beside recall only.
    It is 1 when the reference fills the image, since nothing could be wrongly marked.
    """
    negatives = pair.true_negatives + pair.false_positives
    return pair.true_negatives / negatives if negatives else 1.0


@metric("volume_error", best=0.0, worst=float("inf"), defined_for_empty=True)
def volume_error(pair: Pair) -> float:
    """Difference of both volumes relative to the reference, |Vp - Vr| / Vr; areas in 2D.

    Unsigned, so that too much in one case and too little in another do not cancel. It is 1 for a structure that
    is missed, and set to 1 for one that is only in the prediction, where the formula has no value.
    """
    if not pair.num_reference:
        return 1.0
    return abs(pair.num_predicted - pair.num_reference) / pair.num_reference


@metric("volume_error_ml", best=0.0, worst=float("inf"), unit="ml", defined_for_empty=True, dims=(3,))
def volume_error_ml(pair: Pair) -> float:
    """Difference of both volumes in millilitres, |Vp - Vr|; 3D only."""
    return abs(pair.num_predicted - pair.num_reference) * pair.voxel_mm3 / 1000
