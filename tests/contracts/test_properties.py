"""What holds for any probabilities, images, landmarks and motions, for metrics and losses of every shelf.

Masks and objects have theirs in `tests/metrics/test_properties.py`, losses of labels in `tests/losses`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from hyoid.losses import field_losses, image_losses
from hyoid.metrics import SHELVES

PROBABILITIES, IMAGES, REGISTRATION = (SHELVES[kind] for kind in ("probabilities", "images", "registration"))
few = settings(max_examples=8, deadline=None)
chance = some.integers(0, 2**31).map(np.random.default_rng)
shapes = some.sampled_from([(16, 8), (8, 16, 8)])  # powers of two, since multi-scale similarity halves them


def turns(dims: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Another order of the axes, and each axis flipped alone."""
    order = tuple(range(dims))
    return [(order[::-1], ()), *[(order, (axis,)) for axis in order]]


def turned_field(field: np.ndarray, order: tuple[int, ...], flipped: tuple[int, ...]) -> np.ndarray:
    """A displacement field (dims, *S) seen from another side: its components turn with its axes."""
    turned = field[list(order)].transpose(0, *[axis + 1 for axis in order])
    for axis in flipped:
        turned = np.flip(turned, axis + 1).copy()
        turned[axis] *= -1
    return turned


def beliefs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties, and a truth that holds both answers."""
    probabilities = rng.integers(1, 100, 40) / 100
    truth = rng.random(40) < probabilities ** rng.uniform(0.2, 4)
    truth[:2] = (True, False)
    return probabilities, truth


@few
@given(chance)
def test_the_order_of_voxels_says_nothing_about_probabilities(rng):
    probabilities, truth = beliefs(rng)
    order = rng.permutation(truth.size)
    for name in PROBABILITIES:
        metric = PROBABILITIES.build(name)
        value, (low, high) = metric(probabilities, truth), metric.range
        assert low <= value <= high, name
        assert metric(probabilities[order], truth[order]) == pytest.approx(value, abs=1e-12), name
        assert metric(probabilities.reshape(5, 8), truth.reshape(5, 8)) == pytest.approx(value, abs=1e-12), name


@few
@given(chance)
def test_a_structure_and_its_background_are_believed_alike(rng):
    probabilities, truth = beliefs(rng)
    for name in ("brier", "nll", "auc_roc"):
        metric = PROBABILITIES.build(name)
        assert metric(1 - probabilities, ~truth) == pytest.approx(metric(probabilities, truth)), name


@few
@given(chance, some.floats(0.3, 3))
def test_ranks_do_not_see_how_sure_a_net_is(rng, power):
    probabilities, truth = beliefs(rng)
    for name in ("auc_roc", "average_precision"):
        metric = PROBABILITIES.build(name)
        assert metric(probabilities**power, truth) == pytest.approx(metric(probabilities, truth)), name


@few
@given(chance, shapes, some.floats(0.1, 9), some.floats(-5, 5))
def test_restored_images_are_judged_the_same_from_every_side_and_in_every_unit(rng, shape, factor, shift):
    prediction, truth = rng.random((2, *shape))
    for name in IMAGES:
        metric = IMAGES.build(name)
        value, (low, high) = metric(prediction, truth), metric.range
        assert low <= value <= high, name
        for order, flipped in turns(len(shape)):
            seen = [np.flip(image.transpose(order), flipped) for image in (prediction, truth)]
            assert metric(*seen) == pytest.approx(value, rel=1e-6), name
        same = factor * value if name == "mae" else value  # that one is in the numbers of the images
        assert metric(factor * prediction, factor * truth) == pytest.approx(same, rel=1e-6), name
    for metric in (IMAGES.build("psnr"), IMAGES.build("nrmse", by="range")):
        assert metric(prediction + shift, truth + shift) == pytest.approx(metric(prediction, truth), rel=1e-6)
    for name in ("psnr", "ssim"):
        metric = IMAGES.build(name, data_range=1.0)
        assert metric(prediction, truth) == pytest.approx(metric(truth, prediction)), name


@few
@given(chance, some.sampled_from([2, 3]), some.floats(0.2, 5))
def test_landmarks_are_as_far_apart_wherever_the_origin_and_whichever_the_unit(rng, dims, factor):
    found, truth, shift = rng.random((7, dims)), rng.random((7, dims)), rng.random(dims)
    tre, order = REGISTRATION.build("tre"), rng.permutation(7)
    value = tre(found, truth)
    assert tre(truth, found) == value and tre(truth, truth) == 0
    assert tre(found[order], truth[order]) == pytest.approx(value)
    assert tre(found[:, ::-1] + shift, truth[:, ::-1] + shift) == pytest.approx(value)
    assert tre(found, truth, (factor,) * dims) == pytest.approx(factor * value)
    assert tre(found, truth) <= tre(found, shift + np.zeros_like(truth)) + tre(shift + np.zeros_like(truth), truth)


@few
@given(chance, some.sampled_from([(6, 7), (4, 5, 6)]), some.floats(0.2, 5))
def test_motions_fold_the_same_from_every_side_and_in_every_unit(rng, shape, factor):
    field = rng.standard_normal((len(shape), *shape))
    spacing = (0.7, 1.3, 2.1)[: len(shape)]
    for name in ("folds", "jacobian_spread"):
        metric = REGISTRATION.build(name)
        value = metric(field, None, spacing)
        assert 0 <= value <= metric.range[1]
        for order, flipped in turns(len(shape)):
            other = metric(turned_field(field, order, flipped), None, [spacing[axis] for axis in order])
            assert other == pytest.approx(value), name
        coarse = metric(factor * field, None, [factor * step for step in spacing])
        assert coarse == pytest.approx(value), name
        assert metric(field + 3.0, None, spacing) == pytest.approx(value), name


@pytest.mark.parametrize("name", image_losses)
@few
@given(chance, shapes)
def test_losses_of_images_see_no_side_and_no_order(name, rng, shape):
    loss = image_losses.build(name)
    one, other = torch.from_numpy(rng.random((2, 2, 1, *shape), np.float32))
    value = loss(one, other)
    assert value.isfinite()
    for order, flipped in turns(len(shape)):
        seen = [image.permute(0, 1, *[a + 2 for a in order]).flip([a + 2 for a in flipped]) for image in (one, other)]
        torch.testing.assert_close(loss(*seen), value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(one.flip(0), other.flip(0)), value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(other, one), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", field_losses)
@few
@given(chance, shapes, some.floats(-4, 4))
def test_losses_of_motions_see_no_side_and_no_shift(name, rng, shape, shift):
    loss = field_losses.build(name)
    field = rng.standard_normal((len(shape), *shape)).astype(np.float32)
    value = loss(torch.from_numpy(field)[None])
    assert value > 0
    for order, flipped in turns(len(shape)):
        other = loss(torch.from_numpy(turned_field(field, order, flipped))[None])
        torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(torch.from_numpy(field)[None] + shift), value, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(loss(3 * torch.from_numpy(field)[None]), 9 * value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_one_answer_alone_gives_a_number_or_none_but_no_error(name):
    metric = PROBABILITIES.build(name)
    for probability, truth in itertools.product((0.0, 0.3, 1.0), (True, False)):
        value = metric(np.full(9, probability), np.full(9, truth))
        low, high = metric.range
        assert math.isnan(value) or low <= value <= high
