"""What other methods reach on the same cases, and whether the answers that are reported are better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .paired import difference
from .record import plain
from .report import Report
from .rows import flat


@dataclass(frozen=True)
class Rival:
    """One other method.

    Attributes:
        name: Its name.
        report: How its answers were judged; None when it gave none.
        seconds: Time for each case.
        failure: Why it gave none.
    """

    name: str
    report: Report | None
    seconds: float = 0.0
    failure: str = ""


def against(report: Report, rivals: Sequence[Rival], taught_by: int) -> dict[str, Any]:
    """What report.json says of other methods: summaries as of the report, and how far it is ahead, best first.

    `ahead` is the mean of paired differences of the first metric over patients, turned so that positive is better for
    the report, with its bootstrap interval; the score of a case is its mean over judged structures.

    Args:
        report: The answers that are to be better.
        rivals: The other methods, on the same cases.
        taught_by: How many cases they learned from.
    """
    primary = report.settings.metrics[0]
    sign = 1 if report.metrics[primary].higher_is_better else -1
    judged = [one for one in rivals if one.report is not None]
    judged.sort(key=lambda one: -sign * _mean(one))
    return {
        "taught_by": taught_by,
        "methods": [_told(report, one, sign) for one in judged],
        "failed": {one.name: one.failure for one in rivals if one.report is None},
    }


def _mean(rival: Rival) -> float:
    assert rival.report is not None
    return rival.report.summary("mean", rival.report.settings.metrics[0]).spread.mean


def _told(report: Report, rival: Rival, sign: int) -> Mapping[str, Any]:
    theirs = rival.report
    assert theirs is not None
    base, other = ([sign * one.score(case) for case in report.cases] for one in (theirs, report))
    found = difference(base, other, report.groups, *report.settings.draws)
    return {
        "name": rival.name,
        "seconds": round(rival.seconds, 3),
        "summary": [flat(one) for one in theirs.summaries],
        "mean": [flat(one) for one in theirs.means],
        "ahead": plain({key: getattr(found, key) for key in ("mean", "low", "high", "wilcoxon")}),
    }
