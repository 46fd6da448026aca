"""Whether the answers are better than those of classical methods on the same cases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import name_of
from ..wording import number, several
from .result import axis_of

OURS = "this answer"
_MOST_COLUMNS = 6


def baselines(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A bar and a row for each method, best first, the judged answers among them."""
    if report.baselines is None:
        return None
    primary = report.settings.metrics[0]
    low, high = axis_of(report, primary)
    structures = report.judged if 1 < len(report.judged) <= _MOST_COLUMNS else ()
    rows = [_ours(report, primary, structures)]
    rows += [_theirs(one, primary, structures) for one in report.baselines["methods"]]
    sign = 1 if report.metrics[primary].higher_is_better else -1
    rows.sort(key=lambda row: -sign * row["mean"] if not math.isnan(row["mean"]) else math.inf)
    for row in rows:
        for key in ("mean", "low", "high"):
            row[f"at_{key}"] = (
                0 if math.isnan(row[key]) else round(100 * min(1, max(0, (row[key] - low) / (high - low))), 2)
            )
    return {
        "rows": rows,
        "structures": structures,
        "verdict": verdict(report),
        "taught_by": several(int(report.baselines["taught_by"]), "training case"),
        "failed": report.baselines["failed"],
    }


def verdict(report: Report) -> str:
    """Whether every method is beaten, in a sentence."""
    assert report.baselines is not None
    primary = report.settings.metrics[0]
    methods = report.baselines["methods"]
    better = [one["name"] for one in methods if _known(one["ahead"]["mean"]) <= 0]
    unsure = [one["name"] for one in methods if one["name"] not in better and not _known(one["ahead"]["low"]) > 0]
    if not methods:
        return "No classical method gave an answer."
    if better:
        return f"Not better than {_listed(better)}: what was learned is not worth a net yet."
    first = methods[0]
    lead = f"{number(_known(first['ahead']['mean']))} {name_of(primary)} ahead of the best of them, {first['name']}"
    if unsure:
        return f"Better than every classical method on average, {lead}; by chance perhaps in {_listed(unsure)}."
    return f"Better than every classical method, {lead}."


def _ours(report: Report, primary: str, structures: tuple[str, ...]) -> dict[str, Any]:
    mean = report.summary("mean", primary).spread
    return {
        "name": OURS,
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "scores": [report.summary(name, primary).spread.mean for name in structures],
        "ahead": None,
        "seconds": None,
    }


def _theirs(one: Mapping[str, Any], primary: str, structures: tuple[str, ...]) -> dict[str, Any]:
    (mean,) = [row for row in one["mean"] if row["metric"] == primary]
    scores = {row["structure"]: _known(row["mean"]) for row in one["summary"] if row["metric"] == primary}
    return {
        "name": one["name"],
        **{key: _known(mean[key]) for key in ("mean", "low", "high")},
        "scores": [scores[name] for name in structures],
        "ahead": {key: _known(value) for key, value in one["ahead"].items()},
        "seconds": one["seconds"],
    }


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
