"""Ranking of several answers to the same cases, how stable it is, and who wins against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .paired import by_group
from .statistics import redrawn


@dataclass(frozen=True)
class Ranking:
    """Ranks of answers (columns of a table of scores).

    Attributes:
        mean_ranks: Mean over patients of the rank within the patient, 1 the best; ties share.
        places: Place of each answer by its mean rank, 1 the best; ties share the better one.
        shares: (answers, places) how often each answer takes each place when patients are drawn anew.
        tau: Mean rank correlation (Kendall's tau-b) of those redraws with the ranking; 1 is perfectly stable.
        wins: (answers, answers) share of patients in which the row is better than the column, ties half.
    """

    mean_ranks: tuple[float, ...]
    places: tuple[int, ...]
    shares: np.ndarray
    tau: float
    wins: np.ndarray


def ranking(
    scores: np.ndarray, groups: Sequence[str], higher_is_better: bool, resamples: int = 1000, seed: int = 0
) -> Ranking:
    """Rank within each patient, then average: no patient counts more because its scores lie further apart.

    Args:
        scores: (cases, answers), no value missing.
        groups: Patient of each case.
        higher_is_better: Direction of the scores.
        resamples: Redraws of patients.
        seed: Of the redraws.

    Reference:
        maierhein2018rankings, wiesenfarth2021methods.
    """
    from scipy.stats import kendalltau, rankdata

    sign = -1.0 if higher_is_better else 1.0
    table = sign * np.column_stack([by_group(column, groups) for column in np.asarray(scores, float).T])
    ranks = rankdata(table, axis=1)
    mean_ranks = ranks.mean(0)
    drawn = redrawn(len(ranks), resamples, seed) @ ranks / len(ranks)
    places = rankdata(np.round(drawn, 9), axis=1, method="min").astype(int)
    shares = np.stack([(places == place).mean(0) for place in range(1, ranks.shape[1] + 1)], axis=1)
    taus = [kendalltau(mean_ranks, one).statistic for one in drawn]
    known = [tau for tau in taus if np.isfinite(tau)]
    better = (table[:, :, None] < table[:, None, :]) + 0.5 * (table[:, :, None] == table[:, None, :])
    return Ranking(
        tuple(mean_ranks.tolist()),
        tuple(rankdata(np.round(mean_ranks, 9), method="min").astype(int).tolist()),
        shares,
        float(np.mean(known)) if known else float("nan"),
        better.mean(0),
    )
