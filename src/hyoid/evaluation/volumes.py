"""Agreement of volumes: bias, limits between which most differences lie (Bland and Altman), and concordance (Lin)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .statistics import bootstrap_interval, redrawn

_SIGMAS = 1.96


@dataclass(frozen=True)
class Agreement:
    """Differences of predicted and reference sizes.

    Attributes:
        bias: Mean of predicted - reference.
        bias_low: Lower end of its bootstrap interval by patient.
        bias_high: Upper end.
        low: Lower limit of agreement, bias - 1.96 standard deviations.
        high: Upper limit.
        low_interval: Bootstrap interval of the lower limit, by patient.
        high_interval: The same of the upper limit.
        relative_bias: The bias as a share of the mean reference size; NaN when that is 0.
        concordance: Lin's coefficient, 1 when every predicted size is the reference size.
        middles: Mean of both sizes of each case, the horizontal axis of the plot.
        differences: Predicted - reference of each case.
    """

    bias: float
    bias_low: float
    bias_high: float
    low: float
    high: float
    low_interval: tuple[float, float]
    high_interval: tuple[float, float]
    relative_bias: float
    concordance: float
    middles: tuple[float, ...]
    differences: tuple[float, ...]


def agreement(
    predicted: ArrayLike, reference: ArrayLike, groups: Sequence[str], confidence: float = 0.95, resamples: int = 2000
) -> Agreement:
    """Bias and 95 % limits of agreement of sizes; NaN where there are too few cases.

    Args:
        predicted: Size of each case, 0 for what is missed; cases without a size (NaN) are left out.
        reference: The same of the reference.
        groups: Patient of each case.
        confidence: Probability that the interval of the bias is meant to cover.
        resamples: Bootstrap draws.

    Reference:
        bland1986statistical, lin1989concordance.
    """
    one, other = np.asarray(predicted, float), np.asarray(reference, float)
    known = np.isfinite(one - other)
    one, other, groups = one[known], other[known], [group for group, good in zip(groups, known, strict=True) if good]
    change = one - other
    bias = float(change.mean()) if len(change) else float("nan")
    spread = float(_SIGMAS * change.std(ddof=1)) if len(change) > 1 else float("nan")
    interval = bootstrap_interval(change, groups, confidence, resamples)
    lower, upper = _intervals_of_limits(change, groups, confidence, resamples)
    return Agreement(
        bias,
        *interval,
        bias - spread,
        bias + spread,
        lower,
        upper,
        relative_bias=bias / float(other.mean()) if other.any() else float("nan"),
        concordance=concordance(one, other),
        middles=tuple(((one + other) / 2).tolist()),
        differences=tuple(change.tolist()),
    )


def concordance(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Lin's concordance, 2 cov / (var + var + (difference of means)²); NaN when no size differs from another one."""
    one, other = np.asarray(predicted, float), np.asarray(reference, float)
    apart = one.var() + other.var() + (one.mean() - other.mean()) ** 2 if len(one) > 1 else 0.0
    return float(2 * np.mean((one - one.mean()) * (other - other.mean())) / apart) if apart else float("nan")


def _intervals_of_limits(
    change: np.ndarray, groups: Sequence[str], confidence: float, resamples: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Percentile intervals of both limits when whole patients are redrawn; NaN below three patients."""
    _, index = np.unique(np.asarray(groups, str), return_inverse=True)
    num_groups = int(index.max(initial=-1)) + 1
    if num_groups < 3:
        return (float("nan"),) * 2, (float("nan"),) * 2
    centre = change.mean()
    sums = [np.bincount(index, weights, num_groups) for weights in (None, change - centre, (change - centre) ** 2)]
    count, total, squares = (redrawn(num_groups, resamples, 0) @ np.stack(sums, 1)).T
    known = count > 1
    count, mean = count[known], total[known] / count[known]
    reach = _SIGMAS * np.sqrt(np.maximum(squares[known] - count * mean**2, 0) / (count - 1))
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    lower, upper = (np.quantile(centre + mean + side * reach, edges).tolist() for side in (-1, 1))
    return (lower[0], lower[1]), (upper[0], upper[1])
