"""Which structure is taken for which."""

from __future__ import annotations

from typing import Any

from ...evaluation.confusion import BACKGROUND
from ...evaluation.report import Report
from ..confusion_figure import MOST_NAMES, confusion_matrix
from ..facts import RunFacts


def confusion(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The matrix and its largest mistake; nothing where structures overlap."""
    if report.confusion is None:
        return None
    found = report.confusion.mistakes()
    if not found:
        title = "No voxel of a structure was called anything else"
    else:
        name, other, share = found[0]
        called = "missed" if other == BACKGROUND else f"called {other}"
        title = f"{100 * share:.1f} % of the voxels of {name} are {called}"
        swaps = [one for one in found if one[1] != BACKGROUND]
        if other == BACKGROUND and swaps:
            title += f"; {100 * swaps[0][2]:.1f} % of {swaps[0][0]} are called {swaps[0][1]}"
    return {
        "matrix": confusion_matrix(report.confusion),
        "title": title,
        "left_out": max(0, len(report.confusion.names) - MOST_NAMES),
    }
