"""Rankings whose places, wins and stability are known; agreement of volumes."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.evaluation.ranking import ranking
from hyoid.evaluation.volumes import agreement

GROUPS = [f"p{i}" for i in range(6)]


def test_one_who_always_wins_is_first_in_every_redraw():
    scores = np.column_stack([np.full(6, 0.5), np.linspace(0.8, 0.9, 6), np.full(6, 0.6)])
    found = ranking(scores, GROUPS, higher_is_better=True)
    assert found.places == (3, 1, 2) and found.mean_ranks == (3.0, 1.0, 2.0)
    assert found.shares.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert found.tau == 1.0
    assert found.wins.tolist() == [[0.5, 0, 0], [1, 0.5, 1], [1, 0, 0.5]]


def test_a_coin_flip_is_unstable_and_ties_are_shared():
    scores = np.column_stack([[1.0, 0, 1, 0, 1, 0], [0.0, 1, 0, 1, 0, 1]])
    found = ranking(scores, GROUPS, higher_is_better=True)
    assert found.places == (1, 1)
    assert 0.3 < found.shares[0, 0] < 0.8
    assert found.shares.sum(1) == pytest.approx([1, 1])


def test_smaller_is_better_for_distances_and_patients_count_once():
    scores = np.array([[1.0, 2], [1, 2], [9, 8]])
    found = ranking(scores, ["a", "a", "b"], higher_is_better=False)
    assert found.mean_ranks == (1.5, 1.5)
    assert found.wins.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_bias_and_limits_worked_out_by_hand():
    found = agreement([11.0, 12.0, 13.0], [10.0, 10.0, 10.0], ["a", "b", "c"])
    assert found.bias == 2.0
    assert (found.low, found.high) == pytest.approx((2 - 1.96, 2 + 1.96))
    assert found.middles == (10.5, 11.0, 11.5) and found.differences == (1.0, 2.0, 3.0)
    assert found.bias_low <= 2.0 <= found.bias_high
