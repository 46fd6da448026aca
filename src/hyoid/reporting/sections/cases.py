"""A table of every case, worst first, what the script needs to show a case in full, and pictures of a few cases."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ...core.progress import track
from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import name_of
from ..overlays import GROUND, chosen_cases, legend, pictures
from ..views import allowance, view, viewed_cases

_MOST_COLUMNS = 8
_MOST_NUMBERS = 60_000
_DIGITS = 4


def cases(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Rows from worst to best, every number for the script, and the views of the cases when images are at hand."""
    primary = report.settings.metrics[0]
    rows = _rows(report, primary)
    shown = viewed_cases(report) if facts.overlay else ()
    return {
        "cases": rows,
        "metric": report.metrics[primary],
        "columns": report.structures if 1 < len(report.structures) <= _MOST_COLUMNS else (),
        "many": len(report.structures) > _MOST_COLUMNS,
        "flagged": any(row["flags"] for row in rows),
        "outliers": any(kind == "outlier" for row in rows for kind, _ in row["flags"]),
        "numbers": _as_script(_numbers(report)),
        "views": _views(facts, shown),
        "ground": GROUND,
        "legend": legend(len(report.structures)),
        "left_out": len(report.cases) - len(shown) if shown else 0,
    }


def outliers(report: Report) -> set[str]:
    """Cases whose score is more than three scaled median absolute deviations worse than the median."""
    primary = report.settings.metrics[0]
    sign = 1 if report.metrics[primary].higher_is_better else -1
    scores = {case: sign * report.score(case) for case in report.cases}
    known = np.array([score for score in scores.values() if not math.isnan(score)])
    if len(known) < 5:
        return set()
    middle = np.median(known)
    limit = middle - 3 * max(1.4826 * np.median(np.abs(known - middle)), 1e-3)
    return {case for case, score in scores.items() if score < limit}


def _rows(report: Report, primary: str) -> list[dict[str, Any]]:
    sign = 1 if report.metrics[primary].higher_is_better else -1
    unusual = outliers(report)
    rows = []
    for case in report.ranked():
        found = report.rows_of_case(case)
        known = [row for row in found if not math.isnan(row.values[primary])]
        worst = min(known, key=lambda row: sign * row.values[primary], default=None)
        failures = [(row.finding, row.structure) for row in found if row.finding in ("missed", "spurious")]
        rows.append(
            {
                "case": case,
                "group": found[0].group,
                "score": report.score(case),
                "scores": {row.structure: row.values[primary] for row in found},
                "worst": worst.structure if worst else "",
                "worst_score": worst.values[primary] if worst else float("nan"),
                "flags": [*failures, *[("outlier", "")] * (case in unusual)],
            }
        )
    return rows


def _numbers(report: Report) -> dict[str, Any]:
    """Every value by case, structure and metric; of the first metric alone where they would be too many."""
    metrics = report.settings.metrics
    if len(report.rows) * len(metrics) > _MOST_NUMBERS:
        metrics = metrics[:1]
    return {
        "structures": report.structures,
        "judged": report.judged,
        "metrics": [
            {"name": name_of(name), "unit": report.unit(name), "higher": report.metrics[name].higher_is_better}
            for name in metrics
        ],
        "cases": {
            case: {
                "findings": [row.finding for row in report.rows_of_case(case)],
                "values": [[_short(row.values[name]) for name in metrics] for row in report.rows_of_case(case)],
            }
            for case in report.ranked()
        },
    }


def _views(facts: RunFacts, shown: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each case that is shown, and its view as the script reads it."""
    if facts.overlay is None:
        return []
    found = ((case, view(facts.overlay(case), allowance(len(shown)))) for case in track(shown, "draw cases"))
    return [(case, _as_script(vars(one) | {"spacing": [*map(_short, one.spacing)]})) for case, one in found]


def _short(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), _DIGITS)


def _as_script(facts: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def gallery(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The pictures of the chosen cases and what their colours mean, when the images are at hand."""
    if facts.overlay is None:
        return None
    shown: list[dict[str, Any]] = []
    for why, case in track(chosen_cases(report), "draw cases"):
        shown.append({"why": why, "case": case, "score": report.score(case), "pictures": pictures(facts.overlay(case))})
    bare = not shown[0]["pictures"][0].plain
    return {"gallery": shown, "legend": legend(len(report.structures)), "bare": bare}
