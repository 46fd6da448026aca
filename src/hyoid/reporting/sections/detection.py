"""Whether single pieces (lesions, cells) are found, at which price, and of which size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...evaluation.report import Report
from ..certainty_figures import by_size, detection_curves
from ..facts import RunFacts


def detection(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """FROC curves and sensitivity by size of the structures that are several pieces."""
    found = report.certainty["detection"] if report.certainty else []
    if not found:
        return None
    return {
        "refined": facts.refined,
        "rows": found,
        "curves": detection_curves(found),
        "curves_title": "; ".join(_at_one(row) for row in found[:3]),
        "sizes": by_size(found, report.size_unit),
        "sizes_title": "; ".join(_ends(row) for row in found[:3]),
    }


def _at_one(row: Mapping[str, Any]) -> str:
    false, found = np.array(row["curve"], float).T
    share = 100 * found[false <= 1].max()
    return f"{row['structure']}: {share:.0f} % found at one false piece per case"


def _ends(row: Mapping[str, Any]) -> str:
    bands = row["by_size"]
    first, last = (100 * bands[place]["sensitivity"] for place in (0, -1))
    if len(bands) == 1:
        return f"{row['structure']}: {first:.0f} % found, all of one size"
    return f"{row['structure']}: {first:.0f} % of the smallest and {last:.0f} % of the largest found"
