"""Gaps between kinds of cases: sites, scanners, sexes, age bands; any column that is known of the cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import DataError
from .statistics import bootstrap_interval, mean_of_known, redrawn

_MOST_KINDS = 8

_NO_KINDS = ("patient", "pair", "subject", "slice", "section", "frame", "stack", "split", "fold")
"""Columns that tell which cases belong together or how they were dealt out, not of which kind they are."""


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


def subgroups(
    column: str,
    entries: Mapping[str, str],
    scores: Sequence[float],
    groups: Sequence[str],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Subgroup, ...]:
    """Scores of the kinds of cases that a column tells apart, each against all others.

    Numbers with many values are cut into three bands of equally many cases; cases without an entry are one kind,
    `unknown`.

    Args:
        column: Its name.
        entries: What it says of each case.
        scores: Of each case.
        groups: Patient of each case.
        confidence: Of the intervals.
        resamples: Bootstrap draws.
        seed: Of the draws.

    Raises:
        DataError: When the column has another value in nearly every case.
    """
    kinds = list(_kinds(entries).values())
    if len(set(kinds)) > _MOST_KINDS:
        raise DataError(f"cases.csv: {column!r} has {len(set(kinds))} values; subgroups need at most {_MOST_KINDS}.")
    values, names, kind_of = np.array(scores), np.array(groups), np.array(kinds)
    return tuple(
        _subgroup(kind, kind_of == kind, values, names, (confidence, resamples, seed))
        for kind in sorted(set(kinds), key=_place)
    )


def tells_kinds(column: str, entries: Mapping[str, str]) -> bool:
    """Whether a column tells at least two and at most eight kinds of cases apart, so that subgroups can be compared."""
    kinds = list(_kinds(entries).values())
    return column.lower() not in _NO_KINDS and 1 < len(set(kinds)) <= _MOST_KINDS and len(set(kinds)) < len(kinds)


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


def _subgroup(
    kind: str, inside: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: tuple[float, int, int]
) -> Subgroup:
    confidence, resamples, seed = draws
    interval = bootstrap_interval(scores[inside], groups[inside].tolist(), *draws)
    mean, others = float(mean_of_known(scores[inside])), float(mean_of_known(scores[~inside]))
    drawn = _redrawn_means(scores[inside], groups[inside], resamples, seed)
    rest = _redrawn_means(scores[~inside], groups[~inside], resamples, seed + 1)
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    gap = np.quantile(drawn - rest, edges) if len(drawn) == len(rest) else np.full(2, np.nan)
    sizes = int(inside.sum()), len(set(groups[inside]))
    return Subgroup(kind, *sizes, mean, *interval, mean - others, float(gap[0]), float(gap[1]))


def _redrawn_means(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of redraws of whole groups; none with fewer than two groups, about which nothing can be said."""
    known = np.isfinite(values)
    names = np.unique(groups[known])
    if len(names) < 2:
        return np.empty(0)
    member = groups[known] == names[:, None]
    drawn = redrawn(len(names), resamples, seed)
    return (drawn @ (member @ values[known])) / (drawn @ member.sum(1))
