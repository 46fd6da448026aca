"""The data sheet, and whether the parts of the split share patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...evaluation.report import Report
from ..facts import RunFacts


def data(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """The data sheet as lines and checks, when it is known."""
    sheet = facts.data_sheet
    if sheet is None:
        return None
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
