"""Gaps between kinds of cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...evaluation.report import Report
from ...evaluation.subgroups import Subgroup
from ..comparison_figures import forest
from ..facts import RunFacts
from ..figures import name_of
from ..wording import number

FEW = 10
"""Patients below which an interval says little."""


_FEWEST = 5
"""Patients below which no gap is told in words."""


def subgroups(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A forest of gaps for each column of cases.csv that tells kinds of cases apart."""
    if not report.subgroups:
        return None
    label = f"gap in {name_of(report.settings.metrics[0])} to all other cases"
    return {
        "columns": {
            column: (kinds, forest([_row(kind) for kind in kinds], label), finding(column, kinds))
            for column, kinds in report.subgroups.items()
        },
        "few": FEW,
    }


def _row(kind: Subgroup) -> tuple[str, float, float, float, bool]:
    name = f"{kind.kind}  (n = {kind.num_groups}{', few' if kind.num_groups < FEW else ''})"
    return name, kind.gap, kind.gap_low, kind.gap_high, clear(kind)


def clear(kind: Subgroup) -> bool:
    """Whether the interval of the gap leaves out zero."""
    return math.isfinite(kind.gap_low) and not kind.gap_low <= 0 <= kind.gap_high


def finding(column: str, kinds: Sequence[Subgroup]) -> str:
    """The largest gap whose interval leaves out zero, among kinds of enough patients."""
    enough = [kind for kind in kinds if kind.num_groups >= _FEWEST]
    differing = sorted((kind for kind in enough if clear(kind)), key=lambda kind: -abs(kind.gap))
    if not enough:
        return f"{column}: too few cases of each kind to tell"
    if not differing:
        return f"{column}: no clear gap between {len(kinds)} kinds"
    worst = differing[0]
    direction = "higher" if worst.gap > 0 else "lower"
    return f"{column}: {worst.kind} lies {number(abs(worst.gap))} {direction} than the others"
