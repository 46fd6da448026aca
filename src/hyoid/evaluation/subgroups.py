"""Gaps between kinds of cases: sites, scanners, sexes, age bands; any column that is known of the cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..core.errors import DataError
from .statistics import bootstrap_interval, redrawn

_MOST_KINDS = 8

_NO_KINDS = ("patient", "pair", "subject", "slice", "section", "frame", "stack", "split", "fold")
"""Columns that tell which cases belong together or how they were dealt out, not of which kind they are."""


class Drawing(Protocol):
    """How intervals are drawn."""

    @property
    def confidence(self) -> float: ...
    @property
    def resamples(self) -> int: ...
    @property
    def seed(self) -> int: ...


class Grouped(Protocol):
    """A case of a patient."""

    @property
    def group(self) -> str: ...


class Scored(Protocol):
    """Cases with scores and facts, as a Report has them."""

    @property
    def cases(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def facts(self) -> Mapping[str, Mapping[str, str]]: ...
    @property
    def settings(self) -> Drawing: ...
    def score(self, case: str, metric: str | None = None) -> float: ...
    def rows_of_case(self, case: str) -> Sequence[Grouped]: ...


@dataclass(frozen=True)
class Subgroup:
    """The cases of one kind.

    Attributes:
        kind: Value of the column, or band of values.
        num_cases: Cases of it.
        num_groups: Patients of it.
        mean: Mean score.
        low: Lower end of its bootstrap interval.
        high: Upper end.
        gap: Mean minus the mean of all other cases.
        gap_low: Lower end of the gap's bootstrap interval; patients of both sides are redrawn.
        gap_high: Upper end.
    """

    kind: str
    num_cases: int
    num_groups: int
    mean: float
    low: float
    high: float
    gap: float
    gap_low: float
    gap_high: float


def subgroups(report: Scored, column: str, metric: str | None = None) -> tuple[Subgroup, ...]:
    """Scores of the kinds of cases that a column tells apart, each against all others.

    The score of a case is the mean over its judged structures. Numbers with many values are cut into three bands of
    equally many cases; cases without an entry are one kind, `unknown`.

    Args:
        report: The numbers, with facts of its cases.
        column: Name of a fact.
        metric: The first one when None.

    Raises:
        DataError: When no case has this column, or it has another value in nearly every case.
    """
    entries = {case: report.facts.get(case, {}).get(column, "") for case in report.cases}
    if not any(entries.values()):
        raise DataError(f"cases.csv has no column {column!r}; known: {', '.join(report.columns) or 'none'}.")
    kinds = _kinds(entries)
    if len(set(kinds.values())) > _MOST_KINDS:
        raise DataError(
            f"cases.csv: {column!r} has {len(set(kinds.values()))} values; subgroups need at most {_MOST_KINDS}."
        )
    scores = np.array([report.score(case, metric) for case in report.cases])
    groups = np.array([report.rows_of_case(case)[0].group for case in report.cases])
    kind_of = np.array([kinds[case] for case in report.cases])
    return tuple(
        _subgroup(str(kind), kind_of == kind, scores, groups, report)
        for kind in dict.fromkeys(sorted(kind_of, key=_place))
    )


def comparable_columns(report: Scored) -> tuple[str, ...]:
    """Columns that tell at least two and at most eight kinds of cases apart, so that subgroups can be compared."""
    found = []
    for column in report.columns:
        if column.lower() in _NO_KINDS:
            continue
        entries = {case: report.facts.get(case, {}).get(column, "") for case in report.cases}
        kinds = list(_kinds(entries).values())
        if 1 < len(set(kinds)) <= _MOST_KINDS and len(set(kinds)) < len(kinds):
            found.append(column)
    return tuple(found)


def _kinds(entries: Mapping[str, str]) -> dict[str, str]:
    """The kind of each case: its entry, or the band its number lies in."""
    numbers = {case: _number(entry) for case, entry in entries.items() if entry}
    known = [number for number in numbers.values() if number is not None]
    if len(known) < len(numbers) or len(set(known)) <= 4:
        return {case: entry or "unknown" for case, entry in entries.items()}
    cuts = sorted({float(cut) for cut in np.quantile(known, [1 / 3, 2 / 3], method="inverted_cdf")})
    return {case: _band(numbers.get(case), known, cuts) for case in entries}


def _band(number: float | None, known: Sequence[float], cuts: Sequence[float]) -> str:
    if number is None:
        return "unknown"
    place = sum(number > cut for cut in cuts)
    inside = [one for one in known if sum(one > cut for cut in cuts) == place]
    low, high = min(inside), max(inside)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _number(text: str) -> float | None:
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


def _place(kind: str) -> tuple[bool, float, str]:
    """Order of kinds: bands by their numbers, words by the alphabet, unknown last."""
    first = _number(kind.split(" to ")[0])
    return kind == "unknown", math.inf if first is None else first, kind


def _subgroup(kind: str, inside: np.ndarray, scores: np.ndarray, groups: np.ndarray, report: Scored) -> Subgroup:
    settings = report.settings
    low, high = bootstrap_interval(
        scores[inside], groups[inside].tolist(), settings.confidence, settings.resamples, settings.seed
    )
    mean, others = _mean(scores[inside]), _mean(scores[~inside])
    drawn = _redrawn_means(scores[inside], groups[inside], settings.resamples, settings.seed)
    rest = _redrawn_means(scores[~inside], groups[~inside], settings.resamples, settings.seed + 1)
    edges = [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
    gap = np.quantile(drawn - rest, edges) if len(drawn) == len(rest) else np.full(2, np.nan)
    sizes = int(inside.sum()), len(set(groups[inside]))
    return Subgroup(kind, *sizes, mean, low, high, mean - others, float(gap[0]), float(gap[1]))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _redrawn_means(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of redraws of whole groups; none with fewer than two groups, about which nothing can be said."""
    known = np.isfinite(values)
    names = np.unique(groups[known])
    if len(names) < 2:
        return np.empty(0)
    member = groups[known] == names[:, None]
    drawn = redrawn(len(names), resamples, seed)
    return (drawn @ (member @ values[known])) / (drawn @ member.sum(1))
