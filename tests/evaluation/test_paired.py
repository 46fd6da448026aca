"""Paired tests against values worked out by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hyoid.evaluation.paired import by_group, detectable_difference, difference, holm, permutation, wilcoxon


def test_a_patient_counts_once_however_many_cases_it_has():
    assert by_group([1.0, 3.0, 5.0, math.nan], ["a", "a", "b", "b"]).tolist() == [2.0, 5.0]


def test_permutation_of_five_equal_signs_is_two_in_thirty_two():
    assert permutation(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == 2 / 32
    assert permutation(np.array([0.1, -0.1])) == 1.0
    assert permutation(np.zeros(3)) == 1.0


@pytest.mark.parametrize("size", [9, 40])
def test_permutation_agrees_with_scipy(size):
    change = np.random.default_rng(size).normal(0.3, 1, size)
    theirs = stats.permutation_test(
        (change,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    )
    assert permutation(change) == pytest.approx(theirs.pvalue, abs=0.02 if size > 14 else 1e-9)


def test_wilcoxon_of_five_equal_signs_is_exact_and_zeros_do_not_fail():
    assert wilcoxon(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == 2 / 32
    assert wilcoxon(np.zeros(4)) == 1.0
    assert 0 < wilcoxon(np.array([0.0, 0.0, 0.1, 0.1, -0.2, 0.3])) <= 1


def test_wilcoxon_of_few_patients_is_exact_with_ties_too():
    assert wilcoxon(np.full(5, 0.1)) == 2 / 32
    # Ranks 1.5, 1.5, 3.5, -3.5 sum to 3; of 16 choices of signs only four sum to less, to 0.
    assert wilcoxon(np.array([0.1, 0.1, 0.2, -0.2])) == 12 / 16
    assert wilcoxon(np.array([0.0, 0.1, 0.1, 0.1])) == 2 / 8


def test_holm_worked_out_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = holm([0.9, math.nan, 0.6])
    assert adjusted[0] == 1.0 and adjusted[2] == 1.0 and math.isnan(adjusted[1])


def test_a_difference_that_is_detectable_is_found_in_four_of_five_studies():
    rng = np.random.default_rng(0)
    spread = rng.normal(0, 1, 20)
    spread = (spread - spread.mean()) / spread.std(ddof=1)
    size = detectable_difference(spread)
    studies = rng.normal(size, 1, (4000, 20))
    found = stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("patients", "tests", "least"), [(1, 1, False), (5, 1, False), (6, 1, True), (6, 3, False)])
def test_nothing_is_detectable_where_no_permutation_test_could_show_it(patients, tests, least):
    change = 1 + 0.1 * np.arange(patients)
    assert (permutation(change) * tests < 0.05) == least
    assert math.isfinite(difference(0 * change, change, [*"abcdef"[:patients]], tests=tests).detectable) == least


def test_a_difference_holds_direction_interval_and_tests():
    base = np.linspace(0.5, 0.8, 12)
    other = base + 0.05 + 0.01 * np.sin(np.arange(12))
    found = difference(base, other, [f"p{i}" for i in range(12)])
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx((other - base).mean())
    assert found.permutation == 2 / 2**12 and found.wilcoxon == pytest.approx(2 / 2**12)
    assert difference([math.nan], [1.0], ["a"]).num_groups == 0
