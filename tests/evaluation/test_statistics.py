"""Intervals respect groups, and agree with an independent bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from hyoid.evaluation.statistics import bootstrap_interval, spread


def test_moments_and_quartiles_are_those_of_numpy():
    values = [0.2, 0.9, 0.7, 0.8]
    found = spread(values, list("abcd"))
    assert found.mean == pytest.approx(0.65)
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert (found.q1, found.median, found.q3) == pytest.approx(tuple(np.percentile(values, [25, 50, 75])))
    assert found.low < 0.65 < found.high


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).beta(8, 2, 40)
    expected = bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(1))
    low, high = bootstrap_interval(values, [str(i) for i in range(40)], resamples=20000)
    assert low == pytest.approx(expected.confidence_interval.low, abs=2e-3)
    assert high == pytest.approx(expected.confidence_interval.high, abs=2e-3)


def test_cases_of_one_patient_count_as_one_draw():
    values = np.repeat(np.random.default_rng(0).random(10), 4)
    alone = bootstrap_interval(values, [str(i) for i in range(40)])
    together = bootstrap_interval(values, [str(i // 4) for i in range(40)])
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])


def test_interval_is_the_same_every_time_and_with_the_cases_in_any_order():
    values, groups = np.random.default_rng(2).random(12), [f"p{i // 2}" for i in range(12)]
    order = np.random.default_rng(3).permutation(12)
    shuffled = bootstrap_interval(values[order], [groups[i] for i in order])
    assert bootstrap_interval(values, groups) == pytest.approx(shuffled)
    assert bootstrap_interval(values, groups) == bootstrap_interval(values, groups)


def test_interval_of_equal_values_is_that_value():
    assert bootstrap_interval([0.5] * 4, list("abcd")) == (0.5, 0.5)


def test_one_group_gives_no_interval():
    assert all(math.isnan(value) for value in bootstrap_interval([0.5, 0.6], ["a", "a"]))


def test_nothing_gives_nothing():
    assert all(math.isnan(value) for value in vars(spread([], [])).values())


def test_each_structure_counts_the_same_in_a_table():
    table = np.array([[0.2, np.nan], [0.4, 0.9], [0.6, np.nan], [0.8, 0.7]])
    found = spread(table, list("abcd"))
    assert found.mean == pytest.approx((0.5 + 0.8) / 2)
    assert found.median == pytest.approx(np.median([0.2, 0.65, 0.6, 0.75]))
    assert found.low < found.mean < found.high


def test_a_table_of_one_structure_is_that_structure():
    values = np.random.default_rng(0).random(9)
    assert spread(values, list("aabbccddd")) == spread(values[:, None], list("aabbccddd"))


def test_left_out_cases_do_not_matter():
    values, groups = np.random.default_rng(0).random(9), list("aabbccddd")
    assert spread([*values, np.nan], [*groups, "e"]) == spread(values, groups)
