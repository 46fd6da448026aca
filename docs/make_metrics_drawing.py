"""Draws docs/images/metric_conventions.svg: what counts as surface, and how one pair of masks gets three HD95.

`python docs/make_metrics_drawing.py` writes the picture again; its numbers are computed by the package.
"""

from pathlib import Path

import numpy as np

from hyoid.metrics import Pair, metrics
from hyoid.ops.morphology import surface
from hyoid.ops.surface_elements import surface_elements

TARGET = Path(__file__).parent / "images" / "metric_conventions.svg"
CELL, TOLERANCE = 15, 1.0
INK, SOFT, LINE, TRUTH, GUESS, PAPER = "#1c2126", "#5f6972", "#d5dadd", "#0a7d6f", "#d55e00", "#fcfcfb"


def masks() -> tuple[np.ndarray, np.ndarray]:
    """A prediction with a horn that the reference lacks, and the reference."""
    rows, columns = np.indices((13, 18))
    reference = (rows - 6.2) ** 2 / 27 + (columns - 7.5) ** 2 / 40 < 1
    prediction = (rows - 6.4) ** 2 / 24 + (columns - 8.3) ** 2 / 36 < 1
    prediction[3, 12:17] = prediction[2, 14:17] = True
    return prediction, reference


def text(
    x: float, y: float, words: str, colour: str = INK, size: int = 13, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{words}</text>'
    )


def cells(mask: np.ndarray, x: float, y: float, style: str) -> list[str]:
    return [
        f'<rect x="{x + CELL * column}" y="{y + CELL * row}" width="{CELL}" height="{CELL}" {style}/>'
        for row, column in np.argwhere(mask)
    ]


def panel_of_voxels(x: float, y: float, prediction: np.ndarray, reference: np.ndarray) -> list[str]:
    """Both masks, their surface voxels framed."""
    parts = [text(x, y - 32, "Voxels", weight=650, size=15)]
    parts.append(text(x, y - 13, "a surface voxel has a face that leads outside", SOFT))
    for mask, colour in ((reference, TRUTH), (prediction, GUESS)):
        parts += cells(mask, x, y, f'fill="{colour}" fill-opacity=".13"')
    for mask, colour, inset in ((reference, TRUTH, 2), (prediction, GUESS, 4.5)):
        for row, column in np.argwhere(surface(mask)):
            side = CELL - 2 * inset
            at = f'x="{x + CELL * column + inset}" y="{y + CELL * row + inset}"'
            parts.append(
                f'<rect {at} width="{side}" height="{side}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            )
    return parts


def panel_of_elements(x: float, y: float, prediction: np.ndarray, reference: np.ndarray) -> list[str]:
    """Both masks, their surface elements as dots by length."""
    parts = [text(x, y - 32, "Area", weight=650, size=15)]
    parts.append(text(x, y - 13, "elements at the corners, each with its length or area", SOFT))
    for mask, colour in ((reference, TRUTH), (prediction, GUESS)):
        parts += cells(mask, x, y, f'fill="{colour}" fill-opacity=".13"')
        there, lengths = surface_elements(mask, (1.0, 1.0))
        for (row, column), length in zip(np.argwhere(there), lengths, strict=True):
            at = f'cx="{x + CELL * column}" cy="{y + CELL * row}"'
            parts.append(f'<circle {at} r="{3.6 * length:.2f}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return parts


def panel_of_distances(x: float, y: float, pair: Pair) -> list[str]:
    """Share of each surface within a distance, and where the conventions read off."""
    width, height, longest = 330.0, 225.0, 6.0
    across = lambda distance: x + width * distance / longest  # noqa: E731
    up = lambda share: y + height * (1 - share)  # noqa: E731
    parts = [text(x, y - 32, "Distances", weight=650, size=15)]
    parts.append(text(x, y - 13, "share of each surface within a distance of the other", SOFT))
    for share in (0, 0.5, 0.95, 1):
        parts.append(f'<line x1="{x}" y1="{up(share):.1f}" x2="{x + width}" y2="{up(share):.1f}" stroke="{LINE}"/>')
    parts += [text(x - 6, up(share) + 4, f"{share:g}", SOFT, 11, "end") for share in (0, 0.5)]
    parts.append(text(x - 6, up(0.95) + 7, "0.95", SOFT, 11, "end"))
    parts += [text(across(tick), y + height + 16, f"{tick}", SOFT, 11, "middle") for tick in range(7)]
    for distances, colour in zip(pair.surface_distances, (GUESS, TRUTH), strict=True):
        ordered = np.sort(distances)
        points, share = [(across(0.0), up(0.0))], 0.0
        for number, distance in enumerate(ordered, 1):
            points += [(across(distance), up(share)), (across(distance), up(number / len(ordered)))]
            share = number / len(ordered)
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    for number, name in enumerate(("hd95_pooled", "hd95_area", "hd95")):
        value = metrics.build(name).of(pair)
        place, low = across(value), up(0.75) + 24 * number
        ends = f'x1="{place:.1f}" y1="{up(1):.1f}" x2="{place:.1f}" y2="{low:.1f}"'
        parts.append(f'<line {ends} stroke="{INK}" stroke-dasharray="3 3"/>')
        parts.append(f'<line x1="{place:.1f}" y1="{low:.1f}" x2="{across(3.3):.1f}" y2="{low:.1f}" stroke="{LINE}"/>')
        parts.append(text(across(3.35), low + 4, f"{name} {value:.2f}", INK, 12))
    nsd, area = (metrics.build(name, tolerance_mm=TOLERANCE).of(pair) for name in ("nsd", "nsd_area"))
    told = f"within {TOLERANCE:g}: nsd {nsd:.3f}, nsd_area {area:.3f}"
    parts.append(text(x + width, y + height + 40, told, INK, anchor="end"))
    return parts


def drawing() -> str:
    """The whole picture."""
    prediction, reference = masks()
    pair = Pair.of(prediction, reference)
    parts = [
        *panel_of_voxels(24, 62, prediction, reference),
        *panel_of_elements(344, 62, prediction, reference),
        *panel_of_distances(704, 62, pair),
        text(24, 318, "reference", TRUTH, weight=600),
        text(104, 318, "prediction", GUESS, weight=600),
    ]
    size = 'viewBox="0 0 1060 342" width="1060" height="342"'
    family = 'font-family="system-ui, sans-serif"'
    paper = f'<rect width="1060" height="342" fill="{PAPER}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {family}>{paper}{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
