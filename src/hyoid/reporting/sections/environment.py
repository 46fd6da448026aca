"""What is needed to repeat it."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts


def environment(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Versions and settings are facts already."""
    return {} if facts.environment or facts.settings else None
