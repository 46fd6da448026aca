"""Summaries of a metric over cases: moments, quartiles, and intervals that respect groups of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Spread:
    """How values lie: centre, spread, and the interval the mean probably lies in; NaN where nothing is known."""

    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    low: float
    high: float


def spread(
    values: ArrayLike, groups: Sequence[str], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Spread:
    """Mean, standard deviation, quartiles and bootstrap interval of the mean.

    Args:
        values: One number per case, shape (cases,), or one per case and structure, shape (cases, structures); NaN
            where a case is excluded. The mean of a table is the mean of its structures' means, so that each
            structure counts the same; its deviation and quartiles are those of the cases' means.
        groups: The group (patient) of each case.
        confidence: Probability that the interval is meant to cover.
        resamples: Bootstrap draws.
        seed: Of the draws.
    """
    table = _table(values)
    known = np.isfinite(table)
    cases = mean_of_known(table.T)
    cases = cases[np.isfinite(cases)]
    if not cases.size:
        return Spread(*[float("nan")] * 7)
    q1, median, q3 = np.percentile(cases, [25, 50, 75])
    sd = float(cases.std(ddof=1)) if cases.size > 1 else float("nan")
    mean = float(mean_of_known(mean_of_known(table)[known.any(0)]))
    low, high = bootstrap_interval(table, groups, confidence, resamples, seed)
    return Spread(mean, sd, float(median), float(q1), float(q3), low, high)


def bootstrap_interval(
    values: ArrayLike, groups: Sequence[str], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean from redrawing whole groups (bias-corrected and accelerated bootstrap).

    Groups are what was drawn from the population, so they are what is redrawn: the cases of one patient come and
    go together. With one group nothing can be said (NaN); when all redraws agree the interval is that value.

    Args:
        values: As for `spread`.
        groups: The group of each case.
        confidence: Probability that the interval is meant to cover.
        resamples: Draws.
        seed: Of the draws.

    Reference:
        efron1987better.
    """
    totals, sizes = _per_group(_table(values), groups)
    num_groups = len(totals)
    if num_groups < 2:
        return float("nan"), float("nan")
    drawn = redrawn(num_groups, resamples, seed)
    means = _mean_of_sums(drawn @ totals, drawn @ sizes)
    mean = float(_mean_of_sums(totals.sum(0), sizes.sum(0)))
    means = means[np.isfinite(means)]
    if np.ptp(means) <= 1e-12 * max(1.0, abs(mean)):
        return mean, mean
    left_out = _mean_of_sums(totals.sum(0) - totals, sizes.sum(0) - sizes)
    levels = _accelerated_levels(means, mean, left_out[np.isfinite(left_out)], confidence)
    low, high = np.quantile(means, levels)
    return float(low), float(high)


@lru_cache(maxsize=8)
def redrawn(num_groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is in each redraw, (resamples, groups); the same draws serve every metric."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=resamples).astype(float)


def _table(values: ArrayLike) -> np.ndarray:
    """Values as (cases, structures)."""
    table = np.asarray(values, float)
    return table[:, None] if table.ndim == 1 else table


def mean_of_known(table: ArrayLike) -> np.ndarray:
    """Mean along the first axis of what is known; NaN where nothing is."""
    table = np.asarray(table, float)
    known = np.isfinite(table)
    return _ratio(np.where(known, table, 0).sum(0), known.sum(0))


def _ratio(totals: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.divide(totals, sizes, out=np.full(np.shape(totals), np.nan), where=np.asarray(sizes) > 0)


def _mean_of_sums(totals: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Mean over structures (last axis) of total by size, structures without any case left out."""
    return mean_of_known(np.moveaxis(_ratio(totals, sizes), -1, 0))


def _per_group(table: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of known values of each group and structure, both (groups, structures); empty groups go."""
    known = np.isfinite(table)
    _, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    member = index == np.arange(index.max(initial=-1) + 1)[:, None]
    totals, sizes = member @ np.where(known, table, 0), (member @ known.astype(float))
    some = sizes.any(1)
    return totals[some], sizes[some]


def _accelerated_levels(means: np.ndarray, mean: float, left_out: np.ndarray, confidence: float) -> np.ndarray:
    """Quantiles to read off the redrawn means, Efron 1987 equation 2.3 with the jackknife acceleration."""
    from scipy.special import ndtr, ndtri

    below = (np.mean(means < mean) + np.mean(means <= mean)) / 2
    bias = ndtri(np.clip(below, 1 / (2 * means.size), 1 - 1 / (2 * means.size)))
    centred = left_out.mean() - left_out
    power = np.sum(centred**2) ** 1.5
    acceleration = np.sum(centred**3) / (6 * power) if power > 0 else 0.0
    z = bias + ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    return np.asarray(ndtr(bias + z / (1 - acceleration * z)))
