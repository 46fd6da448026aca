"""A table of every case, worst first, and what the script needs to show a case in full."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ...core.progress import track
from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import name_of
from ..overlays import GROUND, legend
from ..views import View, allowance, view, viewed_cases

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
        "views": [(case, _as_script(_told(one))) for case, one in _views(facts, shown)],
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
            {
                "name": name_of(name),
                "unit": report.unit(name),
                "higher": report.metrics[name].higher_is_better,
            }
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


def _views(facts: RunFacts, shown: tuple[str, ...]) -> list[tuple[str, View]]:
    if facts.overlay is None:
        return []
    return [(case, view(facts.overlay(case), allowance(len(shown)))) for case in track(shown, "draw cases")]


def _told(one: View) -> dict[str, Any]:
    """A view as the script reads it."""
    return {
        "shape": one.shape,
        "spacing": [_short(length) for length in one.spacing],
        "columns": one.columns,
        "start": one.start,
        "codes": one.codes,
        "thinned": one.thinned,
        "image": one.image,
        "reference": one.reference,
        "prediction": one.prediction,
    }


def _short(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), _DIGITS)


def _as_script(facts: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
