"""Which cases and slices to show, and pictures of where prediction and reference differ."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.report import Report
from ..ops.morphology import surface
from .facts import Overlay

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

RIGHT, EXTRA, MISSING, CONFUSED = 1, 2, 3, 4
COLOURS = {RIGHT: (0, 158, 115), EXTRA: (230, 159, 0), MISSING: (204, 121, 167), CONFUSED: (86, 180, 233)}
"""Colours of the error map, told apart with every kind of colour vision (Okabe and Ito)."""

GROUND = "#3b4247"
"""Stands where an image would be that is not known."""

_KINDS = (
    ("found by both", "right"),
    ("marked, but not in the reference", "extra"),
    ("missing", "missing"),
    ("marked as another structure", "confused"),
)

_LONGEST = 512


@dataclass(frozen=True)
class Picture:
    """One slice, without and with the error map, as data addresses.

    Attributes:
        plane: "axial", "coronal", "sagittal", or "" in 2D.
        place: Which slice of how many, such as "slice 12 of 36"; empty in 2D.
        plain: The image alone; empty when it is not known.
        marked: The error map on the image, or on a plain ground.
        width: Of the pictures in pixels.
        height: Of the pictures in pixels.
        letters: Directions at the left, right, top and bottom edge; empty in 2D.
    """

    plane: str
    place: str
    plain: str
    marked: str
    width: int
    height: int
    letters: tuple[str, str, str, str]


def legend(num_structures: int) -> list[tuple[str, str, str]]:
    """Meaning, colour and name of the marks in an error map; one structure cannot be taken for another."""
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS.values()]
    marks = [(text, colour, name) for (text, name), colour in zip(_KINDS, colours, strict=True)]
    return marks[: 4 if num_structures > 1 else 3]


def chosen_cases(report: Report, num_worst: int = 3) -> list[tuple[str, str]]:
    """Which cases to show and why: the worst ones of the lower half, the best and the median, each case once."""
    every = list(report.ranked())
    ranked = [case for case in every if not np.isnan(report.score(case))] or every
    if len(ranked) == 1:
        return [("only case", ranked[0])]
    wanted = [("worst", case) for case in ranked[: min(num_worst, len(ranked) // 2)]]
    wanted += [("median", ranked[len(ranked) // 2])] * (len(ranked) > 2) + [("best", ranked[-1])]
    first = {case: why for why, case in reversed(wanted)}
    return [(why, case) for why, case in wanted if first.pop(case, None)]


def pictures(overlay: Overlay) -> list[Picture]:
    """The slice with the largest error: of each plane in 3D, the whole image in 2D."""
    errors = error_map(overlay.prediction, overlay.reference)
    if overlay.grid.dims == 2:
        return [_picture(overlay.image, errors, overlay.grid.spacing_mm, "", "", ("", "", "", ""))]
    image, errors, spacing = upright(overlay, errors)
    found = []
    for axis, plane in ((2, "axial"), (1, "coronal"), (0, "sagittal")):
        if min(np.delete(errors.shape, axis)) == 1 and errors.shape[axis] > 1:
            continue  # a single line of voxels shows nothing
        index = worst_slice(errors, axis)
        flat = None if image is None else _on_screen(np.take(image, index, axis + 1))
        marks = _on_screen(np.take(errors, index, axis)[None])[0]
        rest = [s for a, s in enumerate(spacing) if a != axis]
        letters = {0: ("A", "P", "S", "I"), 1: ("R", "L", "S", "I"), 2: ("R", "L", "A", "P")}[axis]
        place = f"slice {index + 1} of {errors.shape[axis]}"
        found.append(_picture(flat, marks, (rest[1], rest[0]), plane, place, letters))
    return found


def error_map(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """0 where both are background, else whether the voxel is right, extra, missing or of another structure."""
    errors = np.zeros(reference.shape, np.uint8)
    guess, truth = prediction != 0, reference != 0
    errors[guess & truth] = CONFUSED
    errors[guess & truth & (prediction == reference)] = RIGHT
    errors[guess & ~truth] = EXTRA
    errors[truth & ~guess] = MISSING
    return errors


def worst_slice(errors: np.ndarray, axis: int) -> int:
    """The slice with the most wrong voxels; with the most right ones when nothing is wrong, else the middle."""
    others = tuple(a for a in range(errors.ndim) if a != axis)
    wrong = (errors > RIGHT).sum(others)
    right = (errors == RIGHT).sum(others)
    if wrong.any():
        return int(np.argmax(wrong))
    return int(np.argmax(right)) if right.any() else errors.shape[axis] // 2


def upright(overlay: Overlay, errors: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, tuple[float, ...]]:
    """Image (C, x, y, z) if known, and error map with axes to the right, front and head, and their spacing."""
    mine = overlay.grid.orientation
    image = overlay.image
    groups = ("LR", "PA", "IS")
    axes = [next(i for i, code in enumerate(mine) if code in group) for group in groups]
    flips = tuple(a for a, axis in enumerate(axes) if mine[axis] != "RAS"[a])
    if image is not None:
        image = np.flip(image.transpose(0, *(a + 1 for a in axes)), tuple(f + 1 for f in flips))
    errors = np.flip(errors.transpose(axes), flips)
    return image, errors, tuple(overlay.grid.spacing_mm[a] for a in axes)


def _on_screen(plane: np.ndarray) -> np.ndarray:
    """(C, a, b) with a to the right or front and b up, as (C, rows, columns) in radiological view.

    The head or the front is up; the patient's right, or in a sagittal plane the front, is on the left.
    """
    return plane[:, ::-1, ::-1].transpose(0, 2, 1)


def _picture(
    image: np.ndarray | None,
    errors: np.ndarray,
    spacing_mm: tuple[float, ...],
    plane: str,
    place: str,
    letters: tuple[str, str, str, str],
) -> Picture:
    from PIL import Image

    box = _window(errors, spacing_mm)
    errors = errors[box]
    extent = np.multiply(errors.shape, spacing_mm)
    rows, columns = (max(1, round(_LONGEST * e / extent.max())) for e in extent)
    if image is None:
        ground = Image.new("RGB", (columns, rows), GROUND)
    else:
        shades = eight_bits(np.moveaxis(image[(slice(None), *box)], 0, -1))
        grey = Image.fromarray(flat(shades)).convert("RGB")
        ground = grey.resize((columns, rows), Image.Resampling.BICUBIC)
    marks = np.asarray(Image.fromarray(errors).resize((columns, rows), Image.Resampling.NEAREST))
    plain = "" if image is None else address(ground)
    return Picture(plane, place, plain, address(_painted(ground, marks)), columns, rows, letters)


def _window(errors: np.ndarray, spacing_mm: tuple[float, ...], share: float = 0.45) -> tuple[slice, slice]:
    """The part of a slice to show: about square, around all structures, never less than a share of each side."""
    marked = [np.flatnonzero(errors.any(axis=1 - axis)) for axis in (0, 1)]
    spans = [(int(h[0]), int(h[-1]) + 1) if h.size else (0, n) for h, n in zip(marked, errors.shape, strict=True)]
    lengths = np.array(errors.shape)
    sides = np.maximum([1.4 * (stop - start) for start, stop in spans], np.maximum(share * lengths, 16))
    longest_mm = (sides * spacing_mm).max()
    sides = np.minimum(np.ceil(longest_mm / np.array(spacing_mm)), lengths).astype(int)
    starts = [min(max(0, (a + b - side) // 2), n - side) for (a, b), side, n in zip(spans, sides, lengths, strict=True)]
    return slice(starts[0], starts[0] + sides[0]), slice(starts[1], starts[1] + sides[1])


def eight_bits(image: np.ndarray) -> np.ndarray:
    """(*S, C) as bytes with one or three channels: the first from its 0.5 to its 99.5 percentile, or the colours."""
    if image.shape[-1] == 3 and image.dtype == np.uint8 and (image != image[..., :1]).any():
        return image
    grey = np.nan_to_num(image[..., :1].astype(np.float32))
    low, high = np.percentile(grey, [0.5, 99.5])
    return (np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def flat(picture: np.ndarray) -> np.ndarray:
    """(rows, columns, 1) as (rows, columns); colours (rows, columns, 3) as they are, in the order of memory."""
    return picture[..., 0] if picture.shape[-1] == 1 else np.ascontiguousarray(picture)


def _painted(picture: PillowImage, marks: np.ndarray, strength: float = 0.42) -> PillowImage:
    """The picture with each kind of error tinted and outlined."""
    from PIL import Image

    canvas = np.asarray(picture, np.float32).copy()
    for kind, colour in COLOURS.items():
        mask = marks == kind
        outline = surface(mask)
        canvas[mask] += strength * (np.array(colour, np.float32) - canvas[mask])
        canvas[outline] = colour
    return Image.fromarray(canvas.astype(np.uint8))


def address(picture: PillowImage, form: str = "WEBP", quality: int = 82) -> str:
    """The picture as a data address, so that the page needs no other file; exact as "PNG"."""
    buffer = BytesIO()
    picture.save(buffer, form, quality=quality, method=4, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
