"""Counts say what all voxels say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hyoid.evaluation.tally import BINS, CERTAINTY_METRICS, Tally
from hyoid.metrics.calibration import Beliefs, probability_metrics, reliability


def voxels(seed: int, number: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.4, 0.6, number).astype(np.float16)
    probabilities[:4] = (0, 1, 0.5, 1)
    return probabilities, rng.random(number) < probabilities**1.4


def counted(probabilities, truth, parts: int = 1) -> Tally:
    tally = Tally()
    for some, true in zip(np.array_split(probabilities, parts), np.array_split(truth, parts), strict=True):
        tally.add(some, true)
    return tally


@pytest.mark.parametrize("parts", [1, 7])
def test_counts_give_the_metrics_of_all_voxels(parts):
    probabilities, truth = voxels(parts)
    found = counted(probabilities, truth, parts).numbers()
    beliefs = Beliefs.of(probabilities, truth)
    assert set(found) == set(CERTAINTY_METRICS)
    for name, value in found.items():
        # Bins of equal count may share out equal probabilities in another order.
        tolerance = 2e-3 if name == "ace" else 1e-9
        assert value == pytest.approx(probability_metrics.build(name).of(beliefs), abs=tolerance), name


def test_bins_are_those_of_the_reliability_diagram():
    probabilities, truth = voxels(3)
    expected = reliability(Beliefs.of(probabilities, truth), BINS)
    count, sums, hits = counted(probabilities, truth).bins().T
    np.testing.assert_array_equal(count, expected.count)
    np.testing.assert_allclose(sums / count, expected.confidence)
    np.testing.assert_allclose(hits / count, expected.frequency)


@pytest.mark.parametrize("spread", [6, 15])
def test_nets_that_are_sure_are_as_surprised_as_they_should_be(spread):
    rng = np.random.default_rng(spread)
    logits = spread * rng.standard_normal(50000)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    truth = rng.random(50000) < 1 / (1 + np.exp(-logits / 5))
    exact = probability_metrics.build("nll")(probabilities, truth)
    assert counted(probabilities, truth).numbers()["nll"] == pytest.approx(exact, rel=1e-3)


def test_a_negative_zero_is_no_certainty():
    tally = counted(np.array([-0.0, 0.0], np.float32), np.array([False, False]))
    assert tally.numbers()["brier"] == 0


def test_what_counts_do_not_tell_is_nan():
    assert all(map(math.isnan, Tally().numbers().values()))
    alone = counted(np.array([0.2, 0.4]), np.array([False, False])).numbers()
    assert math.isnan(alone["auc_roc"]) and math.isnan(alone["average_precision"])
    assert alone["brier"] == pytest.approx((0.04 + 0.16) / 2, abs=1e-3)
    filled = counted(np.array([0.2, 0.4]), np.array([True, True])).numbers()
    assert math.isnan(filled["auc_roc"]) and filled["average_precision"] == 1
