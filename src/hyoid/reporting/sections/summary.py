"""Each structure by the first metric in detail, then by every metric."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts


def summary(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Two tables: spread of the first metric, and the means of all metrics."""
    primary, metrics = report.settings.metrics[0], report.settings.metrics
    return {
        "mean": report.summary("mean", primary),
        "headline": [report.summary(structure, primary) for structure in report.structures],
        "table": {name: [report.summary(name, metric) for metric in metrics] for name in report.structures},
    }
