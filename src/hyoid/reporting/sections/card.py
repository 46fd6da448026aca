"""The model card: what the net is, its limitations, and the items of CLAIM."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..card import counted
from ..claim import items, limitations
from ..facts import RunFacts


def card(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Lines on the net and the checklist, when a net is known."""
    if not facts.model:
        return None
    found = items(report, facts)
    return {"items": found, "counted": counted(found), "limitations": limitations(report, facts)}
