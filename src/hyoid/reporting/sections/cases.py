"""A table of every case, worst first."""

from __future__ import annotations

import math
from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..overlays import chosen_cases

_MOST_COLUMNS = 8


def cases(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Rows from worst to best: mean score, score of each structure, flags."""
    primary = report.settings.metrics[0]
    return {
        "cases": _rows(report, primary),
        "metric": report.metrics[primary],
        "columns": report.structures if 1 < len(report.structures) <= _MOST_COLUMNS else (),
        "many": len(report.structures) > _MOST_COLUMNS,
        "flagged": any(row.finding in ("missed", "spurious") for row in report.rows),
        "shown": {case for _, case in chosen_cases(report)} if facts.overlay else set(),
    }


def _rows(report: Report, primary: str) -> list[dict[str, Any]]:
    sign = 1 if report.metrics[primary].higher_is_better else -1
    rows = []
    for case in report.ranked():
        found = report.rows_of_case(case)
        known = [row for row in found if not math.isnan(row.values[primary])]
        worst = min(known, key=lambda row: sign * row.values[primary], default=None)
        rows.append(
            {
                "case": case,
                "group": found[0].group,
                "score": report.score(case),
                "scores": {row.structure: row.values[primary] for row in found},
                "worst": worst.structure if worst else "",
                "worst_score": worst.values[primary] if worst else float("nan"),
                "flags": [(row.finding, row.structure) for row in found if row.finding in ("missed", "spurious")],
            }
        )
    return rows
