"""Progress by steps or time, and rounds of validation within their share."""

import math

import numpy as np
import pytest

from hyoid.core.errors import ConfigError
from hyoid.training.clock import Clock, Rounds
from hyoid.training.plateau import rounds_for
from hyoid.training.validation import affordable, mean_scores


def test_progress_by_steps_depends_on_steps_alone():
    clock = Clock(steps=4)
    seen = []
    while not clock.done:
        clock.tick(99.0)
        seen.append(clock.progress)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_progress_by_time_leaves_a_reserve(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hyoid.training.clock.time.perf_counter", lambda: now[0])
    clock = Clock(seconds=100, _begin=0.0, reserve_seconds=20)
    now[0] = 40
    assert clock.progress == 0.5
    clock.reserve_seconds = 0
    assert clock.progress == 0.5, "progress never falls"
    clock.reserve_seconds, now[0] = 20, 70
    clock.tick(5)
    assert not clock.done
    now[0] = 76
    assert clock.done and clock.left_seconds == 24


def test_what_comes_before_the_start_does_not_count(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hyoid.training.clock.time.perf_counter", lambda: now[0])
    clock = Clock(seconds=100, _begin=0.0)
    now[0] = 40
    clock.start()
    now[0] = 50
    assert clock.elapsed_seconds == 10


def test_an_interrupted_clock_goes_on():
    clock = Clock(seconds=100)
    clock.tick(1.0)
    state = {**clock.state(), "seconds": 30.0}
    again = Clock(seconds=100)
    again.restore(state)
    assert again.step == 1 and again.elapsed_seconds == pytest.approx(30, abs=1)


@pytest.mark.parametrize("budget", [{}, {"steps": 1, "seconds": 1}])
def test_one_budget_is_needed(budget):
    with pytest.raises(ConfigError, match="either a number of steps or a time"):
        Clock(**budget)


def test_rounds_come_at_equal_parts():
    rounds, seen = Rounds(3), []
    for progress in np.arange(0, 1.01, 0.05):
        if rounds.due(progress):
            rounds.finish(progress)
            seen.append(round(float(progress), 2))
    assert seen == [0.25, 0.5, 0.75]


def test_rounds_that_were_missed_are_not_made_up_for():
    rounds = Rounds(9)
    rounds.finish(0.55)
    assert not rounds.due(0.58) and rounds.due(0.6)


@pytest.mark.parametrize(
    ("costs", "allowance", "expected"),
    [
        ([], 10, (0, 0)),
        ([5], 4, (0, 0)),
        ([1, 1, 1], 60, (20, 3)),
        ([1, 1, 1], 40, (13, 3)),
        ([1, 1, 1], 35, (20, 1)),
        ([2, 2], 9, (4, 1)),
    ],
)
def test_validation_keeps_to_its_allowance(costs, allowance, expected):
    rounds, cases = affordable(costs, allowance)
    assert (rounds, cases) == expected
    assert rounds * sum(costs[:cases]) <= allowance


def test_a_short_patience_has_more_rounds_of_enough_cases():
    assert affordable([1, 1, 1], 61, enough=rounds_for(0.4)) == (20, 3)
    assert affordable([1, 1, 1], 45, enough=rounds_for(0.4)) == (15, 3)
    assert affordable([1, 1, 1], 45, enough=rounds_for(0.25)) == (20, 2)


def test_cases_without_a_structure_do_not_count_for_it():
    cases = {"a": {"dice:liver": 0.5, "dice:spleen": math.nan}, "b": {"dice:liver": 1.0, "dice:spleen": math.nan}}
    mean = mean_scores(cases)
    assert mean["dice:liver"] == 0.75 and math.isnan(mean["dice:spleen"])


def test_a_lengthened_training_goes_back_to_where_it_would_stand():
    clock = Clock(steps=4)
    for _ in range(4):
        clock.tick(1.0)
    clock.length, clock.bend = 0.9, 0.5
    longer = Clock(steps=16)
    longer.restore(clock.state())
    assert longer.lengthened == longer.progress == 0.25 and longer.length == 1 and not longer.done
    again = Clock(steps=16)
    again.restore(longer.state())
    assert again.lengthened == 1 and again.progress == 0.25
