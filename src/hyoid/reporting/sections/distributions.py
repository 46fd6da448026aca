"""Each case of each structure as a dot, with the quartiles as a box."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import crowded, distribution

_SHOWN = ("dice", "hd95", "nsd", "volume_error")


def distributions(report: Report, facts: RunFacts) -> dict[str, Any]:
    """One figure for each of the usual metrics that were measured, else for the first one."""
    shown = [name for name in _SHOWN if name in report.settings.metrics] or [report.settings.metrics[0]]
    return {"figures": {name: distribution(report, name) for name in shown}, "crowded": crowded(report)}
