"""How the answers were made: training, plan, cost, rules of measuring, the model card, and what repeats it."""

from __future__ import annotations

from typing import Any

from ...core.energy import WATTS_PER_CORE, Energy
from ...evaluation.report import Report
from ..card import counted
from ..claim import items, limitations
from ..facts import RunFacts
from ..figures import has_patches, learning_curves, name_of, read_curves
from ..wording import shortly

_TWO_KINDS = (
    "Thick: Dice of whole validation cases, each judged alone. Thin: Dice of the training patches, all their voxels "
    "pooled; mostly higher, since the net learns from them, a patch near a structure has little far away to mark by "
    "mistake, and large structures count most."
)
_LEAST_WH = 0.01


def training(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Curves of the run, when there was a training."""
    if not facts.curves or not facts.curves.is_file():
        return None
    curves, score = read_curves(facts.curves), facts.score
    whole = f"{name_of(score)} of whole validation cases during training, each case judged alone."
    captions = {
        "loss": "Loss of the training patches.",
        "learning_rate": "Learning rate.",
        score: _TWO_KINDS if score == "dice" and has_patches(curves) else whole,
    }
    return {"curves": learning_curves(curves, score), "captions": captions}


def plan(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The plan's lines and the table of candidates are facts already."""
    return {} if facts.plan or facts.candidates else None


def cost(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Whether stages carry remarks, and how their energy is known; the times are facts already."""
    if not facts.stages and not facts.costs:
        return None
    return {
        "remarks": any(stage.note for stage in facts.stages),
        "energies": any(stage.energy for stage in facts.stages),
        "how": _how(facts.energy) if facts.energy else "",
    }


def watt_hours(energy: Energy | None) -> str:
    """Energy in the unit of the electricity bill, in three digits."""
    if energy is None:
        return "–"
    found = energy.total / 3600
    if found < _LEAST_WH:
        return f"below {_LEAST_WH} Wh"
    return f"{shortly(found / 1000)} kWh" if found >= 1000 else f"{shortly(found)} Wh"


def _how(energy: Energy) -> str:
    if energy.counted:
        told = "counted by the processor, other programs included"
    else:
        told = f"estimated as {WATTS_PER_CORE:g} W for each busy core, without memory, disks and cooling"
    gpus = "" if energy.accelerator is None else "; GPUs as their driver counts"
    return f"{told}{gpus}"


def rules(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Whether distances were measured; the rules themselves are the report's."""
    return {"has_surface": any(metric.unit == "mm" or name == "nsd" for name, metric in report.metrics.items())}


def card(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Lines on the net and the checklist, when a net is known."""
    if not facts.model:
        return None
    found = items(report, facts)
    return {"items": found, "counted": counted(found), "limitations": limitations(report, facts)}


def environment(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Versions and settings are facts already."""
    return {} if facts.environment or facts.settings else None
