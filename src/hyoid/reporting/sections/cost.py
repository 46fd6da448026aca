"""Time and memory, expected and measured."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts


def cost(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Whether stages carry remarks; the times are facts already."""
    if not facts.stages and not facts.costs:
        return None
    return {"remarks": any(stage.note for stage in facts.stages)}
