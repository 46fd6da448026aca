"""Draws docs/images/banner.svg: a U with generated slices on its left and their segmentation on its right.

Everything is drawn from numbers, so that the picture is the same each time:
`python docs/make_banner.py` writes it again.
"""

from __future__ import annotations

import base64
import io
import itertools
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from hyoid.datasets.phantoms import cells, organs
from hyoid.ops.resample import onto

OUT = Path(__file__).parent / "images" / "banner.svg"

WIDTH, HEIGHT = 1200, 476
SIDE = 218  # of a picture
MARGIN = 10

# One row for each level, finest first: height of its maps, width of a map, colours of both ends of its gradient.
LEVELS = (
    (132, 19, "#38bdf8", "#0ea5e9"),
    (94, 27, "#22a7f0", "#3b82f6"),
    (66, 37, "#4f86f7", "#6366f1"),
    (46, 50, "#7c6cf5", "#8b5cf6"),
    (32, 68, "#a25cf2", "#c026d3"),
)
GAP = 21.5  # between levels, where the ways down and up are
TISSUE = {1: (45, 212, 191), 2: (251, 146, 60), 3: (167, 139, 250)}
CELLS = {1: (45, 212, 191), 2: (251, 191, 36)}

STYLE = """
  .line { stroke: #64748b; stroke-width: 2; fill: none; }
  .skip { stroke: #94a3b8; stroke-width: 2; fill: none; stroke-dasharray: 1 7; stroke-linecap: round; }
  .tip { fill: #64748b; } .skiptip { fill: #94a3b8; }
  .frame { fill: none; stroke: #64748b; stroke-opacity: .45; }
  .copy { fill: #94a3b8; fill-opacity: .28; stroke: #94a3b8; stroke-opacity: .8; }
  @media (prefers-color-scheme: dark) {
    .line { stroke: #a8b3c4; } .tip { fill: #a8b3c4; }
    .skip { stroke: #7c8aa0; } .skiptip { fill: #7c8aa0; }
  }
"""


def slice_of_organs() -> tuple[np.ndarray, np.ndarray]:
    """An axial slice of a generated body, seen as radiologists do, and its labels."""
    image, labels = organs(np.random.default_rng([1, 0]), 200)
    seen = image.grid.oriented("LPS")
    array, marks = onto(image, seen).array[0], onto(labels, seen).array[0]
    level = round(0.55 * array.shape[2])
    return array[:, :, level].T.astype(float), marks[:, :, level].T


def slice_of_cells() -> tuple[np.ndarray, np.ndarray]:
    """A picture of touching cells and its labels."""
    image, labels = cells(np.random.default_rng([1, 0]), 220)
    return image.array[0].astype(float), labels.array[0]


def square(array: np.ndarray) -> np.ndarray:
    """The slice in the middle of a square, empty around it."""
    side = max(array.shape)
    before = [(side - n) // 2 for n in array.shape]
    return np.pad(array, [(b, side - n - b) for b, n in zip(before, array.shape, strict=True)])


def grey(array: np.ndarray) -> np.ndarray:
    """The slice in 0..255, three equal channels; the noise of the air is black."""
    white = np.percentile(array, 99.6)
    shown = np.clip((array / white - 0.08) / 0.92, 0, 1) ** 0.75 * 255
    return np.repeat(shown[..., None], 3, axis=-1)


def overlaid(picture: np.ndarray, labels: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> np.ndarray:
    """The picture, darker, with each structure in its colour and a bright outline around it."""
    shown = picture * 0.55
    for value, colour in colours.items():
        inside = labels == value
        shown[inside] = 0.40 * picture[inside] + 0.62 * np.array(colour)
        core = inside.copy()
        for axis in (0, 1):
            core &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        shown[inside & ~core] = 0.15 * picture[inside & ~core] + 0.92 * np.array(colour)
    return np.clip(shown, 0, 255)


def embedded(pixels: np.ndarray) -> str:
    """A picture as text inside the SVG."""
    size = 2 * SIDE
    picture = Picture.fromarray(pixels.astype(np.uint8)).resize((size, size), Picture.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=72, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def card(x: float, y: float, pixels: np.ndarray, name: str) -> str:
    """A picture with round corners and a thin frame."""
    box = f'x="{x}" y="{y}" width="{SIDE}" height="{SIDE}"'
    return (
        f'<clipPath id="{name}"><rect {box} rx="14"/></clipPath>'
        f'<image {box} clip-path="url(#{name})" href="{embedded(pixels)}"/><rect {box} rx="14" class="frame"/>'
    )


def arrow(x: float, y: float, towards: str, kind: str = "tip") -> str:
    """The tip of an arrow that ends here."""
    dx, dy = {"right": (1, 0), "down": (0, 1), "up": (0, -1)}[towards]
    sides = [(x - 9 * dx + s * 5 * dy, y - 9 * dy + s * 5 * dx) for s in (1, -1)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in [(x, y), *sides])
    return f'<polygon class="{kind}" points="{points}"/>'


def block(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A map of features."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width}" height="{height}" rx="6" {fill}/>'


def drawn_u() -> list[str]:
    """The encoder on the left, the decoder on the right, skips between them."""
    parts: list[str] = []
    left, right, y = 292.0, WIDTH - 292.0, float(MARGIN)
    for level, (height, width, *_) in enumerate(LEVELS[:-1]):
        fill, middle, step = f'fill="url(#level{level})"', y + height / 2, width + 5
        copy = right - width - 2 * step
        for x in (left, left + step, right - width, right - width - step):
            parts.append(block(x, y, width, height, fill))
        parts.append(block(copy, y, width, height, 'class="copy"'))
        parts.append(f'<path class="skip" d="M{left + step + width + 10} {middle}H{copy - 14}"/>')
        parts.append(arrow(copy - 4, middle, "right", "skiptip"))
        down, up, below = left + step + width / 2, right - step - width / 2, y + height
        parts.append(f'<path class="line" d="M{down} {below + 4}V{below + GAP - 11}"/>')
        parts.append(arrow(down, below + GAP - 3, "down"))
        parts.append(f'<path class="line" d="M{up} {below + GAP - 4}V{below + 11}"/>')
        parts.append(arrow(up, below + 3, "up"))
        y += height + GAP
        left, right = down - LEVELS[level + 1][1] / 2, up + LEVELS[level + 1][1] / 2
    return parts + drawn_bottom(left, right, y)


def drawn_bottom(left: float, right: float, y: float) -> list[str]:
    """Three maps at the coarsest level."""
    height, width, *_ = LEVELS[-1]
    fill, middle = f'fill="url(#level{len(LEVELS) - 1})"', y + height / 2
    places = [left, (left + right - width) / 2, right - width]
    parts = [block(x, y, width, height, fill) for x in places]
    for start, end in itertools.pairwise(places):
        parts.append(f'<path class="line" d="M{start + width + 6} {middle}H{end - 10}"/>')
        parts.append(arrow(end - 4, middle, "right"))
    return parts


def wires() -> list[str]:
    """From the pictures into the U, and out of it to their answers."""
    enter, leave = 284, WIDTH - 284
    middle = MARGIN + LEVELS[0][0] / 2
    near, far = MARGIN + SIDE, WIDTH - MARGIN - SIDE
    parts = []
    for y in (MARGIN + SIDE / 2, HEIGHT - MARGIN - SIDE / 2):
        bend = (near + enter) / 2
        parts.append(f'<path class="line" d="M{near + 6} {y}C{bend} {y} {bend - 6} {middle} {enter - 9} {middle}"/>')
        bend = (far + leave) / 2
        parts.append(f'<path class="line" d="M{leave} {middle}C{bend} {middle} {bend - 4} {y} {far - 14} {y}"/>')
        parts.append(arrow(far - 5, y, "right"))
    return [*parts, arrow(enter, middle, "right")]


def main() -> None:
    """Write the banner."""
    gradients = "".join(
        f'<linearGradient id="level{i}" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/></linearGradient>'
        for i, (_, _, top, bottom) in enumerate(LEVELS)
    )
    parts = [*wires(), *drawn_u()]
    for row, (name, colours, (picture, labels)) in enumerate(
        [("organs", TISSUE, slice_of_organs()), ("cells", CELLS, slice_of_cells())]
    ):
        y = MARGIN + row * (HEIGHT - 2 * MARGIN - SIDE)
        shown = grey(square(picture))
        parts.append(card(MARGIN, y, shown, f"{name}-image"))
        answer = overlaid(shown, square(labels), colours)
        parts.append(card(WIDTH - MARGIN - SIDE, y, answer, f"{name}-labels"))
    title = "Images enter a U-shaped net on the left; each leaves on the right with its structures in colour."
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">\n'
        f"<title>{title}</title><style>{STYLE}</style><defs>{gradients}</defs>\n" + "\n".join(parts) + "\n</svg>\n",
        encoding="utf-8",
    )
    print(f"{OUT} ({OUT.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
