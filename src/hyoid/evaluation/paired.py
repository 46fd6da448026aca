"""Paired differences of two answers to the same cases: how large, how sure, how small one could have been seen.

What is compared are patients (groups): the difference of a patient is the mean over its cases, since two slices of one
patient are not two witnesses. Differences are `other - base` in the metric's own direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from .statistics import bootstrap_interval

_EXACT_UP_TO = 14


@dataclass(frozen=True)
class Difference:
    """What two columns of values differ in.

    Attributes:
        mean: Mean difference over patients.
        low: Lower end of its bootstrap interval.
        high: Upper end.
        wilcoxon: Two-sided p of the signed rank test; 1 when nothing differs.
        permutation: Two-sided p of swapping the two answers of each patient.
        detectable: Smallest mean difference that a test with so many patients finds in four of five such studies;
            NaN where the patients are too few for the permutation test to show any.
        num_groups: Patients that both have a value for.
    """

    mean: float
    low: float
    high: float
    wilcoxon: float
    permutation: float
    detectable: float
    num_groups: int


def difference(
    base: ArrayLike,
    other: ArrayLike,
    groups: Sequence[str],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    tests: int = 1,
) -> Difference:
    """The paired difference of two columns, one value per case; cases without both values (NaN) are left out.

    `tests` is the number of comparisons that p is corrected for; it bounds what is detectable.
    """
    change = by_group(np.asarray(other, float) - np.asarray(base, float), groups)
    if not len(change):
        unknown = float("nan")
        return Difference(unknown, unknown, unknown, unknown, unknown, unknown, 0)
    names = [str(number) for number in range(len(change))]
    low, high = bootstrap_interval(change, names, confidence, resamples, seed)
    return Difference(
        float(change.mean()),
        low,
        high,
        wilcoxon(change),
        permutation(change, seed=seed),
        detectable_difference(change, 1 - confidence, tests=tests),
        len(change),
    )


def by_group(values: ArrayLike, groups: Sequence[str]) -> np.ndarray:
    """Mean of the known values of each group that has one, groups in order of their names."""
    array, names = np.asarray(values, float), np.asarray(groups, str)
    known = np.isfinite(array)
    return np.array([array[known & (names == name)].mean() for name in np.unique(names[known])])


def wilcoxon(change: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed rank test; zeros are ranked and then dropped (Pratt).

    Exact up to 14 patients, whatever the ties, and up to 50 where no two sizes are equal; else the normal
    approximation with its correction for ties.

    Reference:
        wilcoxon1945individual, pratt1959remarks.
    """
    from scipy.stats import rankdata
    from scipy.stats import wilcoxon as signed_rank

    if not np.any(change):
        return 1.0
    if len(change) <= _EXACT_UP_TO:
        return _share_as_large(np.sign(change) * rankdata(np.abs(change)))
    exact = len(change) <= 50 and np.all(change) and len(np.unique(np.abs(change))) == len(change)
    return float(signed_rank(change, zero_method="pratt", method="exact" if exact else "asymptotic").pvalue)


def permutation(change: np.ndarray, draws: int = 9999, seed: int = 0) -> float:
    """Two-sided p of the mean under swaps of the two answers of each patient; all swaps up to 14 patients, else draws.

    Reference:
        fisher1935design.
    """
    if len(change) <= _EXACT_UP_TO:
        return _share_as_large(change)
    seen = abs(change.sum()) * (1 - 1e-12)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (draws, len(change)))
    return float((1 + np.count_nonzero(np.abs(signs @ change) >= seen)) / (1 + draws))


def _share_as_large(values: np.ndarray) -> float:
    """Share of all ways to give these values signs whose sum is at least as far from zero."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(values))))
    return float(np.mean(np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-12)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of several tests, so that among true null hypotheses one is rejected no more often than by one test.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none is below one before it. NaN
    stays NaN and does not count.

    Reference:
        holm1979simple.
    """
    p = np.asarray(p_values, float)
    order = [index for index in np.argsort(p, kind="stable") if not math.isnan(p[index])]
    adjusted, floor = np.full(len(p), np.nan), 0.0
    for place, index in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - place) * p[index]))
        adjusted[index] = floor
    return adjusted.tolist()


def detectable_difference(change: ArrayLike, alpha: float = 0.05, power: float = 0.8, tests: int = 1) -> float:
    """Smallest mean difference that a two-sided paired t test finds with this power, given this spread and number.

    (t_{1 - alpha/2} + t_{power}) s / sqrt(n) with n - 1 degrees of freedom. A smaller difference that was not
    significant has not been shown to be absent. NaN where no difference can be shown, however large: swaps of n
    patients never give a p below 2 / 2^n, which is multiplied by the number of tests (Holm).
    """
    from scipy.special import stdtrit

    values = np.asarray(change, float)
    if len(values) < 2 or tests * 2 / 2 ** len(values) >= alpha:
        return float("nan")
    freedom = len(values) - 1
    return float(
        (stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, power)) * values.std(ddof=1) / math.sqrt(len(values))
    )
