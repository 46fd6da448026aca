"""The verdict in words, the mean over structures, and a bar with its interval for each structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...evaluation.report import Report
from ...evaluation.rows import Summary
from ..facts import RunFacts
from ..figures import name_of
from ..wording import number, several
from .cases import outliers

_FEW = 10
_MOST_NAMES = 5
_MOST_STRUCTURES = 8


def result(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Verdict, mean, and bars."""
    primary = report.settings.metrics[0]
    axis = axis_of(report, primary)
    headline = [report.summary(structure, primary) for structure in report.judged]
    light, verdict = judged(report, facts)
    return {
        "light": light,
        "verdict": verdict,
        "failures": failures(report),
        "sentences": [_sentence(report, one) for one in headline] if len(headline) <= _MOST_STRUCTURES else [],
        "mean": report.summary("mean", primary),
        "metric": report.metrics[primary],
        "headline": headline,
        "bars": [bar(one, axis) for one in headline],
    }


def judged(report: Report, facts: RunFacts) -> tuple[str, str]:
    """The light ("failed", "look" or "good") and why, in a sentence.

    Failed: a structure was missed in some case, or parts of the split share patients, so that the numbers flatter.
    Look: a structure was made up, a case is unusually bad, or there are too few independent cases. Else good, which
    says that nothing failed, not that the scores are high.
    """
    found = [row.finding for row in report.rows]
    groups = len({row.group for row in report.rows})
    unusual = outliers(report)
    if facts.data_sheet and facts.data_sheet.leaks():
        return "failed", "Training and validation share patients: these numbers flatter."
    if facts.data_sheet and facts.data_sheet.leaking_copies():
        return "failed", "Training and validation share images: these numbers flatter."
    if "missed" in found:
        cases = len({row.case for row in report.rows if row.finding == "missed"})
        return "failed", f"Structures were missed in {cases} of {several(len(report.cases), 'case')}; see them first."
    if "spurious" in found:
        cases = len({row.case for row in report.rows if row.finding == "spurious"})
        return "look", f"Nothing was missed, but structures were made up in {several(cases, 'case')}."
    if unusual:
        return "look", f"Nothing was missed, but {several(len(unusual), 'case')} scored unusually badly."
    if groups < _FEW:
        return "look", f"Nothing was missed, but {several(groups, 'independent case')} cannot say much about new ones."
    return "good", "No structure was missed or made up, and no case stands out."


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
        text += (
            f" ({100 * report.settings.confidence:g} % interval {number(one.spread.low)} to {number(one.spread.high)})"
        )
    return f"{text}, {several(one.num_counted, 'case')}"


def axis_of(report: Report, metric: str) -> tuple[float, float]:
    """Range of the bars of the headline: of the metric where it is bounded, else up to the largest interval."""
    low, high = report.metrics[metric].range
    if math.isfinite(high):
        return low, high
    tops: Sequence[float] = [
        value for one in report.summaries if one.metric == metric for value in (one.spread.mean, one.spread.high)
    ]
    return 0.0, max([top for top in tops if math.isfinite(top)], default=1.0) or 1.0


def bar(summary: Summary, axis: tuple[float, float]) -> dict[str, Any]:
    """Where mean and interval lie on a bar, in percent of its length."""
    low, high = axis
    place = lambda value: round(100 * min(1, max(0, (value - low) / (high - low))), 2)  # noqa: E731
    known = not math.isnan(summary.spread.low)
    return {"known": known, **{key: place(getattr(summary.spread, key)) for key in ("mean", "low", "high")}}
