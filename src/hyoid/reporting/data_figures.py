"""Figures of a data set: how sizes and intensities lie, and whether the parts of its split hold alike structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .data_sheet import DataSheet, Intensities
from .figures import ACCENT, INK, PALETTE, as_svg, new_figure, new_figures
from .wording import shortly

_MOST_STRUCTURES = 16

_LEAST_CASES = 3
"""Cases in each part below which their medians are not compared."""

_STEEP = 0.5
"""Share of voxels in one bin from which a histogram is logarithmic, so that the others can be seen."""


def axis_histograms(rows: Sequence[tuple[float, ...]], what: str, unit: str) -> str:
    """SVG of histograms along each axis, one below the other.

    Args:
        rows: A value for each axis of each case.
        what: Such as "spacing".
        unit: Of the values.
    """
    table = np.asarray(rows, float)
    figure, all_axes = new_figures(3.6, 0.5 + 0.75 * table.shape[1], table.shape[1])
    low, high = float(table.min()), float(table.max())
    edges = np.linspace(low, high, 25) if high > low else np.array([low - 0.5, low + 0.5])
    for axes, column, name in zip(all_axes, table.T, ("first", "second", "third"), strict=False):
        axes.hist(column, edges.tolist(), facecolor=ACCENT, alpha=0.75)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
        axes.tick_params(axis="y", labelsize=7)
        axes.set_yticks([0, int(np.histogram(column, edges)[0].max())])
        if axes is not all_axes[-1]:
            axes.set_xticklabels([])
    all_axes[-1].set_xlabel(f"{what} ({unit}); height: cases")
    return as_svg(figure, what)


def intensity_histogram(found: Intensities) -> str:
    """SVG of how the intensities of a channel lie."""
    figure, axes = new_figure(3.6, 2.0)
    edges = np.linspace(found.low, found.high, len(found.shares) + 1)
    axes.stairs(100 * np.asarray(found.shares), edges, fill=True, facecolor=ACCENT, alpha=0.75)
    axes.grid(visible=False, axis="x")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(f"{found.channel}: value in the file")
    steep = max(found.shares) > _STEEP
    axes.set_ylabel("% of voxels (log)" if steep else "% of voxels")
    if steep:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_plain)
    return as_svg(figure, f"intensity:{found.channel}")


def structure_sizes(sheet: DataSheet) -> str:
    """SVG of the size of each structure in each case on a logarithmic scale, a colour for each part of the split.

    Of many structures those whose parts differ most are drawn.
    """
    names = sorted(sheet.sizes, key=lambda name: -abs(np.log(ratio(sheet, name))))[:_MOST_STRUCTURES]
    names = [name for name in sheet.sizes if name in names]
    figure, axes = new_figure(4.3, 1.0 + 0.36 * len(names))
    parts = [part for part in sheet.split if part != "held out"] or ["all cases"]
    for place, name in enumerate(names):
        for number, part in enumerate(parts):
            sizes = sheet.sizes_by_part(name)[part]
            height = place + (number - (len(parts) - 1) / 2) * 0.32
            colour = PALETTE[number]
            label = part if not place else None
            axes.plot(sizes, np.full(len(sizes), height), "|", ms=6, mew=0.9, color=colour, alpha=0.55, label=label)
            if len(sizes):
                axes.plot(np.median(sizes), height, "o", ms=4.5, mfc=colour, mec=INK, mew=0.7, zorder=4)
    axes.set_xscale("log")
    axes.set_xticks(_round_sizes(*axes.get_xlim()))
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(_plain)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"size ({sheet.size_unit})")
    if len(parts) > 1:
        figure.legend(loc="outside lower center", frameon=False, labelcolor=INK, ncols=len(parts), markerscale=2)
    return as_svg(figure, "structure sizes")


def _plain(value: float, _: float) -> str:
    """A tick of a logarithmic axis as a number without powers."""
    return shortly(value)


def _round_sizes(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis: evenly spaced within a decade, else 1, 2, 5 of each, or powers of ten."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    decades = np.log10(high / low)
    if decades < 1:
        ticks = MaxNLocator(5).tick_values(low, high)
    else:
        ticks = LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def ratio(sheet: DataSheet, structure: str) -> float:
    """Median size in validation over that in training; 1 when one of them has fewer than three cases with it."""
    parts = sheet.sizes_by_part(structure)
    sizes = [parts.get(part, np.empty(0)) for part in ("validation", "training")]
    if min(map(len, sizes)) < _LEAST_CASES:
        return 1.0
    return float(np.median(sizes[0]) / np.median(sizes[1]))
