"""Putting report, facts and pictures into one self-contained report.html."""

from __future__ import annotations

import math
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ..core.duration import duration
from ..core.files import atomic_path
from ..core.progress import track
from ..evaluation.report import Report, Summary
from .facts import DataSheet, RunFacts
from .figures import crowded, distribution, learning_curves, name_of, read_curves
from .overlays import COLOURS, chosen_cases, pictures

_CAPTIONS = {
    "loss": "Loss of the training patches.",
    "dice": "Dice of whole validation cases during training.",
    "learning_rate": "Learning rate.",
}
_MOST_COLUMNS = 8
_KINDS = ("found by both", "marked, but not in the reference", "missing", "marked as another structure")


def write_page(folder: str | Path, report: Report, facts: RunFacts | None = None) -> Path:
    """Write `report.html`: everything in one file, no address outside it, no script needed to read it.

    Args:
        folder: Where the page goes.
        report: The numbers.
        facts: Where they come from; parts that are not known are not shown.

    Returns:
        The path of the page.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    environment.filters["interval"] = lambda spread: _between(spread.low, spread.high)
    environment.filters["quartiles"] = lambda spread: _between(spread.q1, spread.q3)
    environment.filters["duration"] = lambda seconds: "–" if seconds is None else duration(seconds)
    template = environment.from_string(_text("page.html"))
    html = template.render(**_content(report, facts or RunFacts()))
    target = Path(folder) / "report.html"
    with atomic_path(target) as path:
        path.write_text(html, encoding="utf-8")
    return target


def number(value: float | None, digits: int = 3) -> str:
    """A number for readers: fixed digits below 100, fewer above, a dash when it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u2009")
    return f"{value:.{digits if abs(value) < 10 else min(digits, 1)}f}".replace("-", "\u2212")


def _between(low: float, high: float) -> str:
    """Two numbers with a dash between them; one dash when they are not known."""
    return "–" if math.isnan(low) else f"{number(low)} – {number(high)}"


def _content(report: Report, facts: RunFacts) -> dict[str, Any]:
    """Everything the template names."""
    primary = report.settings.metrics[0]
    curves = learning_curves(read_curves(facts.curves)) if facts.curves and facts.curves.is_file() else {}
    gallery = _gallery(report, facts)
    return {
        "report": report,
        "facts": facts,
        "style": _text("page.css"),
        "script": _text("page.js"),
        "primary": primary,
        "primary_metric": report.metrics[primary],
        "mean": report.summary("mean", primary),
        "headline": [report.summary(structure, primary) for structure in report.structures],
        "table": {
            name: [report.summary(name, metric) for metric in report.settings.metrics] for name in report.structures
        },
        "num_groups": len({row.group for row in report.rows}),
        "num_missed": sum(row.finding == "missed" for row in report.rows),
        "curves": curves,
        "distributions": {name: distribution(report, name) for name in _shown_distributions(report)},
        "crowded": crowded(report),
        "cases": _case_rows(report, primary),
        "columns": report.structures if 1 < len(report.structures) <= _MOST_COLUMNS else (),
        "many": len(report.structures) > _MOST_COLUMNS,
        "flagged": any(row.finding in ("missed", "spurious") for row in report.rows),
        "gallery": gallery,
        "legend": _legend(report),
        "sheet": _sheet(facts.data_sheet) if facts.data_sheet else None,
        "remarks": any(stage.note for stage in facts.stages),
        "shown": {one["case"] for one in gallery},
        "bar": lambda one: bar(one, axis_of(report, primary)),
        "name_of": name_of,
        "percent": f"{100 * report.settings.confidence:g} %",
        "has_surface": any(metric.unit == "mm" or name == "nsd" for name, metric in report.metrics.items()),
        "captions": _CAPTIONS,
        "version": version("hyoid"),
    }


def axis_of(report: Report, metric: str) -> tuple[float, float]:
    """Range of the bars of the headline: of the metric where it is bounded, else up to the largest interval."""
    low, high = report.metrics[metric].range
    if math.isfinite(high):
        return low, high
    tops = [value for one in report.summaries if one.metric == metric for value in (one.spread.mean, one.spread.high)]
    return 0.0, max([top for top in tops if math.isfinite(top)], default=1.0) or 1.0


def _shown_distributions(report: Report) -> list[str]:
    wanted = ("dice", "hd95", "nsd", "volume_error")
    shown = [name for name in wanted if name in report.settings.metrics]
    return shown or [report.settings.metrics[0]]


def _case_rows(report: Report, primary: str) -> list[dict[str, Any]]:
    """Cases from worst to best: mean score, score of each structure, largest distance, flags."""
    sign = 1 if report.metrics[primary].higher_is_better else -1
    rows = []
    for case in report.ranked():
        found = report.rows_of_case(case)
        known = [row for row in found if not math.isnan(row.values[primary])]
        worst = min(known, key=lambda row: sign * row.values[primary], default=None)
        rows.append(
            {
                "case": case,
                "group": found[0].group,
                "score": report.score(case),
                "scores": {row.structure: row.values[primary] for row in found},
                "worst": worst.structure if worst else "",
                "worst_score": worst.values[primary] if worst else float("nan"),
                "flags": [(row.finding, row.structure) for row in found if row.finding in ("missed", "spurious")],
            }
        )
    return rows


def _legend(report: Report) -> list[tuple[str, str]]:
    """Meaning and colour of the marks in an error map; one structure cannot be taken for another."""
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS.values()]
    return list(zip(_KINDS, colours, strict=True))[: 4 if len(report.structures) > 1 else 3]


def _gallery(report: Report, facts: RunFacts) -> list[dict[str, Any]]:
    """The pictures of the chosen cases."""
    if facts.overlay is None:
        return []
    shown = []
    for why, case in track(chosen_cases(report), "draw cases"):
        shown.append({"why": why, "case": case, "score": report.score(case), "pictures": pictures(facts.overlay(case))})
    return shown


def _sheet(sheet: DataSheet) -> dict[str, Any]:
    """The data sheet as lines and checks."""
    lines: dict[str, str] = dict(sheet.facts)
    if sheet.shapes:
        lines["Size"] = _span(sheet.shapes, "{:.0f}", "voxels" if len(sheet.shapes[0]) == 3 else "pixels")
    if sheet.spacings_mm:
        lines["Spacing"] = _span(sheet.spacings_mm, "{:.3g}", "mm")
    parts = {
        part: (len(cases), len({sheet.groups.get(case) or case for case in cases}))
        for part, cases in sheet.split.items()
    }
    return {"lines": lines, "parts": parts, "leaks": sheet.leaks(), "warnings": sheet.warnings}


def _span(rows: Any, form: str, unit: str) -> str:
    """Median of each axis, and the range when it differs: 64 × 51 × 21 (55–71 × 49–52 × 18–23) voxels."""
    table = np.asarray(rows, float)
    if len(table) == 1:
        return f"{' × '.join(form.format(v) for v in table[0])} {unit}"
    middle = " × ".join(form.format(v) for v in np.median(table, axis=0))
    low, high = table.min(0), table.max(0)
    if np.allclose(low, high, rtol=1e-4):
        return f"{middle} {unit}, all cases"
    ranges = [
        form.format(a) if a == b else f"{form.format(a)}–{form.format(b)}" for a, b in zip(low, high, strict=True)
    ]
    return f"{middle} {unit} (median; {' × '.join(ranges)})"


def _text(name: str) -> str:
    return files("hyoid.reporting").joinpath(name).read_text(encoding="utf-8")


def bar(summary: Summary, axis: tuple[float, float]) -> dict[str, Any]:
    """Where mean and interval lie on a bar, in percent of its length."""
    low, high = axis
    place = lambda value: round(100 * min(1, max(0, (value - low) / (high - low))), 2)  # noqa: E731
    known = not math.isnan(summary.spread.low)
    return {"known": known, **{key: place(getattr(summary.spread, key)) for key in ("mean", "low", "high")}}
