"""What holds for any two masks: bounds, symmetry, spacing, turns and flips, and the rules for empty masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hyoid.metrics import Pair, Rules, metrics
from hyoid.metrics.instances import object_metrics

SYMMETRIC = (
    "dice",
    "iou",
    "accuracy",
    "mcc",
    "kappa",
    "volumetric_similarity",
    "hausdorff",
    "hd95",
    "hd95_pooled",
    "hd95_area",
    "assd",
    "masd",
    "nsd",
    "nsd_area",
    "boundary_iou",
    "cl_dice",
    "betti_error",
)
SYMMETRIC_OBJECTS = (
    "object_f1",
    "object_ap",
    "object_map",
    "panoptic_quality",
    "segmentation_quality",
    "lesion_f1",
    "voi",
)
MIRRORED = {"precision": "recall", "lesion_precision": "lesion_recall"}
KEEPS_ORDER = {"warping_error", "cl_dice"}
"""Voxels are taken away one after the other, so a turned mask may lose others first."""

LENGTHS = [name for name in metrics if metrics.build(name).unit == "mm"]
quick = settings(max_examples=25, deadline=None)


@st.composite
def two_masks(draw, dims: int | None = None, filled: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Two masks of one small shape, in 2D or 3D; each with a voxel when `filled`."""
    rank = dims or draw(st.sampled_from((2, 3)))
    shape = draw(st.tuples(*[st.integers(1, 7)] * rank))
    masks = [draw(arrays.arrays(bool, shape)) for _ in range(2)]
    if filled:
        for mask in masks:
            mask.flat[draw(st.integers(0, mask.size - 1))] = True
    return masks[0], masks[1]


def spacing(mask: np.ndarray) -> tuple[float, ...]:
    return (0.7, 1.3, 2.1)[: mask.ndim]


def fitting(mask: np.ndarray) -> list[str]:
    return [name for name in metrics if mask.ndim in metrics.build(name).dims]


@quick
@given(two_masks())
def test_every_value_lies_within_its_range_and_no_distance_beyond_the_diagonal(masks):
    pair = Pair.of(*masks, spacing(masks[0]))
    for name in fitting(masks[0]):
        metric = metrics.build(name)
        value, (low, high) = metric.of(pair), metric.range
        assert low - 1e-12 <= value <= (pair.diagonal_mm if metric.unit == "mm" else high) + 1e-9, name
    for name in object_metrics:
        metric = object_metrics.build(name)
        value, (low, high) = metric.of(pair.objects), metric.range
        assert low <= value <= min(high, math.log2(max(2, masks[0].size))) + 1e-9, name


@quick
@given(two_masks())
def test_prediction_and_reference_can_change_places_where_the_formula_is_symmetric(masks):
    one, other = Pair.of(*masks, spacing(masks[0])), Pair.of(*masks[::-1], spacing(masks[0]))
    for name in SYMMETRIC:
        assert metrics.build(name).of(one) == pytest.approx(metrics.build(name).of(other), rel=1e-9), name
    for name in SYMMETRIC_OBJECTS:
        metric = object_metrics.build(name)
        assert metric.of(one.objects) == pytest.approx(metric.of(other.objects), abs=1e-9), name
    for name, mirror in MIRRORED.items():
        shelf = metrics if name in metrics else object_metrics
        seen = [pair if shelf is metrics else pair.objects for pair in (one, other)]
        assert shelf.build(name).of(seen[0]) == shelf.build(mirror).of(seen[1])


@quick
@given(two_masks(), st.data())
def test_turns_and_flips_change_nothing(masks, data):
    axes = data.draw(st.permutations(range(masks[0].ndim)))
    flips = tuple(slice(None, None, data.draw(st.sampled_from((1, -1)))) for _ in axes)
    turned = [mask.transpose(axes)[flips] for mask in masks]
    before = Pair.of(*masks, spacing(masks[0]))
    after = Pair.of(*turned, [spacing(masks[0])[axis] for axis in axes])
    for name in set(fitting(masks[0])) - KEEPS_ORDER:
        assert metrics.build(name).of(before) == pytest.approx(metrics.build(name).of(after), rel=1e-6, abs=1e-9), name
    for name in object_metrics:
        metric = object_metrics.build(name)
        assert metric.of(before.objects) == pytest.approx(metric.of(after.objects), abs=1e-9), name


@quick
@given(two_masks(), st.floats(0.2, 5.0))
def test_lengths_grow_with_the_spacing_and_shares_do_not(masks, factor):
    fine = Pair.of(*masks, spacing(masks[0]))
    coarse = Pair.of(*masks, [factor * step for step in spacing(masks[0])])
    for name in LENGTHS:
        metric = metrics.build(name)
        assert metric.of(coarse) == pytest.approx(factor * metric.of(fine), rel=1e-6, abs=1e-9), name
    for name in ("nsd", "nsd_area"):
        values = [metrics.build(name, tolerance_mm=t).of(p) for t, p in ((1.05, fine), (1.05 * factor, coarse))]
        assert values[0] == pytest.approx(values[1], abs=1e-9), name
    for name in ("dice", "mcc", "boundary_iou"):
        assert metrics.build(name).of(coarse) == pytest.approx(metrics.build(name).of(fine)), name


@quick
@given(two_masks(filled=True))
def test_conventions_keep_their_order(masks):
    pair = Pair.of(*masks, spacing(masks[0]))
    value = {name: metrics.build(name).of(pair) for name in ("hausdorff", "hd95", "hd95_pooled", "dice", "iou")}
    assert max(value["hd95"], value["hd95_pooled"]) <= value["hausdorff"] + 1e-9
    assert value["iou"] == pytest.approx(value["dice"] / (2 - value["dice"]))
    looser = [metrics.build("nsd", tolerance_mm=t).of(pair) for t in (0.1, 1.0, 3.0, 50.0)]
    assert looser == sorted(looser) and looser[-1] == 1.0


@quick
@given(two_masks(filled=True))
def test_padding_with_background_changes_only_what_counts_background(masks):
    wide = [np.pad(mask, 2) for mask in masks]
    counts_background = {"accuracy", "specificity", "g_mean", "mcc", "kappa", "boundary_iou", "warping_error"}
    before, after = Pair.of(*masks, spacing(masks[0])), Pair.of(*wide, spacing(masks[0]))
    for name in set(fitting(masks[0])) - counts_background:
        assert metrics.build(name).of(before) == pytest.approx(metrics.build(name).of(after), rel=1e-6, abs=1e-9), name


@quick
@given(two_masks(filled=True))
def test_an_empty_side_is_perfect_worst_or_left_out_as_the_rules_say(masks):
    nothing = np.zeros_like(masks[0])
    for name in fitting(masks[0]):
        metric = metrics.build(name)
        assert metric(nothing, nothing) == metric.best, name
        assert math.isnan(metric(nothing, nothing, rules=Rules(both_empty="exclude"))), name
        for given_masks in ((nothing, masks[1]), (masks[0], nothing)):
            value = metric(*given_masks, rules=Rules(one_empty="exclude"))
            assert math.isnan(value) != metric.defined_for_empty, name
            assert not math.isnan(metric(*given_masks)), name
