"""What was decided, and what it was chosen from."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts


def plan(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The plan's lines and the table of candidates are facts already."""
    return {} if facts.plan or facts.candidates else None
