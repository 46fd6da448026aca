"""Figure of which structure is taken for which, as small SVG in the colours of the page."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from ..evaluation.confusion import Confusion

MOST_NAMES = 16
_LEAST = 1e-4
"""Shares below are as pale as nothing."""


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
        parts.append(_text(left - 8, y + cell / 2 + 4, _short(names[row]), "end", "var(--ink)", 12))
        for column, share in enumerate(line):
            x = left + cell * column
            depth = _depth(share)
            frame = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 2}" height="{cell - 2}" rx="3"'
            colour = "var(--accent)" if row == column else "var(--warn)"
            if depth:
                parts.append(f'<rect {frame} fill="{colour}" fill-opacity="{0.75 * depth:.2f}"/>')
            else:
                parts.append(f'<rect {frame} fill="var(--card)"/>')
            words = _percent(share)
            if words:
                parts.append(_text(x + cell / 2 - 1, y + cell / 2 + 3.5, words, "middle", "var(--ink)", 10.5))
    for column, name in enumerate(names):
        x, y = left + cell * column + cell / 2, top - 8
        turned = f'transform="rotate(-40 {x:.1f} {y:.1f})"'
        parts.append(_text(x, y, _short(name), "start", "var(--ink)", 12, turned))
    width, height = left + size + left * 0.6, top + size + 24
    parts.append(_text(left + size / 2, height - 4, "called; rows: what it is", "middle", "var(--soft)", 12))
    style = f'style="width: min(100%, {width:.0f}px); height: auto"'
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" {style}>{"".join(parts)}</svg>'


def _depth(share: float) -> float:
    """0 for nothing, 1 for all, logarithmic between."""
    if not share >= _LEAST:
        return 0.0
    return 1 - math.log(share) / math.log(_LEAST)


def _percent(share: float) -> str:
    if math.isnan(share) or share == 0:
        return ""
    value = 100 * share
    if value < 0.1:
        return "<0.1"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:12]}…{name[-8:]}"


def _text(x: float, y: float, words: str, anchor: str, colour: str, size: float, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" {more}>'
        f"{escape(words)}</text>"
    )
