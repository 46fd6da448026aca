"""How it was measured."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts


def rules(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Whether distances were measured; the rules themselves are the report's."""
    return {"has_surface": any(metric.unit == "mm" or name == "nsd" for name, metric in report.metrics.items())}
