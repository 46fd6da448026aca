"""How a picture is meant to be seen: turned as its EXIF tag asks, and without what is transparent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.grid import Grid

ORIENTATION = 274
"""Number of the tag in EXIF and TIFF."""

TURNED = (
    "The EXIF tag asks for a turned view. Pixels are read, and answers written, as stored; a mask without the tag is"
    " taken as drawn on the turned view, or on the stored pixels where only these have its shape."
)

_FLIPS = {2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}
"""Axes of the view that each tag flips; from 5 on rows and columns change places as well."""


def viewed(shape: Sequence[int], tag: int) -> Grid:
    """The grid of stored pixels (rows, columns) in a world that is the view."""
    swapped = tag in range(5, 9)
    grid = Grid.plain(shape[::-1] if swapped else shape)
    for axis in _FLIPS.get(tag, ()):
        grid = grid.flipped(axis)
    return grid.transposed((1, 0)) if swapped else grid


def tag_of(grid: Grid) -> int:
    """The tag by which pixels on this grid are seen upright; 1 when nothing is to be turned."""
    return next((tag for tag in _FLIPS if viewed(grid.shape, tag).direction == grid.direction), 1)


def unveiled(colours: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """An annotation (C, *S) without what is transparent (alpha, *S), and what was done, as sentences.

    Transparent pixels are background. Where all that is seen is black, the transparency itself is the mask.
    """
    if alpha.min() == alpha.max() and (alpha.max() or (colours != colours[:, :1, :1]).any()):
        return colours, []
    seen = np.where(alpha > np.iinfo(alpha.dtype).max // 2, colours, 0)
    if seen.any() or not alpha.any():
        return seen, ["Transparent pixels of annotations are background."]
    return alpha[None], ["The colours of annotations say nothing; their transparency is the mask."]
