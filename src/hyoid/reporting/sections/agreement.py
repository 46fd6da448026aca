"""Whether sizes agree."""

from __future__ import annotations

import math
from typing import Any

from ...evaluation.report import Report
from ...evaluation.volumes import Agreement
from ..comparison_figures import bland_altman
from ..facts import RunFacts
from ..wording import number

_MOST_FIGURES = 6


def agreement(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A Bland-Altman plot for each structure, when many those with the lowest concordance; nothing for one case."""
    if len(report.cases) < 2:
        return None
    found = report.agreements
    ranked = sorted(
        found, key=lambda name: math.inf if math.isnan(found[name].concordance) else found[name].concordance
    )
    shown = [name for name in found if name in ranked[:_MOST_FIGURES]]
    what = {"ml": "volume", "mm²": "area"}.get(report.size_unit, "size")
    return {
        "figures": [
            (name, bland_altman(found[name], report.size_unit, ""), finding(name, found[name], report.size_unit))
            for name in shown
        ],
        "rows": found,
        "what": what,
        "left_out": len(found) - len(shown),
    }


def finding(structure: str, found: Agreement, unit: str) -> str:
    """Whether sizes are too large or too small."""
    if found.bias_low <= 0 <= found.bias_high or math.isnan(found.bias_low):
        return f"{structure}: no clear bias ({number(found.bias)} {unit})"
    kind = "too large" if found.bias > 0 else "too small"
    return f"{structure}: {number(abs(found.bias))} {unit} {kind} on average"
