"""Metrics of overlap and size: what share of the voxels is right.

TP, FP, FN and TN are the voxels in both masks, only in the prediction, only in the reference, and in neither.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from .metric import Positive, metric
from .pair import Pair

_SHARE: dict[str, Any] = {"best": 1.0, "worst": 0.0}


@metric("dice", papers="dice1945measures", **_SHARE)
def dice(pair: Pair) -> float:
    """Overlap of both masks relative to their mean size, 2 TP / (2 TP + FP + FN)."""
    return 2 * pair.true_positives / (pair.num_predicted + pair.num_reference)


@metric("iou", papers="jaccard1912distribution", **_SHARE)
def iou(pair: Pair) -> float:
    """Overlap of both masks relative to their union, TP / (TP + FP + FN); also called Jaccard index."""
    return pair.true_positives / (pair.num_predicted + pair.false_negatives)


@metric("f_beta", papers="vanrijsbergen1979information", convention="beta 2", **_SHARE)
def f_beta(pair: Pair, beta: Positive = 2.0) -> float:
    """Precision and recall in one number, (1 + b²) TP / ((1 + b²) TP + b² FN + FP); with b = 1 it is Dice.

    Args:
        beta: How many times more recall matters than precision.
    """
    found = (1 + beta**2) * pair.true_positives
    return found / (found + beta**2 * pair.false_negatives + pair.false_positives)


@metric("precision", **_SHARE)
def precision(pair: Pair) -> float:
    """Share of the prediction that is right, TP / (TP + FP)."""
    return pair.true_positives / pair.num_predicted


@metric("recall", **_SHARE)
def recall(pair: Pair) -> float:
    """Share of the reference that was found, TP / (TP + FN); also called sensitivity."""
    return pair.true_positives / pair.num_reference


@metric("specificity", defined_for_empty=True, **_SHARE)
def specificity(pair: Pair) -> float:
    """Share of the voxels outside the reference that stayed outside, TN / (TN + FP).

    Depends on how much background the image shows, and is 1 for an empty prediction: read it beside recall only.
    It is 1 when the reference fills the image, since nothing could be wrongly marked.
    """
    negatives = pair.true_negatives + pair.false_positives
    return pair.true_negatives / negatives if negatives else 1.0


@metric("accuracy", defined_for_empty=True, **_SHARE)
def accuracy(pair: Pair) -> float:
    """Share of all voxels that are right, (TP + TN) / all.

    Mostly says how much background there is: a missed structure of 1 % of the image leaves it at 0.99.
    """
    return (pair.true_positives + pair.true_negatives) / pair.num_voxels


@metric("g_mean", papers="kubat1997addressing", **_SHARE)
def g_mean(pair: Pair) -> float:
    """Geometric mean of sensitivity and specificity, sqrt(recall * TN / (TN + FP))."""
    return math.sqrt(recall(pair) * specificity(pair))


@metric("mcc", papers="matthews1975comparison", best=1.0, worst=-1.0)
def mcc(pair: Pair) -> float:
    """Correlation of both masks (Matthews), (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)); 0 is chance.

    Where a mask fills the image the formula has no value; it is then 1 for equal masks and 0 otherwise.
    """
    tp, fp, fn, tn = pair.counts
    product = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    if not product:
        return float(fp == fn == 0)
    return (tp * tn - fp * fn) / product


@metric("kappa", papers="cohen1960coefficient", best=1.0, worst=-1.0)
def kappa(pair: Pair) -> float:
    """Agreement beyond chance (Cohen), (p_o - p_e) / (1 - p_e), with p_e what masks of these sizes agree in by chance.

    Where both masks fill the image there is no chance to differ; it is then 1.
    """
    tp, fp, fn, tn = pair.counts
    observed = (tp + tn) / pair.num_voxels
    chance = ((tp + fp) * (tp + fn) + (tn + fp) * (tn + fn)) / pair.num_voxels**2
    return (observed - chance) / (1 - chance) if chance < 1 else 1.0


@metric("segmentation_accuracy", convention="area", **_SHARE)
def segmentation_accuracy(pair: Pair, mode: Literal["area", "pixels"] = "area") -> float:
    """How much of the reference's size is met, 1 - |Vp - Vr| / Vr, or 1 - (FP + FN) / Vr by pixels; cut at 0.

    By area it compares sizes and not places: a structure of the right size in a wrong place has 1.

    Args:
        mode: "area" for the difference of sizes, "pixels" for the number of wrong ones.
    """
    wrong = abs(pair.num_predicted - pair.num_reference)
    if mode == "pixels":
        wrong = pair.false_positives + pair.false_negatives
    return max(0.0, 1 - wrong / pair.num_reference)


@metric("over_segmentation", best=0.0, worst=1.0)
def over_segmentation(pair: Pair) -> float:
    """What was marked too much, FP / (Vr + FP)."""
    return pair.false_positives / (pair.num_reference + pair.false_positives)


@metric("under_segmentation", best=0.0, worst=1.0)
def under_segmentation(pair: Pair) -> float:
    """What was left out, FN / (Vr + FP)."""
    return pair.false_negatives / (pair.num_reference + pair.false_positives)


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


@metric("volumetric_similarity", papers="taha2015metrics", **_SHARE)
def volumetric_similarity(pair: Pair) -> float:
    """Agreement of both volumes, 1 - |Vp - Vr| / (Vp + Vr); places do not matter."""
    return 1 - abs(pair.num_predicted - pair.num_reference) / (pair.num_predicted + pair.num_reference)
