"""Header and Format: what is known of a file before its voxels are read, and who can read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.grid import Grid
from ..core.labels import Labels


@dataclass(frozen=True)
class Header:
    """The cheap facts of one image file.

    Attributes:
        format: Name of the format, such as "NIfTI-1".
        grid: Where the voxels lie.
        channels: Number of channels.
        dtype: Type of the numbers as `read_image` gives them, such as "int16".
        notes: What a person should know about how this file is read, one sentence each.
        others: Other grids that the header describes just as well, such as the qform of NIfTI beside its sform.
        placed: False when the file does not say how its axes lie in the body, and the grid assumes it.
        unit_mm: Millimetres in the unit of length that the file names; None where it names none, or formats know it.
    """

    format: str
    grid: Grid
    channels: int
    dtype: str
    notes: tuple[str, ...] = ()
    others: tuple[Grid, ...] = ()
    placed: bool = True
    unit_mm: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.grid.shape


@dataclass(frozen=True)
class Stored:
    """An image as it lies in the file: its native numbers, shape (C, *grid.shape), and its header.

    The palette gives red, green and blue (n, 3) of each number where an annotation is stored by a palette.
    """

    array: np.ndarray
    header: Header
    palette: np.ndarray | None = None


Write = Callable[[Path, Filled, Grid, Path | None, Labels | None], None]
"""Writes numbers, (*S) or with several channels (C, *S), on a grid to a path; then come the source file whose header is
kept, and what label values mean, or None."""


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: What people call it.
        suffixes: File name endings, lower case, longest first.
        read: Reads a file; the flag says that an annotation is wanted, so that palettes stay indices.
        read_header: Reads the header alone.
        write: Writes an image, or None when the format can only be read.
        lossless: False when writing changes the numbers, so that labels are refused.
        open: Opens a file whose boxes are read when they are asked for; gives None when it must be read whole.
        in_parts: Whether `write` takes labels that are larger than memory.
        written: Endings that `write` takes; all of them when empty.
        dims: Axes of images that are read back as they were written.
        largest: The largest number that a file with an ending holds, in formats of small whole numbers.
        oriented: Whether a file knows where the axes of a volume point in the body.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, bool], Stored]
    read_header: Callable[[Path], Header]
    write: Write | None = None
    lossless: bool = True
    open: Callable[[Path], Boxes | None] | None = None
    in_parts: bool = False
    written: tuple[str, ...] = ()
    dims: tuple[int, ...] = (2, 3)
    largest: Mapping[str, int] = field(default_factory=dict)
    oriented: bool = False
