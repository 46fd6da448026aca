"""Metrics of objects: are they found one by one, and cut out well.

A pair of objects matches when its IoU is above a threshold; TP are matched pairs, FP predicted objects without a
partner, FN reference objects without one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.registry import Registry
from .metric import Metric, Share, metric
from .objects import Objects

object_metrics: Registry[Metric] = Registry("metric of objects", checked=True)

_FACTS: dict[str, Any] = {"shelf": object_metrics, "compares": Objects}
_SHARE: dict[str, Any] = {"best": 1.0, "worst": 0.0, **_FACTS}


@metric("object_f1", papers="caicedo2019nucleus", convention="IoU above 0.5", **_SHARE)
def object_f1(objects: Objects, iou: Share = 0.5) -> float:
    """Share of objects that are found, 2 TP / (2 TP + FP + FN)."""
    return 2 * len(objects.matched(iou)) / (objects.num_predicted + objects.num_reference)


@metric("object_ap", papers="caicedo2019nucleus", convention="IoU above 0.5, without scores", **_SHARE)
def object_ap(objects: Objects, iou: Share = 0.5) -> float:
    """Objects that are found among all there are or that were made up, TP / (TP + FP + FN).

    The average precision of answers without scores, as in the 2018 Data Science Bowl. StarDist also counts a pair
    whose IoU equals the threshold: half of an object is found there at 0.5, here it is not.
    """
    found = len(objects.matched(iou))
    return found / (objects.num_predicted + objects.num_reference - found)


@metric("object_map", papers="caicedo2019nucleus", convention="IoU above 0.5 to 0.95", **_SHARE)
def object_map(objects: Objects) -> float:
    """Mean of TP / (TP + FP + FN) over IoU thresholds 0.5, 0.55, ..., 0.95 (score of the 2018 Data Science Bowl)."""
    return float(np.mean([object_ap(objects, iou) for iou in np.arange(50, 100, 5) / 100]))


@metric("panoptic_quality", papers="kirillov2019panoptic", **_SHARE)
def panoptic_quality(objects: Objects) -> float:
    """Sum of the IoU of matched pairs / (TP + FP / 2 + FN / 2): recognition times segmentation quality."""
    return float(2 * objects.matched(0.5).sum() / (objects.num_predicted + objects.num_reference))


@metric("segmentation_quality", papers="kirillov2019panoptic", **_SHARE)
def segmentation_quality(objects: Objects) -> float:
    """Mean IoU of matched pairs; 0 when there is none. Says nothing about objects that were not found."""
    found = objects.matched(0.5)
    return float(found.mean()) if len(found) else 0.0


@metric("aji", papers="kumar2017dataset", **_SHARE)
def aji(objects: Objects) -> float:
    """Aggregated Jaccard index: common voxels of each object and its best partner, to their unions and what is left.

    Sum |R n P*| / (sum |R u P*| + sum of predicted objects that are nobody's best partner); as published, one
    predicted object may be the best partner of several.
    """
    predicted, reference, common, overlap = objects.overlaps
    sizes, truth = objects.sizes
    order = np.lexsort((predicted, -overlap, reference))
    _, first = np.unique(reference[order], return_index=True)
    best = order[first]
    together = common[best].sum()
    union = truth[1:].sum() + sizes[predicted[best]].sum() - together
    unused = np.setdiff1d(np.arange(1, len(sizes)), predicted[best])
    return float(together / (union + sizes[unused].sum()))


@metric("seg", papers="maska2014benchmark", **_SHARE)
def seg(objects: Objects) -> float:
    """Mean IoU of reference objects with the predicted object that covers more than half of them, 0 without one.

    SEG of the Cell Tracking Challenge; made up objects cost nothing, so read it beside `object_f1`.
    """
    _, reference, common, overlap = objects.overlaps
    return float(overlap[2 * common > objects.sizes[1][reference]].sum() / objects.num_reference)


@metric("rand_error", papers=("arganda2015crowdsourcing", "rand1971objective"), best=0.0, worst=1.0, **_FACTS)
def rand_error(objects: Objects) -> float:
    """1 - F of pairs of voxels that are in one object in both (adapted Rand error); reference background left out.

    Precision is the share of pairs that the prediction joins and the reference joins too; recall, the other way round.
    Background of the prediction is one object, so a single missed object alone costs nothing.
    """
    predicted, reference, counts = objects.meetings
    inside = reference > 0
    counts, predicted, reference = counts[inside].astype(float), predicted[inside], reference[inside]
    pairs = lambda sizes: float((sizes * (sizes - 1)).sum())  # noqa: E731
    both, joined, truth = pairs(counts), pairs(np.bincount(predicted, counts)), pairs(np.bincount(reference, counts))
    return 1 - 2 * both / (joined + truth) if joined + truth else 0.0


@metric("voi", papers="meila2007comparing", best=0.0, worst=float("inf"), unit="bits", **_FACTS)
def voi(objects: Objects) -> float:
    """Variation of information, H(P | R) + H(R | P): bits to tell the one from the other; background is an object."""
    predicted, reference, counts = objects.meetings
    joint = counts / objects.num_voxels
    sizes, truth = (side / objects.num_voxels for side in objects.sizes)
    split = -(joint * np.log2(joint / truth[reference])).sum()
    merged = -(joint * np.log2(joint / sizes[predicted])).sum()
    return max(0.0, float(split + merged))
