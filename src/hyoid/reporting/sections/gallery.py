"""Pictures of the worst, median and best cases."""

from __future__ import annotations

from typing import Any

from ...core.progress import track
from ...evaluation.report import Report
from ..facts import RunFacts
from ..overlays import chosen_cases, legend, pictures


def gallery(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The pictures of the chosen cases and what their colours mean, when the images are at hand."""
    if facts.overlay is None:
        return None
    shown: list[dict[str, Any]] = []
    for why, case in track(chosen_cases(report), "draw cases"):
        shown.append({"why": why, "case": case, "score": report.score(case), "pictures": pictures(facts.overlay(case))})
    bare = not shown[0]["pictures"][0].plain
    return {"gallery": shown, "legend": legend(len(report.structures)), "bare": bare}
