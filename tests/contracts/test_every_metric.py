"""What every metric on the shelf must do."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from hyoid.core.citations import bibliography
from hyoid.metrics import Metric, Pair, Rules, metrics

COUNTS_BACKGROUND = {"specificity", "accuracy"}
"""By their definition these say little about what is missing; their documentation tells so."""

SEES_TOPOLOGY = {"cl_dice", "betti_error", "warping_error"}
"""They forgive what the others punish: the same shape somewhere near."""

SPACING = {2: (1.0, 2.0), 3: (1.0, 1.0, 3.0)}


@pytest.fixture(params=list(metrics))
def metric(request) -> Metric:
    return metrics.build(request.param)


@pytest.fixture(params=[2, 3])
def dims(request, metric) -> int:
    if request.param not in metric.dims:
        return metric.dims[0]
    return request.param


def ball(dims: int, shift: int = 0, radius: float = 5.5) -> np.ndarray:
    axes = np.indices((24,) * dims) - 11.5
    axes[0] -= shift
    return (axes**2).sum(0) < radius**2


def empty(dims: int) -> np.ndarray:
    return np.zeros((24,) * dims, bool)


def badness(metric: Metric, value: float) -> float:
    """How far a value is from the best one."""
    return abs(value - metric.best)


def test_a_perfect_answer_is_best(metric, dims):
    assert metric(ball(dims), ball(dims), SPACING[dims]) == metric.best


def test_a_shifted_and_grown_answer_is_neither_best_nor_worst(metric, dims):
    value = metric(ball(dims, shift=2, radius=6.5), ball(dims), SPACING[dims])
    low, high = metric.range
    assert low <= value <= high
    if metric.name in SEES_TOPOLOGY:
        assert badness(metric, value) <= 0.25
        return
    assert value != metric.best
    assert value != metric.worst


def test_further_off_is_worse(metric, dims):
    near = metric(ball(dims, shift=1, radius=5.8), ball(dims), SPACING[dims])
    far = metric(ball(dims, shift=4, radius=7.5), ball(dims), SPACING[dims])
    assert badness(metric, far) > badness(metric, near) or metric.name in SEES_TOPOLOGY


def test_two_empty_masks_are_perfect_or_left_out(metric, dims):
    assert metric(empty(dims), empty(dims), SPACING[dims]) == metric.best
    assert np.isnan(metric(empty(dims), empty(dims), SPACING[dims], Rules(both_empty="exclude")))


def test_a_missed_structure_is_never_better_than_any_answer(metric, dims):
    missed = metric(empty(dims), ball(dims), SPACING[dims])
    disjoint = metric(np.roll(ball(dims), 12, -1), ball(dims), SPACING[dims])
    assert np.isfinite(missed)
    if metric.name in COUNTS_BACKGROUND:
        assert missed >= disjoint
        return
    assert badness(metric, missed) >= badness(metric, disjoint)
    assert badness(metric, missed) > 0


def test_a_made_up_structure_costs(metric, dims):
    value = metric(ball(dims), empty(dims), SPACING[dims])
    assert np.isfinite(value)
    if metric.name != "recall":
        assert badness(metric, value) > 0


def test_one_empty_mask_can_be_left_out(metric, dims):
    value = metric(empty(dims), ball(dims), SPACING[dims], Rules(one_empty="exclude"))
    assert np.isnan(value) or metric.defined_for_empty


def test_a_single_voxel_works(metric, dims):
    mask = empty(dims)
    mask[(3,) * dims] = True
    assert metric(mask, mask, SPACING[dims]) == metric.best


def test_a_mask_that_fills_the_image_works(metric, dims):
    assert metric(~empty(dims), ~empty(dims), SPACING[dims]) == metric.best


def test_the_order_and_side_of_axes_do_not_matter(metric, dims):
    one, other = ball(dims, 2, 6.5), ball(dims)
    turned = metric(one.T[::-1], other.T[::-1], SPACING[dims][::-1])
    assert metric(one, other, SPACING[dims]) == pytest.approx(turned, rel=1e-6)


def test_only_lengths_and_volumes_depend_on_spacing(metric, dims):
    fine = metric(ball(dims, 2, 6.5), ball(dims), (1.0,) * dims)
    coarse = metric(ball(dims, 2, 6.5), ball(dims), (2.0,) * dims)
    if metric.unit:
        assert coarse == pytest.approx(fine * 2 ** {"mm": 1, "ml": 3}[metric.unit])
    else:  # the tolerance of nsd follows the voxels
        assert coarse == fine


def test_cropping_to_the_box_changes_nothing(metric, dims):
    one, other = ball(dims, 2, 6.5), ball(dims)
    whole = Pair(one, other, SPACING[dims], one.shape)
    assert metric.of(whole) == pytest.approx(metric(one, other, SPACING[dims]), rel=1e-6)


def test_it_says_what_it_means_and_cites_known_papers(metric):
    entry = metrics[metric.name]
    assert entry.summary.endswith((".", "sensitivity."))
    assert set(entry.papers) <= bibliography().keys()
    assert metric.meaning == entry.summary
    assert metric.higher_is_better == (metric.best > metric.worst)


def test_options_are_checked(metric):
    from hyoid.core.errors import ConfigError

    assert "pair" not in inspect.signature(metrics[metric.name].build).parameters
    with pytest.raises(ConfigError, match="has no option 'tolerence_mm'"):
        metrics.build(metric.name, tolerence_mm=2.0)
