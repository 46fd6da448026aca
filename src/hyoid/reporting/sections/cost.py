"""Time, energy and memory, expected and measured."""

from __future__ import annotations

from typing import Any

from ...core.energy import WATTS_PER_CORE, Energy
from ...evaluation.report import Report
from ..facts import RunFacts
from ..wording import shortly

_LEAST = 0.01


def cost(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Whether stages carry remarks, and how their energy is known; the times are facts already."""
    if not facts.stages and not facts.costs:
        return None
    return {
        "remarks": any(stage.note for stage in facts.stages),
        "energies": any(stage.energy for stage in facts.stages),
        "how": _how(facts.energy),
    }


def watt_hours(energy: Energy | None) -> str:
    """Energy in the unit of the electricity bill, in three digits."""
    if energy is None:
        return "–"
    found = energy.total / 3600
    if found < _LEAST:
        return f"below {_LEAST} Wh"
    return f"{shortly(found / 1000)} kWh" if found >= 1000 else f"{shortly(found)} Wh"


def _how(energy: Energy | None) -> str:
    """Where the numbers come from."""
    if energy is None:
        return ""
    if energy.counted:
        told = "counted by the processor, other programs included"
    else:
        told = f"estimated as {WATTS_PER_CORE:g} W for each busy core, without memory, disks and cooling"
    gpus = "" if energy.accelerator is None else "; GPUs as their driver counts"
    return f"{told}{gpus}"
