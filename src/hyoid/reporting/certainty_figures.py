"""Figures of how sure a net was: reliability diagrams, detection at each number of false pieces, and by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .figures import ACCENT, INK, LINE, PALETTE, SOFT, as_svg, new_figure
from .wording import shortly

_FALSE_TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)


def reliability_diagram(structure: str, bins: Sequence[Sequence[float]]) -> str:
    """SVG of the share of voxels that hold a structure over what was claimed, with the number of voxels below.

    Args:
        structure: Its name.
        bins: Voxels, sum of probabilities, and voxels of the structure in each bin of equal width.
    """
    count, claimed, hits = np.array(bins, float).T
    some = count > 0
    figure, axes = new_figure(3.0, 2.9)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=0.9, dashes=(4, 3), zorder=1)
    x, y = claimed[some] / count[some], hits[some] / count[some]
    axes.vlines(x, np.minimum(x, y), np.maximum(x, y), color=ACCENT, lw=4, alpha=0.25, zorder=2)
    axes.plot(x, y, "o-", color=ACCENT, ms=4, lw=1.5, zorder=3)
    below = axes.inset_axes((0, -0.32, 1, 0.18))
    edges = np.linspace(0, 1, len(count) + 1)
    below.bar(edges[:-1], np.where(some, np.log10(np.maximum(count, 1)) + 0.3, 0), 1 / len(count), align="edge")
    for patch in below.patches:
        patch.set(facecolor=LINE, edgecolor=SOFT, linewidth=0.5)
    below.set(xlim=(-0.02, 1.02), yticks=[], xticks=[], facecolor="none")
    below.grid(visible=False)
    for side in below.spines.values():
        side.set_visible(False)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", ylabel="share that is right")
    axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"))
    axes.set_xticks(axes.get_yticks(), [f"{tick:g}" for tick in axes.get_yticks()])
    below.set_xlabel("probability; bars: voxels (log)", color=SOFT, fontsize=9)
    return as_svg(figure, f"reliability:{structure}")


def detection_curves(curves: Sequence[Mapping[str, Any]]) -> str:
    """SVG of the share of found lesions over false pieces per case (FROC), a stepped line for each structure."""
    figure, axes = new_figure(4.3, 2.9)
    first, last = _FALSE_TICKS[0], _FALSE_TICKS[-1]
    for number, one in enumerate(curves):
        false, found = np.array(one["curve"], float).T
        shown = false <= last
        x = np.append(np.maximum(false[shown], first), last)
        y = np.append(found[shown], found[shown][-1])
        axes.step(x, y, where="post", color=PALETTE[number % len(PALETTE)], lw=1.8, label=one["structure"])
    axes.set_xscale("log")
    axes.set_xticks(_FALSE_TICKS, [f"{tick:g}" for tick in _FALSE_TICKS])
    axes.set_xticks([], minor=True)
    axes.set(xlim=(first, last), ylim=(-0.02, 1.02), xlabel="false pieces per case", ylabel="share of pieces found")
    if len(curves) > 1:
        figure.legend(loc="outside lower center", frameon=False, labelcolor=INK, ncols=min(3, len(curves)))
    return as_svg(figure, "detection")


def by_size(curves: Sequence[Mapping[str, Any]], unit: str) -> str:
    """SVG of the share of found lesions in bands of size, with Wilson intervals.

    Args:
        curves: Structures with their bands.
        unit: Of sizes.
    """
    rows = [(one["structure"], band) for one in curves for band in one["by_size"]]
    figure, axes = new_figure(4.3, 0.8 + 0.3 * len(rows))
    for place, (_, band) in enumerate(rows):
        axes.plot([band["wilson_low"], band["wilson_high"]], [place, place], color=SOFT, lw=1.5, zorder=2)
        axes.plot(band["sensitivity"], place, "o", color=ACCENT, ms=5, zorder=3)
    several = len(curves) > 1
    names = [
        f"{name + ', ' if several else ''}{_span(band['low'], band['high'])} {unit}  (n = {band['num_lesions']})"
        for name, band in rows
    ]
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel="share of pieces found")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return as_svg(figure, "by size")


def _span(low: float, high: float) -> str:
    return shortly(low) if low == high else f"{shortly(low)}–{shortly(high)}"
