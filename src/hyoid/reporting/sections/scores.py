"""The scores: verdict and mean, tables by structure, what classical methods reach, and how cases lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...evaluation.report import Report
from ...evaluation.rows import Summary, flat
from ..facts import RunFacts
from ..figures import crowded, distribution, name_of
from ..verdict import COLOURS, verdict_of
from ..wording import number, several

OURS = "this answer"
_ENDS = ("mean", "low", "high")
_MOST_NAMES = 5
_MOST_STRUCTURES = 8
_MOST_COLUMNS = 6
_SHOWN = ("dice", "hd95", "nsd", "object_f1", "volume_error")


def result(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Verdict, mean, and bars."""
    primary = report.settings.metrics[0]
    axis = axis_of(report, primary)
    headline = [report.summary(structure, primary) for structure in report.judged]
    found = verdict_of(report, facts)
    return {
        "light": found.light,
        "colour": COLOURS[found.light],
        "verdict": found.text,
        "failures": failures(report),
        "sentences": [_sentence(report, one) for one in headline] if len(headline) <= _MOST_STRUCTURES else [],
        "mean": report.summary("mean", primary),
        "metric": report.metrics[primary],
        "headline": headline,
        "bars": [
            {key: place_on(axis, getattr(one.spread, key)) for key in _ENDS} | {"known": not math.isnan(one.spread.low)}
            for one in headline
        ],
    }


def failures(report: Report) -> list[str]:
    """What was missed or made up where, the worst structure first."""
    told = []
    for finding, verb in (("missed", "missed"), ("spurious", "made up")):
        for name in report.structures:
            cases = [row.case for row in report.rows_of(name) if row.finding == finding]
            if cases:
                more = f" and {len(cases) - _MOST_NAMES} more" if len(cases) > _MOST_NAMES else ""
                told.append((len(cases), f"{name} {verb} in {', '.join(cases[:_MOST_NAMES])}{more}"))
    return [text for _, text in sorted(told, key=lambda one: -one[0])]


def _sentence(report: Report, one: Summary) -> str:
    """One structure in words: mean, interval, cases."""
    unit = f" {report.unit(one.metric)}" if report.unit(one.metric) else ""
    text = f"{one.structure}: mean {name_of(one.metric)} {number(one.spread.mean)}{unit}"
    if not math.isnan(one.spread.low):
        ends = f"{number(one.spread.low)} to {number(one.spread.high)}"
        text += f" ({100 * report.settings.confidence:g} % interval {ends})"
    return f"{text}, {several(one.num_counted, 'case')}"


def axis_of(report: Report, metric: str) -> tuple[float, float]:
    """Range of the bars of the headline: of the metric where it is bounded, else up to the largest interval."""
    low, high = report.metrics[metric].range
    if math.isfinite(high):
        return low, high
    spreads = [one.spread for one in report.summaries if one.metric == metric]
    tops = [top for one in spreads for top in (one.mean, one.high) if math.isfinite(top)]
    return 0.0, max(tops, default=1.0) or 1.0


def place_on(axis: tuple[float, float], value: float) -> float:
    """Where a value lies on a bar, in percent of its length; 0 when it is not known."""
    return round(100 * min(1, max(0, (value - axis[0]) / (axis[1] - axis[0]))), 2)


def summary(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Two tables: spread of the first metric, and the means of all metrics."""
    primary, metrics = report.settings.metrics[0], report.settings.metrics
    return {
        "mean": report.summary("mean", primary),
        "headline": [report.summary(structure, primary) for structure in report.structures],
        "table": {name: [report.summary(name, metric) for metric in metrics] for name in report.structures},
    }


def baselines(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A bar and a row for each method, best first, the judged answers among them."""
    if report.baselines is None:
        return None
    primary = report.settings.metrics[0]
    axis = axis_of(report, primary)
    structures = report.judged if 1 < len(report.judged) <= _MOST_COLUMNS else ()
    means, summaries = map(flat, report.means), map(flat, report.summaries)
    ours = {"name": OURS, "mean": [*means], "summary": [*summaries], "ahead": None, "seconds": None}
    rows = [_row(one, primary, structures) for one in (ours, *report.baselines["methods"])]
    sign = 1 if report.metrics[primary].higher_is_better else -1
    rows.sort(key=lambda row: -sign * row["mean"] if not math.isnan(row["mean"]) else math.inf)
    for row in rows:
        row |= {f"at_{key}": place_on(axis, row[key]) for key in _ENDS}
    return {
        "rows": rows,
        "structures": structures,
        "verdict": verdict(report),
        "beaten": any(_known(one["ahead"]["mean"]) <= 0 for one in report.baselines["methods"]),
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
    if len(methods) == 1:
        chance = ", but perhaps by chance" if unsure else ""
        return f"{number(_known(first['ahead']['mean']))} {name_of(primary)} ahead of {first['name']}{chance}."
    lead = f"{number(_known(first['ahead']['mean']))} {name_of(primary)} ahead of the best of them, {first['name']}"
    if unsure:
        return f"Better than every classical method on average, {lead}; by chance perhaps in {_listed(unsure)}."
    return f"Better than every classical method, {lead}."


def _row(one: Mapping[str, Any], primary: str, structures: tuple[str, ...]) -> dict[str, Any]:
    (mean,) = [row for row in one["mean"] if row["metric"] == primary]
    scores = {row["structure"]: _known(row["mean"]) for row in one["summary"] if row["metric"] == primary}
    return {
        "name": one["name"],
        **{key: _known(mean[key]) for key in _ENDS},
        "scores": [scores[name] for name in structures],
        "ahead": one["ahead"] and {key: _known(value) for key, value in one["ahead"].items()},
        "seconds": one["seconds"],
    }


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def distributions(report: Report, facts: RunFacts) -> dict[str, Any]:
    """One figure for each of the usual metrics that were measured, else for the first one."""
    shown = [name for name in _SHOWN if name in report.settings.metrics] or [report.settings.metrics[0]]
    return {"figures": {name: distribution(report, name) for name in shown}, "crowded": crowded(report)}
