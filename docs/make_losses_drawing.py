"""Draws docs/images/loss_weighing.svg: what losses make of a doubt, of a far mistake, and of three kinds of mistakes.

`python docs/make_losses_drawing.py` writes the picture again; its numbers are computed by the package.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from make_metrics_drawing import GUESS, INK, LINE, PAPER, SOFT, TRUTH, text
from torch import Tensor

from hyoid.losses import losses
from hyoid.losses.loss import Loss

TARGET = Path(__file__).parent / "images" / "loss_weighing.svg"
COLOURS = (INK, TRUTH, GUESS, "#4a6fb5")
CELL = 3.2
HEIGHT, BOTTOM = 190.0, 262.0


def sure(mask: Tensor) -> Tensor:
    """Logits that leave no doubt about a mask."""
    return 30 * (2 * mask - 1)


def term(name: str) -> Loss:
    """A loss without the Dice beside it."""
    return losses.build(name, dice_weight=0.0)


def curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.9"/>'


def frame(x: float, width: float, title: str, told: str, ticks: Sequence[tuple[float, str]], axis: str) -> list[str]:
    """A heading, the axes, and the ticks of the lower one."""
    parts = [text(x, 30, title, weight=650, size=15), text(x, 49, told, SOFT)]
    for ends in (f'x2="{x + width}" y2="{BOTTOM}"', f'x2="{x}" y2="{BOTTOM - HEIGHT}"'):
        parts.append(f'<line x1="{x}" y1="{BOTTOM}" {ends} stroke="{LINE}"/>')
    parts += [text(x + width * place, BOTTOM + 16, name, SOFT, 11, "middle") for place, name in ticks]
    return [*parts, text(x + width, BOTTOM + 33, axis, SOFT, 11, "end")]


def panel_of_doubts(x: float, width: float) -> list[str]:
    """Losses of one voxel of the structure by the probability it was given."""
    ticks = [(share, f"{share:g}") for share in (0, 0.5, 1)]
    parts = frame(x, width, "How sure", "loss of one voxel of the structure", ticks, "probability it was given")
    shares = torch.linspace(0.02, 0.999, 80)
    for row, (name, colour) in enumerate(zip(("cross_entropy", "combo", "focal", "margin"), COLOURS, strict=True)):
        loss = losses.build(name, entropy_share=1.0) if name == "combo" else losses.build(name)
        values = [loss(share.logit().view(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item() for share in shares]
        points = [(x + width * s, BOTTOM - HEIGHT * v / 4) for s, v in zip(shares.tolist(), values, strict=True)]
        parts += [curve(points, colour), text(x + width, 84 + 18 * row, name, colour, 12, "end", 600)]
    return [*parts, *[text(x - 6, BOTTOM - HEIGHT * v / 4 + 4, f"{v}", SOFT, 11, "end") for v in (0, 2, 4)]]


def panel_of_distances(x: float, width: float) -> list[str]:
    """Losses of a spot outside the structure by its distance, relative to a near one."""
    farthest, top = 24, 2.5
    ticks = [(voxels / farthest, f"{voxels}") for voxels in (0, 8, 16, 24)]
    told = "loss of nine voxels, relative to near ones"
    parts = frame(x, width, "How far", told, ticks, "voxels from the surface")
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., 10:30, 8:26] = 1
    up = lambda ratio: BOTTOM - HEIGHT * torch.tensor(ratio).log10().item() / top  # noqa: E731
    for ratio in (1, 10, 100):
        level = up(float(ratio))
        parts.append(f'<line x1="{x}" y1="{level:.1f}" x2="{x + width}" y2="{level:.1f}" stroke="{LINE}"/>')
        parts.append(text(x - 6, level + 4, f"{ratio}", SOFT, 11, "end"))
    terms = {"hausdorff_dt": GUESS, "generalised_surface": COLOURS[3], "boundary": TRUTH, "dice": INK}
    for name, colour in terms.items():
        loss = losses.build(name) if name == "dice" else term(name)
        values = []
        for away in range(1, farthest):
            answer = mask.clone()
            answer[..., 18:21, 26 + away - 1 : 26 + away + 2] = 1
            values.append(loss(sure(answer), mask).item())
        points = [(x + width * away / farthest, up(v / values[0])) for away, v in enumerate(values, start=1)]
        row = list(terms).index(name)
        parts += [curve(points, colour), text(x + 12, 84 + 18 * row, name, colour, 12, weight=600)]
    return parts


def mistakes() -> tuple[Tensor, dict[str, Tensor]]:
    """A vessel, and three answers with as many wrong voxels."""
    mask = torch.zeros(1, 1, 30, 36)
    mask[..., 10:16, 2:34] = 1
    thin, gap, far = mask.clone(), mask.clone(), mask.clone()
    thin[..., 10, 6:30] = 0
    gap[..., 10:16, 16:20] = 0
    far[..., 24:28, 20:26] = 1
    return mask, {"thin rim": thin, "gap": gap, "far spot": far}


def picture(mask: Tensor, x: float, y: float, colour: str, opacity: str) -> str:
    """A mask that is one rectangle."""
    (top, left), (bottom, right) = (edge.tolist() for edge in (mask[0, 0].nonzero()[0], mask[0, 0].nonzero()[-1] + 1))
    at = f'x="{x + CELL * (left - 2):.1f}" y="{y + CELL * top:.1f}"'
    size = f'width="{CELL * (right - left):.1f}" height="{CELL * (bottom - top):.1f}"'
    return f'<rect {at} {size} fill="{colour}" fill-opacity="{opacity}"/>'


def panel_of_kinds(x: float) -> list[str]:
    """Pictures of three mistakes, and below them what losses make of each, relative to their worst."""
    mask, answers = mistakes()
    parts = [text(x, 30, "Which kind", weight=650, size=15)]
    parts.append(text(x, 49, "24 wrong voxels each; bars relative to the worst of the three", SOFT))
    step, left = 128.0, x + 106
    for column, (name, answer) in enumerate(answers.items()):
        corner = left + step * column
        parts.append(text(corner, 80, name, INK, 12))
        parts.append(picture(mask, corner, 60, TRUTH, ".28"))
        parts.append(picture((answer - mask).abs(), corner, 60, GUESS, "1"))
    rows = {
        "dice": losses.build("dice"),
        "boundary": term("boundary"),
        "edge": term("edge"),
        "cl_dice": term("cl_dice"),
        "skeleton_recall": losses.build("skeleton_recall", dice_weight=0.0, entropy_weight=0.0, radius=0),
    }
    for row, (name, loss) in enumerate(rows.items()):
        level = 172 + 25.0 * row
        values = [loss(sure(answer), mask).item() for answer in answers.values()]
        parts.append(text(x, level + 11, name, INK, 12, weight=600))
        for column, value in enumerate(values):
            width = 106 * max(0.0, value) / max(values)
            at = f'x="{left + step * column}" y="{level}" width="{max(width, 1):.1f}" height="13"'
            parts.append(f'<rect {at} fill="{INK}" fill-opacity=".72"/>')
    return parts


def drawing() -> str:
    """The whole picture."""
    parts = [*panel_of_doubts(42, 230), *panel_of_distances(338, 260), *panel_of_kinds(650)]
    size = 'viewBox="0 0 1160 312" width="1160" height="312"'
    paper = f'<rect width="1160" height="312" fill="{PAPER}"/>'
    family = 'font-family="system-ui, sans-serif"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {family}>{paper}{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
