"""The data sheet, and whether the parts of the split share patients or images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.lengths import mm_in
from ...evaluation.report import Report
from ..data_figures import axis_histograms, intensity_histogram, ratio, structure_sizes
from ..data_sheet import DataSheet
from ..facts import RunFacts
from ..wording import shortly

_MOST_CHANNELS = 4
_MOST_SELDOM = 8
_ALIKE = 1.25


def data(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The data sheet as lines, checks and figures, when it is known."""
    sheet = facts.data_sheet
    if sheet is None:
        return None
    lines: dict[str, str] = dict(sheet.facts)
    unit = "voxels" if sheet.shapes and len(sheet.shapes[0]) == 3 else "pixels"
    if sheet.shapes:
        lines["Size"] = _span(sheet.shapes, "{:.0f}", unit)
    if sheet.spacings_mm:
        lines["Spacing"] = _span(_spacings(sheet), "{:.3g}", sheet.length_unit)
    return {
        "lines": lines,
        "parts": sheet.parts(),
        "leaks": sheet.leaks(),
        "copies": sheet.copies(),
        "leaking": sheet.leaking_copies(),
        "warnings": sheet.warnings,
        "figures": _figures(sheet, unit),
        "seldom": _seldom(sheet),
    }


def _spacings(sheet: DataSheet) -> list[tuple[float, ...]]:
    """Spacing of each case in the unit of the sheet."""
    return [tuple(size / mm_in(sheet.length_unit) for size in one) for one in sheet.spacings_mm]


def _seldom(sheet: DataSheet) -> str:
    """Structures that some annotated cases lack, the rarest first."""
    annotated = max((len(sizes) for sizes in sheet.sizes.values()), default=0)
    present = {name: sum(size > 0 for size in sizes.values()) for name, sizes in sheet.sizes.items()}
    found = sorted((count, name) for name, count in present.items() if count < annotated)
    told = [f"{name} in {count}" for count, name in found[:_MOST_SELDOM]]
    more = f" and {len(found) - _MOST_SELDOM} more" if len(found) > _MOST_SELDOM else ""
    return f"Not in each of the {annotated} annotated cases: {', '.join(told)}{more}." if found else ""


def _figures(sheet: DataSheet, unit: str) -> list[tuple[str, str, str]]:
    """SVG, title and caption of what differs between cases."""
    found = []
    for rows, what, name in ((sheet.shapes, "size", unit), (_spacings(sheet), "spacing", sheet.length_unit)):
        if _differ(rows):
            figure = axis_histograms(rows, what, name)
            found.append((figure, _largest_change(rows, what), f"Along each array axis, {len(rows)} cases."))
    if any(size > 0 for sizes in sheet.sizes.values() for size in sizes.values()):
        number = max(len(sizes) for sizes in sheet.sizes.values())
        caption = f"Ticks are cases in which the structure is present, dots medians; {number} annotated cases."
        found.append((structure_sizes(sheet), alike(sheet), caption))
    for one in list(sheet.intensities)[:_MOST_CHANNELS]:
        if one.shares:
            title = f"{one.channel}: 99 % lie between {shortly(one.low)} and {shortly(one.high)}"
            inside = "structures" if sheet.sizes else "content"
            found.append((intensity_histogram(one), title, f"Voxels inside the {inside}, drawn from all cases."))
    return found


def alike(sheet: DataSheet) -> str:
    """Whether validation cases are as large as those of training."""
    ratios = {name: ratio(sheet, name) for name in sheet.sizes}
    name = max(ratios, key=lambda one: abs(np.log(ratios[one])))
    if max(ratios[name], 1 / ratios[name]) < _ALIKE:
        return "Structures are about as large in validation as in training"
    kind = "larger" if ratios[name] > 1 else "smaller"
    return f"{name} is {max(ratios[name], 1 / ratios[name]):.1f} times {kind} in validation than in training"


def _differ(rows: Any) -> bool:
    return len(rows) > 1 and not np.allclose(np.min(rows, axis=0), np.max(rows, axis=0), rtol=1e-3)


def _largest_change(rows: Any, what: str) -> str:
    table = np.asarray(rows, float)
    change = (table.max(0) / np.maximum(table.min(0), 1e-9)).max()
    return f"The {what} differs up to {change:.2g}-fold between cases"


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
