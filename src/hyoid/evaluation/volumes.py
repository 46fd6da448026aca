"""Agreement of volumes: bias and limits between which most differences lie (Bland and Altman)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .statistics import bootstrap_interval


@dataclass(frozen=True)
class Agreement:
    """Differences of predicted and reference sizes.

    Attributes:
        bias: Mean of predicted - reference.
        bias_low: Lower end of its bootstrap interval by patient.
        bias_high: Upper end.
        low: Lower limit of agreement, bias - 1.96 standard deviations.
        high: Upper limit.
        middles: Mean of both sizes of each case, the horizontal axis of the plot.
        differences: Predicted - reference of each case.
    """

    bias: float
    bias_low: float
    bias_high: float
    low: float
    high: float
    middles: tuple[float, ...]
    differences: tuple[float, ...]


def agreement(
    predicted: ArrayLike, reference: ArrayLike, groups: Sequence[str], confidence: float = 0.95, resamples: int = 2000
) -> Agreement:
    """Bias and 95 % limits of agreement of sizes; NaN where there are too few cases.

    Args:
        predicted: Size of each case, 0 for what is missed.
        reference: The same of the reference.
        groups: Patient of each case.
        confidence: Probability that the interval of the bias is meant to cover.
        resamples: Bootstrap draws.

    Reference:
        bland1986statistical.
    """
    one, other = np.asarray(predicted, float), np.asarray(reference, float)
    change = one - other
    bias = float(change.mean()) if len(change) else float("nan")
    spread = float(1.96 * change.std(ddof=1)) if len(change) > 1 else float("nan")
    interval = bootstrap_interval(change, groups, confidence, resamples)
    middles = tuple(((one + other) / 2).tolist())
    return Agreement(bias, *interval, bias - spread, bias + spread, middles, tuple(change.tolist()))
