"""A net drawn from its portrait: as text for a terminal, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from .portrait import LevelView, Scale

WIDTH = 92
"""Letters of a line of text."""

_STEP = 4  # letters by which a level is indented


def as_text(levels: Sequence[LevelView], out_channels: int) -> list[str]:
    """The net as lines: a level is a row of maps with their channels, from the way down to the way up."""
    labels = [f"{_size(level.shape)}  {_share(level.scale)}" for level in levels]
    margin = max(map(len, labels)) + 2
    lines = []
    for index, (level, label) in enumerate(zip(levels, labels, strict=True)):
        indent, room = margin + _STEP * index, WIDTH - margin - 2 * _STEP * index
        bottom = index and index == len(levels) - 1 and len(levels[index - 1].widths) > 1
        row = (
            f"╰{f' {level.widths[0]} '.center(room - 2, '─')}╯"
            if bottom and len(level.widths) == 1
            else _row(level, room)
        )
        end = f" ─▸ {out_channels}" if index == 0 else ""
        lines.append(label.ljust(indent) + row + end)
        if index < len(levels) - 1:
            lines.append(_between(level, levels[index + 1], indent, len(row)))
    return lines


def _row(level: LevelView, room: int) -> str:
    boxes = [f"┤{width:>4} ├" for width in level.widths]
    if len(boxes) == 1:
        return boxes[0]
    free = max(len(boxes) - 1, room - sum(map(len, boxes)))
    gaps = [free * (n + 1) // (len(boxes) - 1) - free * n // (len(boxes) - 1) for n in range(len(boxes) - 1)]
    line = "─" if level.skips else " "
    return "".join(box + line * gap for box, gap in zip(boxes, [*gaps, 0], strict=True))


def _between(level: LevelView, below: LevelView, indent: int, length: int) -> str:
    """The ways down and up between two levels."""
    line = " " * (indent + 3) + "╲"
    return line.ljust(indent + length - 4) + "╱" if len(level.widths) > 1 else line


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _share(scale: Scale) -> str:
    """The grid of a level against the image's, such as 1/4, or 1/2×1/4×1/4 when axes differ."""
    parts = [str(part) for part in scale]
    return parts[0] if len(set(parts)) == 1 else "×".join(parts)


_STYLE = """
  svg { font: 13px system-ui, sans-serif; color: #1d2733; background: #ffffff }
  .down { fill: #2f6f9f } .up { fill: #c0652b } .bottom { fill: #6a5a9c }
  .skip { stroke: #8a97a5; stroke-width: 2; stroke-dasharray: 5 4; fill: none }
  .way { stroke: #5c6b7a; stroke-width: 2; fill: none }
  text { fill: currentColor } .on { fill: #ffffff; text-anchor: middle } .soft { fill: #67727e }
  @media (prefers-color-scheme: dark) { svg { color: #e6ebf0; background: #14191f } .soft { fill: #98a4b0 } }
"""

_ROW, _SIDE, _MARGIN = 96, 60, 170  # height of a row, shift of a level, space for labels: all in pixels


_BEGIN, _STYLED = '<svg xmlns="http://www.w3.org/2000/svg" ', f' role="img">\n<style>{_STYLE}</style>'


def as_svg(levels: Sequence[LevelView], out_channels: int, title: str, note: str = "") -> str:
    """The net as an SVG page: bars as high as their grid and as wide as their channels, on a scale of doublings."""
    width = 2 * _MARGIN + 2 * _SIDE * len(levels) + 280
    shapes = [_defs()]
    places = [_places(level, index, width) for index, level in enumerate(levels)]
    if len(levels) > 1 and len(levels[-1].widths) == 1 < len(levels[-2].widths):
        places[-1] = [width / 2]  # the bottom lies in the middle
    for index, (level, xs) in enumerate(zip(levels, places, strict=True)):
        y = 80 + index * _ROW
        shapes.append(f'<text class="soft" x="16" y="{y + 4}">{_size(level.shape)} · {_share(level.scale)}</text>')
        shapes += _bars(level, xs, y)
        if index < len(levels) - 1:
            shapes += _ways(level, xs, levels[index + 1], places[index + 1], y)
    right = places[0][-1] + _half(levels[0].widths[-1])
    shapes.append(_line("way", right + 4, 80, right + 40, 80, arrow=True))
    shapes.append(f'<text x="{right + 48}" y="84">{out_channels} logits</text>')
    head = f'<text x="16" y="30" font-size="17" font-weight="600">{escape(title)}</text>'
    if note:
        shapes.append(f'<text class="soft" x="16" y="{60 + len(levels) * _ROW}" font-size="11">{escape(note)}</text>')
    body = "\n".join([head, *shapes])
    size = f'width="{width}" height="{80 + len(levels) * _ROW}"'
    return f"{_BEGIN}{size}{_STYLED}\n{body}\n</svg>\n"


def is_drawing(path: Path) -> bool:
    """Whether a file is a drawing that `as_svg` made."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return text.startswith(_BEGIN) and _STYLED in text


def _places(level: LevelView, index: int, width: int) -> list[float]:
    """Middles of the bars of a level."""
    left, right = _MARGIN + _SIDE * index, width - _MARGIN - _SIDE * index
    count = len(level.widths)
    return [left + (right - left) * n / max(1, count - 1) for n in range(count)]


def _bars(level: LevelView, xs: Sequence[float], y: float) -> list[str]:
    height = _height(level)
    shapes = []
    if level.skips:
        for n, (x, after) in enumerate(pairwise(xs)):
            start, end = x + _half(level.widths[n]) + 4, after - _half(level.widths[n + 1]) - 4
            shapes.append(_line("skip", start, y, end, y, arrow=True))
    for n, (x, channels) in enumerate(zip(xs, level.widths, strict=True)):
        kind = "bottom" if len(xs) == 1 else "down" if n == 0 else "up"
        half = _half(channels)
        box = f'x="{x - half:.1f}" y="{y - height / 2:.1f}" width="{2 * half:.1f}" height="{height:.1f}"'
        shapes.append(f'<rect class="{kind}" {box} rx="3"/>')
        shapes.append(f'<text class="on" x="{x:.1f}" y="{y + 4:.1f}">{channels}</text>')
    return shapes


def _ways(level: LevelView, xs: Sequence[float], below: LevelView, lower: Sequence[float], y: float) -> list[str]:
    """The ways between two levels: down from the first bar, and up to the last one, or to every node that is nested."""
    top, bottom = y + _height(level) / 2 + 5, y + _ROW - _height(below) / 2 - 5
    ways = [(xs[0], top, lower[0], bottom)]
    nested = len(xs) == len(lower) + 1
    if len(xs) > 1:
        ways += [
            (x, bottom, to, top) for x, to in (zip(lower, xs[1:], strict=True) if nested else [(lower[-1], xs[-1])])
        ]
    return [_line("way", *way, arrow=True) for way in ways]


def _height(level: LevelView) -> float:
    return max(20.0, 56 * float(max(level.scale)) ** 0.35)


def _half(channels: int) -> float:
    return 7 + 2.0 * math.log2(max(1, channels))


def _line(kind: str, x: float, y: float, to_x: float, to_y: float, arrow: bool = False) -> str:
    end = ' marker-end="url(#tip)"' if arrow else ""
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f} L{to_x:.1f} {to_y:.1f}"{end}/>'


def _defs() -> str:
    tip = '<path d="M0 0 L8 4 L0 8 z" fill="#5c6b7a"/>'
    place = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    return f'<defs><marker id="tip" {place} markerUnits="userSpaceOnUse">{tip}</marker></defs>'
