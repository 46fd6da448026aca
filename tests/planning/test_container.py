"""Memory of a container, from files as the system writes them."""

from __future__ import annotations

import math

import pytest

from hyoid.planning import container
from hyoid.planning.budget import available_gb, total_gb
from hyoid.planning.container import left_and_limit

SECOND = ("memory.max", "memory.current", "memory.stat", "inactive_file")
FIRST = (
    "memory/memory.limit_in_bytes",
    "memory/memory.usage_in_bytes",
    "memory/memory.stat",
    "total_inactive_file",
)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes what the system would tell."""
    monkeypatch.setattr(container, "_CGROUPS", tmp_path)

    def write(names, limit, used, copies) -> None:
        for name, text in zip(names, (limit, used, f"anon 7\n{names[3]} {copies}\nactive_file 9"), strict=False):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")

    return write


@pytest.mark.parametrize("names", [SECOND, FIRST])
def test_what_a_container_uses_is_not_left(system, names) -> None:
    system(names, 8_000_000, 6_000_000, 1_500_000)
    assert left_and_limit() == (3_500_000, 8_000_000)
    assert available_gb("cpu") == pytest.approx(0.7 * 0.0035)
    assert total_gb("cpu") == pytest.approx(0.008)


def test_a_container_without_a_limit_has_what_the_machine_has(system) -> None:
    assert left_and_limit() == (math.inf, math.inf)
    system(SECOND, "max", 6_000_000, 0)
    assert left_and_limit() == (math.inf, math.inf)


def test_a_container_above_its_limit_has_nothing_left(system) -> None:
    system(SECOND, 8, 9, 0)
    assert left_and_limit() == (0, 8)
