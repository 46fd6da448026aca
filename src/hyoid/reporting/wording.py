"""How a page writes numbers."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 3) -> str:
    """A number for readers: fixed digits below 100, fewer above, a dash when it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 100:
        text = f"{value:,.0f}".replace(",", "\u2009")
    else:
        text = f"{value:.{digits if abs(value) < 10 else min(digits, 1)}f}"
    return text.replace("-", "\u2212")


def shortly(value: float) -> str:
    """A number of any size in three digits, thousands written out: 0.0123, 4.57, 268 811."""
    text = f"{value:,.0f}".replace(",", "\u2009") if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "\u2212")


def between(low: float, high: float) -> str:
    """Two numbers with a dash between them; one dash when they are not known."""
    return "–" if math.isnan(low) else f"{number(low)} – {number(high)}"


def several(count: int, noun: str) -> str:
    """A number of things: 1 case, 3 cases."""
    return f"{count} {noun}{'s' * (count != 1)}"
