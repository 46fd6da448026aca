"""Pictures of the worst, median and best cases."""

from __future__ import annotations

from typing import Any

from ...core.progress import track
from ...evaluation.report import Report
from ..facts import RunFacts
from ..overlays import COLOURS, chosen_cases, pictures

_KINDS = ("found by both", "marked, but not in the reference", "missing", "marked as another structure")


def gallery(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The pictures of the chosen cases and what their colours mean, when the images are at hand."""
    if facts.overlay is None:
        return None
    shown = []
    for why, case in track(chosen_cases(report), "draw cases"):
        shown.append({"why": why, "case": case, "score": report.score(case), "pictures": pictures(facts.overlay(case))})
    return {"gallery": shown, "legend": _legend(report)}


def _legend(report: Report) -> list[tuple[str, str]]:
    """Meaning and colour of the marks in an error map; one structure cannot be taken for another."""
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS.values()]
    return list(zip(_KINDS, colours, strict=True))[: 4 if len(report.structures) > 1 else 3]
