"""Summaries of a metric over cases: moments, quartiles, and intervals that respect groups of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
    values: Sequence[float], groups: Sequence[str], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Spread:
    """Mean, standard deviation, quartiles and bootstrap interval of the mean.

    Args:
        values: One number per case; NaN values must have been left out.
        groups: The group (patient) each value belongs to.
        confidence: Probability that the interval is meant to cover.
        resamples: Bootstrap draws.
        seed: Of the draws.
    """
    numbers = np.asarray(values, float)
    if not numbers.size:
        return Spread(*[float("nan")] * 7)
    q1, median, q3 = np.percentile(numbers, [25, 50, 75])
    sd = float(numbers.std(ddof=1)) if numbers.size > 1 else float("nan")
    low, high = bootstrap_interval(numbers, groups, confidence, resamples, seed)
    return Spread(float(numbers.mean()), sd, float(median), float(q1), float(q3), low, high)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[str],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval of the mean from redrawing whole groups (bias-corrected and accelerated bootstrap).

    Groups are what was drawn from the population, so they are what is redrawn: the cases of one patient come and
    go together. With one group nothing can be said (NaN); when all redraws agree the interval is that value.

    Reference:
        efron1987better.
    """
    totals, sizes = _per_group(np.asarray(values, float), groups)
    if totals.size < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(totals.size, np.full(totals.size, 1 / totals.size), size=resamples)
    means = (drawn @ totals) / (drawn @ sizes)
    mean = totals.sum() / sizes.sum()
    if np.ptp(means) <= 1e-12 * max(1.0, abs(mean)):
        return float(mean), float(mean)
    left_out = (totals.sum() - totals) / (sizes.sum() - sizes)
    levels = _accelerated_levels(means, mean, left_out, confidence)
    low, high = np.quantile(means, levels)
    return float(low), float(high)


def _per_group(values: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of values of each group."""
    _, index = np.unique(np.asarray(groups, object).astype(str), return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)


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
