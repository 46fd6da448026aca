"""Putting a comparison of runs into one self-contained comparison.html."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.comparison import MEAN, Compared, Comparison
from ..evaluation.statistics import mean_of_known
from .figures import name_of
from .page import environment, write_filled
from .small_figures import bland_altman, forest, paired_dots
from .wording import number, several

_MOST_VOLUMES = 12


def write_comparison(folder: str | Path, comparison: Comparison) -> Path:
    """Write `comparison.html`: differences with intervals, ranking and its stability, wins, volumes, subgroups.

    Args:
        folder: Where the page goes.
        comparison: The numbers.

    Returns:
        The path of the page.
    """
    jinja = environment()
    jinja.filters |= {"p_value": p_value, "several": several}
    jinja.filters["to"] = lambda low, high: "–" if low != low else f"{number(low)} to {number(high)}"
    return write_filled(Path(folder) / "comparison.html", jinja, "comparison.html", **_content(comparison))


def p_value(value: float) -> str:
    """A probability for readers: never 0."""
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"


def verdict(row: Compared) -> str:
    """What one comparison says, in a sentence."""
    names = f"{row.other} and {row.base} in {name_of(row.metric)}"
    if row.better:
        worse = row.base if row.better == row.other else row.other
        size = number(abs(row.found.mean))
        return f"{row.better} is better than {worse} in {name_of(row.metric)} by {size}."
    if row.found.mean == row.found.low == row.found.high == 0:
        return f"{names} are equal in every patient."
    if row.found.detectable != row.found.detectable:
        patients = several(row.found.num_groups, "patient")
        return f"With {patients} no difference between {names} can be shown, however large."
    least = number(row.found.detectable)
    return f"No difference between {names} was shown; one below {least} could hardly have been, with so few patients."


def _content(comparison: Comparison) -> dict[str, Any]:
    """Everything the template names."""
    metric = comparison.metrics[0]
    first = comparison.first
    unit = first.unit(metric)
    heading = name_of(metric) + (f" ({unit})" if unit else "")
    shown = [row for row in comparison.differences if row.metric == metric]
    short = {name: re.sub(r" \(\d+ seeds\)$", "", name) for name in comparison.reports}  # room is short
    if len({*short.values()}) < len(short):
        short = {name: name for name in short}
    rows = []
    for row in shown:
        name = f"{short[row.other]} − {short[row.base]}{'' if row.structure == MEAN else ', ' + row.structure}"
        rows.append((name, row.found.mean, row.found.low, row.found.high, bool(row.better)))
    volumes = list(comparison.volumes.items())[:_MOST_VOLUMES]
    return {
        "comparison": comparison,
        "runs": list(comparison.reports),
        "metric": metric,
        "heading": heading,
        "arrow": "higher" if first.metrics[metric].higher_is_better else "lower",
        "num_cases": len(first.cases),
        "num_groups": len(set(comparison.first.groups)),
        "percent": f"{100 * first.settings.confidence:g} %",
        "verdicts": [verdict(row) for row in shown if row.structure == MEAN],
        "forest": forest(rows, f"difference in {heading}"),
        "dots": paired_dots(comparison, heading),
        "differences": comparison.differences,
        "means": {name: float(mean_of_known(comparison.values(name, metric))) for name in comparison.reports},
        "ranking": comparison.ranking,
        "volumes": [
            (name, structure, found, bland_altman(found, first.size_unit, f"Agreement of sizes: {structure} by {name}"))
            for (name, structure), found in volumes
        ],
        "size_unit": first.size_unit,
        "subgroups": {column: _subgroup_rows(found) for column, found in comparison.subgroups.items()},
    }


def _subgroup_rows(found: Mapping[str, Any]) -> dict[str, Any]:
    """The figure of gaps and the table of one column."""
    rows = [
        (f"{one.kind}, {name}", one.gap, one.gap_low, one.gap_high, one.gap_low > 0 or one.gap_high < 0)
        for name, kinds in found.items()
        for one in kinds
    ]
    return {"forest": forest(rows, "mean of these cases minus mean of all others"), "runs": found}
