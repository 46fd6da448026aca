"""What lies behind the scores: sizes, structures taken for each other, certainty, single pieces, kinds of cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...evaluation.confusion import BACKGROUND
from ...evaluation.report import Report
from ...evaluation.subgroups import Subgroup
from ...evaluation.tally import BINS, CERTAINTY_METRICS
from ...evaluation.volumes import Agreement
from ...metrics.lesions import FOUND_IOU
from ..certainty_figures import by_size, detection_curves, reliability_diagram
from ..facts import RunFacts
from ..figures import name_of
from ..small_figures import MOST_NAMES, bland_altman, confusion_matrix, forest
from ..wording import number, shortly

_MOST_FIGURES = 6
_FEW = 10
"""Patients below which an interval says little."""
_FEWEST = 5
"""Patients below which no gap is told in words."""


def agreement(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A Bland-Altman plot for each structure, when many those with the lowest concordance; nothing for one case."""
    if len(report.cases) < 2 or not report.agreements:
        return None
    found = report.agreements
    ranked = sorted(found, key=lambda name: np.nan_to_num(found[name].concordance, nan=np.inf))
    shown = [name for name in found if name in ranked[:_MOST_FIGURES]]
    what = "volume" if report.size_unit == "ml" else {"²": "area", "³": "volume"}.get(report.size_unit[-1], "size")
    return {
        "figures": [
            (name, bland_altman(found[name], report.size_unit, ""), bias_found(name, found[name], report.size_unit))
            for name in shown
        ],
        "rows": found,
        "what": what,
        "left_out": len(found) - len(shown),
    }


def bias_found(structure: str, found: Agreement, unit: str) -> str:
    """Whether sizes are too large or too small."""
    size = shortly if abs(found.bias) < 0.1 else number
    if found.bias_low <= 0 <= found.bias_high or math.isnan(found.bias_low):
        return f"{structure}: no clear bias ({size(found.bias)} {unit})"
    kind = "too large" if found.bias > 0 else "too small"
    return f"{structure}: {size(abs(found.bias))} {unit} {kind} on average"


def confusion(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The matrix and its largest mistake; nothing where structures overlap."""
    if report.confusion is None:
        return None
    found = report.confusion.mistakes()
    if not found:
        title = "No voxel of a structure was called anything else"
    else:
        name, other, share = found[0]
        called = "missed" if other == BACKGROUND else f"called {other}"
        title = f"{100 * share:.1f} % of the voxels of {name} are {called}"
        swaps = [one for one in found if one[1] != BACKGROUND]
        if other == BACKGROUND and swaps:
            title += f"; {100 * swaps[0][2]:.1f} % of {swaps[0][0]} are called {swaps[0][1]}"
    return {
        "matrix": confusion_matrix(report.confusion),
        "title": title,
        "left_out": max(0, len(report.confusion.names) - MOST_NAMES),
    }


def certainty(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A diagram for each structure, those with the largest error first when there are many, and a table of all."""
    if not report.certainty or not report.certainty["structures"]:
        return None
    rows = report.certainty["structures"]
    worst = sorted(rows, key=lambda row: -(row["pooled_ece"] or 0))[:_MOST_FIGURES]
    shown = [row for row in rows if row in worst]
    return {
        "refined": facts.refined,
        "rows": rows,
        "left_out": len(rows) - len(shown),
        "diagrams": [
            (row, reliability_diagram(row["structure"], row["reliability"]), certainty_found(row)) for row in shown
        ],
        "columns": {name: name_of(name) for name in CERTAINTY_METRICS},
        "margin": report.length(report.certainty["margin_mm"]),
        "bins": BINS,
    }


def certainty_found(row: Mapping[str, Any]) -> str:
    """What the diagram of a structure shows, of the voxels that were given one half or more."""
    count, claimed, hits = np.array(row["reliability"], float)[(BINS + 1) // 2 :].sum(0)
    if not count:
        return f"{row['structure']}: never more likely than not"
    says, right = 100 * claimed / count, 100 * hits / count
    gap = says - right
    kind = "rightly sure" if abs(gap) < 1 else "too sure" if gap > 0 else "not sure enough"
    return f"{row['structure']}: {kind}; where marked, {says:.0f} % claimed and {right:.0f} % right"


def detection(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """FROC curves and sensitivity by size of the structures that are several pieces."""
    found = report.certainty["detection"] if report.certainty else []
    if not found:
        return None
    return {
        "refined": facts.refined,
        "rows": found,
        "curves": detection_curves(found),
        "found_iou": FOUND_IOU,
        "curves_title": "; ".join(_at_one(row) for row in found[:3]),
        "sizes": by_size(found, report.size_unit),
        "sizes_title": "; ".join(_ends(row) for row in found[:3]),
    }


def _at_one(row: Mapping[str, Any]) -> str:
    false, found = np.array(row["curve"], float).T
    share = 100 * found[false <= 1].max()
    return f"{row['structure']}: {share:.0f} % found at one false piece per case"


def _ends(row: Mapping[str, Any]) -> str:
    bands = row["by_size"]
    first, last = (100 * bands[place]["sensitivity"] for place in (0, -1))
    if len(bands) == 1:
        return f"{row['structure']}: {first:.0f} % found, all of one size"
    return f"{row['structure']}: {first:.0f} % of the smallest and {last:.0f} % of the largest found"


def subgroups(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A forest of gaps for each column of cases.csv that tells kinds of cases apart."""
    if not report.subgroups:
        return None
    label = f"gap in {name_of(report.settings.metrics[0])} to all other cases"
    return {
        "columns": {
            column: (kinds, forest([_row(kind) for kind in kinds], label), gap_found(column, kinds))
            for column, kinds in report.subgroups.items()
        },
        "few": _FEW,
    }


def _row(kind: Subgroup) -> tuple[str, float, float, float, bool]:
    name = f"{kind.kind}  (n = {kind.num_groups}{', few' if kind.num_groups < _FEW else ''})"
    return name, kind.gap, kind.gap_low, kind.gap_high, clear(kind)


def clear(kind: Subgroup) -> bool:
    """Whether the interval of the gap leaves out zero."""
    return math.isfinite(kind.gap_low) and not kind.gap_low <= 0 <= kind.gap_high


def gap_found(column: str, kinds: Sequence[Subgroup]) -> str:
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
