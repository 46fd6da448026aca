"""The mean over structures, and a bar with its interval for each structure."""

from __future__ import annotations

import math
from typing import Any

from ...evaluation.report import Report, Summary
from ..facts import RunFacts


def result(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Mean, bars and the number of missed structures."""
    primary = report.settings.metrics[0]
    axis = axis_of(report, primary)
    headline = [report.summary(structure, primary) for structure in report.judged]
    return {
        "mean": report.summary("mean", primary),
        "metric": report.metrics[primary],
        "headline": headline,
        "bars": [bar(one, axis) for one in headline],
        "num_missed": sum(row.finding == "missed" for row in report.rows),
    }


def axis_of(report: Report, metric: str) -> tuple[float, float]:
    """Range of the bars of the headline: of the metric where it is bounded, else up to the largest interval."""
    low, high = report.metrics[metric].range
    if math.isfinite(high):
        return low, high
    tops = [value for one in report.summaries if one.metric == metric for value in (one.spread.mean, one.spread.high)]
    return 0.0, max([top for top in tops if math.isfinite(top)], default=1.0) or 1.0


def bar(summary: Summary, axis: tuple[float, float]) -> dict[str, Any]:
    """Where mean and interval lie on a bar, in percent of its length."""
    low, high = axis
    place = lambda value: round(100 * min(1, max(0, (value - low) / (high - low))), 2)  # noqa: E731
    known = not math.isnan(summary.spread.low)
    return {"known": known, **{key: place(getattr(summary.spread, key)) for key in ("mean", "low", "high")}}
