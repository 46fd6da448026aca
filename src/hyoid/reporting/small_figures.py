"""Small SVG in the colours of the page: forests, paired dots, agreement of volumes, confusion of structures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from ..evaluation.comparison import Comparison
from ..evaluation.confusion import Confusion
from ..evaluation.volumes import Agreement

MOST_NAMES = 16
_WIDTH, _ROW, _NAME = 680, 26, 210
_LEAST = 1e-4
"""Shares below are as pale as nothing."""


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
    parts.append(_line(_NAME, height - 38, _WIDTH - 20, height - 38, "var(--line)", 1))
    parts += [_text(place(tick), height - 26, f"{tick:g}") for tick in _nice(low, high)]
    parts.append(_text((_NAME + _WIDTH) / 2, height - 6, label))
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
    parts.append(_text((left + right) / 2, height - 8, label))
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
            top, tall = place(min(high, edges[1])), place(max(low, edges[0])) - place(min(high, edges[1]))
            frame = f'x="{left:.1f}" y="{top:.1f}" width="{width - left:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect {frame} fill="var(--accent)" fill-opacity=".12"/>')
    parts.append(_line(left, place(0), width, place(0), "var(--line)", 1))
    for value, dash in ((found.bias, ""), (found.low, "5 4"), (found.high, "5 4")):
        if math.isfinite(value):
            parts.append(_line(left, place(value), width, place(value), "var(--accent)", 1.4, dash))
    parts += [
        f'<circle cx="{across(a):.1f}" cy="{place(b):.1f}" r="3" fill="var(--ink)" fill-opacity=".5"/>'
        for a, b in zip(x, y, strict=True)
    ]
    parts += [_text(across(tick), 178, f"{tick:g}") for tick in _nice(0, widest)]
    parts.append(_text((left + width) / 2, 198, f"mean of both, {unit}"))
    return _svg(height, parts, label, width)


def most_confused(confusion: Confusion, most: int = MOST_NAMES) -> list[int]:
    """Indices of background and the structures that lose or attract most, in order."""
    shares = np.nan_to_num(confusion.shares)
    wrong = shares - np.diag(np.diag(shares))
    wrong[0] = 0
    weight = wrong.sum(1) + wrong.sum(0)
    ranked = sorted(range(1, len(weight)), key=lambda index: (-weight[index], index))
    return [0, *sorted(ranked[: most - 1])]


def confusion_matrix(confusion: Confusion) -> str:
    """SVG of the shares of each reference structure (row) by what it was called (column).

    The depth of the colour is the logarithm of the share, from one in ten thousand to all.
    """
    shown = most_confused(confusion)
    names = [confusion.names[index] for index in shown]
    shares = confusion.shares[np.ix_(shown, shown)]
    cell = 46 if len(names) <= 8 else 34
    left = 14 + 7.6 * min(22, max(map(len, names)))
    top, size = left * 0.72 + 12, cell * len(names)
    parts = []
    for row, line in enumerate(shares):
        y = top + cell * row
        parts.append(_text(left - 8, y + cell / 2 + 4, _short(names[row], 22, 8), "end", "var(--ink)", 12))
        for column, share in enumerate(line):
            x = left + cell * column
            depth = 1 - math.log(share) / math.log(_LEAST) if share >= _LEAST else 0.0
            frame = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 2}" height="{cell - 2}" rx="3"'
            colour = "var(--accent)" if row == column else "var(--warn)"
            fill = f'fill="{colour}" fill-opacity="{0.75 * depth:.2f}"' if depth else 'fill="var(--card)"'
            parts.append(f"<rect {frame} {fill}/>")
            if words := _percent(share):
                parts.append(_text(x + cell / 2 - 1, y + cell / 2 + 3.5, words, "middle", "var(--ink)", 10.5))
    for column, name in enumerate(names):
        x, y = left + cell * column + cell / 2, top - 8
        turned = f' transform="rotate(-40 {x:.1f} {y:.1f})"'
        parts.append(_text(x, y, _short(name, 22, 8), "start", "var(--ink)", 12, turned))
    width, height = left + size + left * 0.6, top + size + 24
    parts.append(_text(left + size / 2, height - 4, "called; rows: what it is", size=12))
    style = f'style="width: min(100%, {width:.0f}px); height: auto"'
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" {style}>{"".join(parts)}</svg>'


def _percent(share: float) -> str:
    if math.isnan(share) or share == 0:
        return ""
    value = 100 * share
    if value < 0.1:
        return "<0.1"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def _padded(low: float, high: float) -> tuple[float, float]:
    """Both ends a little further out, so that nothing ends on the frame."""
    room = 0.05 * (high - low)
    return low - room, high + room


def _short(name: str, most: int = 30, last: int = 14) -> str:
    """A name in at most so many letters, so many of them from its end."""
    return name if len(name) <= most else f"{name[: most - last - 2]}…{name[-last:]}"


def _nice(low: float, high: float) -> list[float]:
    """Three to six round numbers between two."""
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 5)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _text(
    x: float,
    y: float,
    words: str,
    anchor: str = "middle",
    colour: str = "var(--soft)",
    size: float = 12.5,
    more: str = "",
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}"{more}>{escape(words)}</text>'


def _svg(height: float, parts: Sequence[str], label: str, width: float = _WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width: 100%; height: auto" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
