"""Figures of a comparison as small SVG in the colours of the page: forests, paired dots, agreement of volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from ..evaluation.comparison import Comparison
from ..evaluation.volumes import Agreement

_WIDTH, _ROW, _NAME = 680, 26, 210


def forest(rows: Sequence[tuple[str, float, float, float, bool]], label: str) -> str:
    """Means with intervals around a line at zero.

    Args:
        rows: Name, mean, low, high, and whether it is to be stressed.
        label: What the axis shows.
    """
    ends = [value for _, *numbers, _ in rows for value in numbers if math.isfinite(value)] or [0.0]
    low, high = min(0.0, *ends), max(0.0, *ends)
    if low == high:
        low, high = low - 1, high + 1
    low, high = _padded(low, high)
    place = lambda value: _NAME + (_WIDTH - _NAME - 20) * (value - low) / (high - low)  # noqa: E731
    height = _ROW * len(rows) + 48
    parts = [_line(place(0), 4, place(0), height - 44, "var(--line)", 1.5)]
    for number, (name, mean, left, right, stressed) in enumerate(rows):
        y = 16 + _ROW * number
        colour = "var(--accent)" if stressed else "var(--soft)"
        parts.append(_text(_NAME - 14, y + 4, _short(name), "end", "var(--ink)"))
        if math.isfinite(left):
            parts.append(_line(place(left), y, place(right), y, colour, 2))
        if math.isfinite(mean):
            parts.append(f'<circle cx="{place(mean):.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
    parts += _ticks(low, high, place, height - 38)
    parts.append(_text((_NAME + _WIDTH) / 2, height - 6, label, "middle", "var(--soft)"))
    return _svg(height, parts, label)


def paired_dots(comparison: Comparison, label: str) -> str:
    """One line per patient through its score in each run."""
    names, metric = list(comparison.reports), comparison.metrics[0]
    table = np.column_stack([comparison.values(name, metric) for name in names])
    known = table[np.isfinite(table).all(1)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    high = high if high > low else low + 1
    height, left, right = 300, 90, _WIDTH - 90
    across = lambda number: left + (right - left) * number / (len(names) - 1)  # noqa: E731
    place = lambda value: 14 + 220 * (high - value) / (high - low)  # noqa: E731
    parts = [_line(left - 20, place(tick), right + 20, place(tick), "var(--line)", 0.8) for tick in _nice(low, high)]
    parts += [_text(left - 28, place(tick) + 4, f"{tick:g}", "end", "var(--soft)") for tick in _nice(low, high)]
    for row in known:
        points = " ".join(f"{across(number):.1f},{place(value):.1f}" for number, value in enumerate(row))
        parts.append(f'<polyline points="{points}" fill="none" stroke="var(--soft)" stroke-opacity=".35"/>')
        parts += [
            f'<circle cx="{across(number):.1f}" cy="{place(value):.1f}" r="3" fill="var(--accent)" fill-opacity=".6"/>'
            for number, value in enumerate(row)
        ]
    parts += [_text(across(number), 262, _short(name), "middle", "var(--ink)") for number, name in enumerate(names)]
    parts.append(_text((left + right) / 2, height - 8, label, "middle", "var(--soft)"))
    return _svg(height, parts, label)


def bland_altman(found: Agreement, unit: str, label: str) -> str:
    """Difference of each case over the mean of both sizes, with bias and limits of agreement."""
    x, y = np.array(found.middles), np.array(found.differences)
    ends = np.array([*y, *found.low_interval, *found.high_interval, found.low, found.high, 0.0])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    low, high = _padded(low, high if high > low else low + 1)
    width, height, left = 330, 210, 58
    widest = 1.05 * float(x.max()) if len(x) and x.max() > 0 else 1.0
    across = lambda value: left + (width - left - 10) * value / widest  # noqa: E731
    place = lambda value: 10 + 150 * (high - value) / (high - low)  # noqa: E731
    parts = [_text(left - 6, place(tick) + 4, f"{tick:g}", "end", "var(--soft)") for tick in _nice(low, high)]
    for edges in (found.low_interval, found.high_interval):
        if math.isfinite(edges[0]):
            parts.append(_band(left, place(min(high, edges[1])), width, place(max(low, edges[0]))))
    parts.append(_line(left, place(0), width, place(0), "var(--line)", 1))
    for value, dash in ((found.bias, ""), (found.low, "5 4"), (found.high, "5 4")):
        if math.isfinite(value):
            parts.append(_line(left, place(value), width, place(value), "var(--accent)", 1.4, dash))
    parts += [
        f'<circle cx="{across(a):.1f}" cy="{place(b):.1f}" r="3" fill="var(--ink)" fill-opacity=".5"/>'
        for a, b in zip(x, y, strict=True)
    ]
    parts += [_text(across(tick), 178, f"{tick:g}", "middle", "var(--soft)") for tick in _nice(0, widest)]
    parts.append(_text((left + width) / 2, 198, f"mean of both, {unit}", "middle", "var(--soft)"))
    return _svg(height, parts, label, width)


def _padded(low: float, high: float) -> tuple[float, float]:
    """Both ends a little further out, so that nothing ends on the frame."""
    room = 0.05 * (high - low)
    return low - room, high + room


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:14]}…{name[-14:]}"


def _nice(low: float, high: float) -> list[float]:
    """Three to six round numbers between two."""
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 5)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _ticks(low: float, high: float, place, y: float) -> list[str]:  # type: ignore[no-untyped-def]
    marks = [_text(place(tick), y + 12, f"{tick:g}", "middle", "var(--soft)") for tick in _nice(low, high)]
    return [_line(_NAME, y, _WIDTH - 20, y, "var(--line)", 1), *marks]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _band(x1: float, y1: float, x2: float, y2: float) -> str:
    """A rectangle that shows how uncertain a line is."""
    frame = f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
    return f'<rect {frame} fill="var(--accent)" fill-opacity=".12"/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="12.5">{escape(words)}</text>'
    )


def _svg(height: float, parts: Sequence[str], label: str, width: float = _WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width: 100%; height: auto" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
