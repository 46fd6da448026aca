"""Learning curves and distributions as SVG that follows the colours of the page and has the same bytes every time."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import DataError
from ..evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE, ACCENT = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)", ACCENT: "var(--accent)"}
"""Stand-ins drawn by matplotlib and replaced by the colours of the page, so that figures follow light and dark."""

PALETTE = tuple(f"#0501{n:02d}" for n in range(8))
_VARIABLES |= {colour: f"var(--series-{n})" for n, colour in enumerate(PALETTE)}

_CURVE = (3.7, 2.6)
"""Width and height of a learning curve in inches."""

_MOST_DOTS = 2000

_MEAN = "mean of structures"

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.solid_capstyle": "round",
}


_NAMES = {
    "volume_error": "Size error",
    "volume_error_ml": "Volume error",
    "g_mean": "G-mean",
    "hd95_area": "HD95 by area",
    "nsd_area": "NSD by area",
    "cl_dice": "Centre line Dice",
}
_CAPITALS = "MCC HD95 ASSD MASD MSD NSD F1 AP AJI SEG VOI PSNR SSIM MAE NRMSE ECE ACE NLL AUC ROC IoU mAP"
_WORDS = {word.lower(): word for word in _CAPITALS.split()}


def name_of(metric: str) -> str:
    """A metric as readers call it: HD95, Volume error, Precision."""
    first, *words = (_WORDS.get(word, word) for word in metric.split("_"))
    return _NAMES.get(metric, " ".join([first if first in _WORDS.values() else first.capitalize(), *words]))


def read_curves(path: Path) -> dict[str, np.ndarray]:
    """The columns of curves.csv as float arrays; empty cells are NaN.

    Raises:
        DataError: When the file is missing or a cell is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = list(rows[0]) if rows else []
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; training writes it.") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: a cell is not a number ({error}).") from None


def learning_curves(curves: Mapping[str, np.ndarray], score: str = "dice") -> dict[str, str]:
    """SVG of each curve that was recorded: "loss", the score that decides, and "learning_rate", over the step."""
    if "step" not in curves or not len(curves["step"]):
        return {}
    figures = {}
    if "loss" in curves:
        figures["loss"] = _loss(curves)
    whole = _of_structures(curves, score)
    patches = _of_structures(curves, "patch_dice") if score == "dice" else {}
    if whole or patches:
        figures[score] = _scores(curves["step"], whole, patches, score)
    if "learning_rate" in curves:
        figures["learning_rate"] = _learning_rate(curves)
    return figures


def distribution(report: Report, metric: str) -> str:
    """SVG of one metric: for each structure a box (quartiles, median) and a dot for every case, open where missed.

    Where the worst value is only a penalty (distances), open dots stand in a strip at the right edge, so that the
    found structures keep their scale; boxes are then made of the found ones.
    """
    structures = report.structures
    limit = _strip_start(report, metric)
    row_height = 0.42 if len(structures) <= 8 else 0.24
    figure, axes = new_figure(4.3, 0.75 + row_height * len(structures))
    for place, structure in enumerate(structures):
        rows = [row for row in report.rows_of(structure) if np.isfinite(row.values[metric])]
        values = np.array([row.values[metric] for row in rows])
        found = np.array([row.finding not in ("missed", "spurious") for row in rows], bool)
        boxed = values if limit is None else values[found]
        low, high = _box(axes, boxed, place) if boxed.size else (0.0, 0.0)
        shown = found & ((values < low) | (values > high)) if crowded(report) else found
        if limit is not None:
            values[~found] = 1.07 * limit
        heights = place + _spread_out(values)
        axes.plot(values[shown], heights[shown], "o", ms=3.4, mfc=ACCENT, mec="none", alpha=0.8, zorder=4)
        axes.plot(values[~found], heights[~found], "o", ms=4.2, mfc="none", mec=INK, mew=1.1, zorder=4)
    _dress(axes, report, metric, limit)
    return as_svg(figure, f"distribution:{metric}")


def crowded(report: Report) -> bool:
    """Whether there are too many cases to give each a dot; then only those beyond the whiskers have one."""
    return len(report.rows) > _MOST_DOTS


def _strip_start(report: Report, metric: str) -> float | None:
    """Where the strip of missed structures begins; None when they have a place on the scale."""
    if np.isfinite(report.metrics[metric].range[1]):
        return None
    found = [row.values[metric] for row in report.rows if row.finding in ("found", "absent")]
    return 1.08 * max([0.0, *(value for value in found if np.isfinite(value))]) or 1.0


def _dress(axes: Axes, report: Report, metric: str, limit: float | None) -> None:
    """Names, limits and unit of a distribution."""
    names = report.structures
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    unit = report.unit(metric)
    axes.set_xlabel(f"{name_of(metric)} ({unit})" if unit else name_of(metric))
    shown = [row.values[metric] for row in report.rows if np.isfinite(row.values[metric])]
    if limit is None:
        axes.set_xlim(min([*shown, 0.8]) - 0.03, 1.03)
        return
    missed = any(row.finding in ("missed", "spurious") and np.isfinite(row.values[metric]) for row in report.rows)
    axes.set_xlim(1.03 * min([0, *shown]) - 0.03 * limit, limit * (1.14 if missed else 1.0))
    if missed:
        axes.axvspan(limit, 1.14 * limit, color=LINE, alpha=0.45, lw=0, zorder=0.4)
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= limit])


def _loss(curves: Mapping[str, np.ndarray]) -> str:
    figure, axes = new_figure(*_CURVE)
    known = np.isfinite(curves["loss"])
    steps, loss = curves["step"][known], curves["loss"][known]
    axes.plot(steps, loss, color=SOFT, lw=0.8, alpha=0.45, label="each record")
    axes.plot(steps, _smooth(loss), color=ACCENT, lw=1.8, label="smoothed")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    return as_svg(figure, "loss")


def has_patches(curves: Mapping[str, np.ndarray]) -> bool:
    """Whether the Dice of training patches was recorded."""
    return bool(_of_structures(curves, "patch_dice"))


def _of_structures(curves: Mapping[str, np.ndarray], score: str) -> dict[str, np.ndarray]:
    """Curves of a score by structure, of those that were ever measured; of one without structures by its own name."""
    mine = {name: values for name, values in curves.items() if name.partition(":")[0] == score}
    return {name.partition(":")[2] or name: values for name, values in mine.items() if np.isfinite(values).any()}


def _scores(steps: np.ndarray, whole: Mapping[str, np.ndarray], patches: Mapping[str, np.ndarray], score: str) -> str:
    figure, axes = new_figure(*_CURVE)
    names = list({**whole, **patches})
    colours = dict(zip(names, PALETTE, strict=False))
    if len(names) > len(PALETTE):
        for values in whole.values():
            known = np.isfinite(values)
            axes.plot(steps[known], values[known], color=SOFT, lw=0.6, alpha=0.35)
        colours, whole, patches = {_MEAN: ACCENT}, _mean_curve(whole), _mean_curve(patches)
    for name, colour in colours.items():
        axes.plot([], [], color=colour, lw=1.8, label=name)
        if name in patches:
            known = np.isfinite(patches[name])
            axes.plot(steps[known], _smooth(patches[name][known]), color=colour, lw=0.7)
        if name in whole:
            known = np.isfinite(whole[name])
            axes.plot(
                steps[known], whole[name][known], color=colour, lw=1.8, marker="o" if known.sum() < 40 else "", ms=3
            )
    if patches:
        axes.plot([], [], color=SOFT, lw=1.8, marker="o", ms=3, label="whole cases")
        axes.plot([], [], color=SOFT, lw=0.7, label="patches")
    if score == "dice":
        axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("step")
    axes.set_ylabel(name_of(score))
    columns = min(len(axes.get_legend_handles_labels()[0]), 3)
    tight = {"handlelength": 1.2, "columnspacing": 1.2, "fontsize": 8}
    figure.legend(loc="outside lower center", frameon=False, labelcolor=INK, ncols=columns, **tight)
    return as_svg(figure, score)


def _mean_curve(curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean of curves where any is known; nothing of none."""
    if not curves:
        return {}
    table = np.stack(list(curves.values()))
    known = np.isfinite(table).any(0)
    mean = np.full(table.shape[1], np.nan)
    mean[known] = np.nanmean(table[:, known], 0)
    return {_MEAN: mean}


def _learning_rate(curves: Mapping[str, np.ndarray]) -> str:
    figure, axes = new_figure(*_CURVE)
    axes.plot(curves["step"], curves["learning_rate"], color=ACCENT, lw=1.6)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("learning rate")
    return as_svg(figure, "learning_rate")


def _box(axes: Axes, values: np.ndarray, place: int) -> tuple[float, float]:
    """Quartile box with median and whiskers to the last value within 1.5 box widths; gives the whiskers' ends."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    axes.plot([inside.min(), inside.max()], [place, place], color=SOFT, lw=0.8, zorder=1)
    axes.barh(place, q3 - q1, left=q1, height=0.5, facecolor=LINE, edgecolor=SOFT, lw=0.8, alpha=0.7, zorder=1.5)
    axes.plot([median, median], [place - 0.25, place + 0.25], color=INK, lw=1.6, zorder=3)
    return float(inside.min()), float(inside.max())


def _spread_out(values: np.ndarray) -> np.ndarray:
    """Small offsets so that dots of similar value do not hide each other; the same every time."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return 0.16 * np.sin(order * 2.399963)


def _smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Centred moving average over a share of the values, shorter at the ends."""
    half = int(len(values) * share / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without display or global state, in the style of the page."""
    figure, (axes,) = new_figures(width, height, 1)
    return figure, axes


def new_figures(width: float, height: float, rows: int) -> tuple[Figure, list[Axes]]:
    """The same with several axes below each other."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(rows, squeeze=False)[:, 0])


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an svg element to put into a page; the same bytes for the same figure."""
    import matplotlib

    buffer = StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"hyoid:{name}"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>\s*", "", text, flags=re.DOTALL)
    text = re.sub(
        r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|xtick|ytick|legend|case|missed)[_.\d]*"', "", text
    )
    text = re.sub(r' xmlns(?::xlink)?="[^"]*"| version="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.strip()
