"""Energy is counted where the machine tells, else estimated."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pytest

from hyoid.core import energy
from hyoid.core.energy import WATTS_PER_CORE, Energy, EnergyMeter


def counter(folder: Path, microjoules: int, most: int = 10**12) -> Path:
    package = folder / "intel-rapl:0"
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{microjoules}\n")
    (package / "max_energy_range_uj").write_text(f"{most}\n")
    return folder


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until it is set: seconds on the wall, and of busy cores."""
    now = {"wall": 0.0, "busy": 0.0}
    monkeypatch.setattr(energy, "_seconds", lambda: now["wall"])
    monkeypatch.setattr(energy, "_busy_seconds", lambda: now["busy"])
    monkeypatch.setattr(energy, "_torch_computes", lambda: False)
    return now


def test_counters_are_read(tmp_path, clock):
    meter = EnergyMeter(counter(tmp_path, 5_000_000))
    counter(tmp_path, 12_500_000)
    clock["wall"] = 10.0
    assert meter.taken() == Energy(7.5, True)


def test_a_counter_that_came_round_goes_on(tmp_path, clock):
    meter = EnergyMeter(counter(tmp_path, 9_000_000_000, most=10_000_000_000))
    counter(tmp_path, 1_000_000_000, most=10_000_000_000)
    clock["wall"] = 10.0
    assert meter.taken() == Energy(2000.0, True)


def test_a_counter_that_may_have_come_round_twice_is_not_believed(tmp_path, clock):
    meter = EnergyMeter(counter(tmp_path, 0, most=10_000_000_000))
    clock.update(wall=21.0, busy=4.0)
    assert meter.taken() == Energy(4.0 * WATTS_PER_CORE, False)


def test_without_counters_busy_cores_are_the_estimate(tmp_path, clock):
    meter = EnergyMeter(tmp_path)
    clock.update(wall=100.0, busy=30.0)
    assert meter.taken() == Energy(300.0, False)


def test_accelerators_count_when_they_are_used(tmp_path, clock, monkeypatch):
    joules = iter([1000.0, 1400.0])
    monkeypatch.setattr(energy, "_torch_computes", lambda: True)
    monkeypatch.setattr(energy, "_accelerator_joules", lambda: next(joules))
    assert EnergyMeter(tmp_path).taken() == Energy(0.0, False, 400.0)


def test_energies_add_up():
    both = Energy(1.0, True) + Energy(2.0, False, 3.0)
    assert both == Energy(3.0, False, 3.0) and both.total == 6.0
    assert Energy(**asdict(both)) == both


def test_a_real_meter_counts_work():
    meter, deadline = EnergyMeter(), time.monotonic() + 5
    while meter.taken().total == 0 and time.monotonic() < deadline:
        sum(number * number for number in range(100_000))
    assert meter.taken().total > 0
