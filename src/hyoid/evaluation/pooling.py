"""Runs that differ by their seed alone, as one: what a case gets is the mean over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import DataError
from ..datasets.entry import listed
from .report import Report, rounded, rounded_size
from .statistics import mean_of_known


@dataclass(frozen=True)
class SeedSpread:
    """How much a score depends on the seed.

    Attributes:
        metric: Its name.
        means: Mean over cases of each run, by name.
        sd: Standard deviation of these means; NaN for one run.
    """

    metric: str
    means: Mapping[str, float]
    sd: float

    @classmethod
    def of(cls, metric: str, means: Mapping[str, float]) -> SeedSpread:
        """The spread of the means of several runs."""
        return cls(metric, means, float(np.std([*means.values()], ddof=1)) if len(means) > 1 else float("nan"))


def pooled(reports: Mapping[str, Report]) -> Report:
    """One report of several runs of the same cases: each value is the mean over runs of that of a case.

    A patient stays one witness, however many seeds there are: intervals are by patient, as those of one run.

    Raises:
        DataError: When runs were judged on different cases, structures or by different rules.
    """
    names, (first, *others) = list(reports), reports.values()
    for name, one in zip(names[1:], others, strict=True):
        if unlike := sorted({*one.cases} ^ {*first.cases}):
            raise DataError(
                f"{names[0]} and {name} differ by their seed alone, but were judged on different cases (such as"
                f" {listed(unlike, 3)}), so they cannot be pooled. Train them with one split_seed, or compare only one."
            )
        if (one.structures, one.settings, one.length_unit) != (first.structures, first.settings, first.length_unit):
            raise DataError(
                f"{names[0]} and {name} differ by their seed alone, but were judged by other metrics, rules or units;"
                " `hyoid evaluate` both alike."
            )
    rows = []
    for case in first.cases:
        for several in zip(*(one.rows_of_case(case) for one in reports.values()), strict=True):
            table = [[row.prediction_size, *row.values.values()] for row in several]
            size, *values = mean_of_known(table).tolist()
            means = dict(zip(several[0].values, map(rounded, values), strict=True))
            rows.append(replace(several[0], prediction_size=rounded_size(size), values=means))
    return replace(first, rows=tuple(rows), certainty=None, confusion=None, baselines=None)
