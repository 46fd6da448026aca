"""Agreement of sizes: limits and their intervals, concordance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hyoid.evaluation.volumes import agreement, concordance


def test_concordance_is_worked_out_by_hand():
    # Means 2 and 3, variances 2/3, covariance 2/3: 2 * (2/3) / (2/3 + 2/3 + 1) = 4/7.
    assert concordance([2, 3, 4], [1, 2, 3]) == pytest.approx(4 / 7)
    assert concordance([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    assert concordance([3, 2, 1], [1, 2, 3]) == pytest.approx(-1)
    assert math.isnan(concordance([2, 2], [2, 2]))


def test_intervals_of_the_limits_hold_them_and_are_as_wide_as_bland_and_altman_say():
    rng = np.random.default_rng(1)
    change = rng.normal(1.0, 2.0, 200)
    found = agreement(10 + change, np.full(200, 10.0), [str(i) for i in range(200)])
    assert found.low_interval[0] < found.low < found.low_interval[1]
    assert found.high_interval[0] < found.high < found.high_interval[1]
    # Their formula: the standard error of a limit is about sqrt(3 / n) standard deviations.
    expected = 2 * 1.96 * math.sqrt(3 / 200) * change.std(ddof=1)
    for low, high in (found.low_interval, found.high_interval):
        assert high - low == pytest.approx(expected, rel=0.2)


def test_the_bias_is_told_as_a_share_too():
    assert agreement([9.0, 27.0], [10.0, 30.0], ["a", "b"]).relative_bias == pytest.approx(-0.1)
    assert math.isnan(agreement([1.0, 2.0], [0.0, 0.0], ["a", "b"]).relative_bias)


def test_slices_of_one_patient_are_one_witness():
    sizes, reference = [11.0, 11.1, 9.0, 9.1], [10.0] * 4
    assert math.isnan(agreement(sizes, reference, ["a", "a", "b", "b"]).low_interval[0])
    assert agreement(sizes, reference, ["a", "b", "c", "d"]).low_interval[0] < 0
