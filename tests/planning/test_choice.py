"""How long the choice of a candidate may time steps, on machines whose clock is arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.planning import choice
from hyoid.planning.budget import load_of
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import task_for

ONE = task_for(Labels.of({1: "s0"}))


class Machine:
    """Takes a step, after one that warms up, in a time that grows with the operations alone.

    Attributes:
        now: Seconds since it was switched on.
        asked: Width, batch and seconds of each step that was timed.
    """

    def __init__(self, flops: float, slower: Callable[[int], float] = lambda batch: 1.0) -> None:
        self.flops, self.slower = flops, slower
        self.now = 0.0
        self.asked: list[tuple[int, int, float]] = []

    def __call__(self, spec: UNetSpec, patch: Sequence[int], batch: int, precision: str) -> float:
        seconds = self.slower(batch) * self.seconds(spec, patch, batch)
        self.now += 2 * seconds
        self.asked.append((spec.channels[0], batch, seconds))
        return seconds

    def seconds(self, spec: UNetSpec, patch: Sequence[int], batch: int) -> float:
        """What a step takes when nothing disturbs it."""
        return 3 * batch * load_of(spec, patch).flops / self.flops


@pytest.fixture
def switched_on(monkeypatch) -> Callable[..., Machine]:
    """A machine whose clock is that of the planner."""

    def build(*how: Any) -> Machine:
        machine = Machine(*how)
        monkeypatch.setattr(choice._Machine, "spent", property(lambda self: machine.now))
        monkeypatch.setattr("hyoid.planning.planner.total_gb", lambda device: 1000.0)
        return machine

    return build


@pytest.mark.parametrize("batch", [200, 2000])
def test_large_steps_are_computed_from_smaller_ones(fingerprint_of, switched_on, batch: int) -> None:
    machine = switched_on(50e9)
    settings = PlanningSettings(batch=batch, memory_gb=900)
    plan = make_plan(fingerprint_of((256, 256)), ONE, settings, seconds=60, calibrate=machine, device="cpu")
    assert machine.now < 4  # an allowance of 2 seconds, and the least that one step is granted
    assert max(tried for _, tried, _ in machine.asked) < batch == plan.batch
    assert not plan.expected.measured
    truth = machine.seconds(plan.net, plan.patch, plan.batch)
    assert plan.expected.seconds_per_step == pytest.approx(truth, rel=0.1)


def test_a_wide_net_that_is_too_slow_is_not_timed(fingerprint_of, switched_on) -> None:
    settings = PlanningSettings(batch=1, patch=(128, 128), memory_gb=8)
    widths = []
    for flops in (5e9, 500e9):
        machine = switched_on(flops)
        make_plan(fingerprint_of((256, 256)), ONE, settings, seconds=60, calibrate=machine, device="cpu")
        widths.append({width for width, _, _ in machine.asked})
    assert 64 not in widths[0] and 64 in widths[1]


def test_a_step_that_was_far_slower_than_foreseen_is_not_taken_again(fingerprint_of, switched_on) -> None:
    machine = switched_on(1e12, lambda batch: 50.0 if batch == 300 else 1.0)
    settings = PlanningSettings(batch=300, patch=(192, 192), channels=(8, 16, 32), memory_gb=900)
    make_plan(fingerprint_of((256, 256)), ONE, settings, seconds=60, calibrate=machine, device="cpu")
    assert [seconds > 1 for _, batch, seconds in machine.asked if batch == 300] == [True]


def test_what_no_candidate_has_memory_for_is_refused_before_anything_is_timed(
    fingerprint_of, switched_on, monkeypatch
) -> None:
    machine = switched_on(50e9)
    monkeypatch.setattr("hyoid.planning.planner.total_gb", lambda device: 16.0)
    settings = PlanningSettings(batch=1_000_000)
    with pytest.raises(ConfigError, match=r"there are 16 GB in all.*planning.batch \(now 1000000\)"):
        make_plan(fingerprint_of((256, 256)), ONE, settings, seconds=60, calibrate=machine, device="cpu")
    assert not machine.asked
