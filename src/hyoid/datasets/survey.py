"""One quick pass over a data set: headers of the images, values of the annotations, and whether they fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ..core.errors import DataError
from ..core.grid import Grid
from ..core.lengths import Lengths
from ..core.machine import cores
from ..core.progress import track
from ..core.settings import Settings
from ..files.formats import read_header
from ..files.header import Header
from .agreement import TOLERANCE, Turn, offset_in_voxels, turn_between
from .cases import channel_remarks
from .entry import Entry, TruthFiles, amount
from .masks import Encoding, Marks, look_at


class Seen(Settings):
    """What the headers and the annotation of one case say."""

    shape: tuple[Annotated[int, Field(gt=0, lt=2**31)], ...] = Field(description="Voxels along each array axis.")
    spacing_mm: tuple[float, ...] = Field(description="Voxel size along each array axis, 1 when unknown.")
    calibrated: bool = Field(description="Whether the file knows its voxel size.")
    orientation: str = Field(description="Anatomical directions of the axes, empty for flat images.")
    channels: int = Field(description="Channels in the files, before harmonising.")
    dtype: str = Field(description="Type of the numbers in the first image file.")
    format: str = Field(description="Format of the first image file.")
    counts: dict[int, int] = Field(description="Voxels of each label value, empty without annotation.")


@dataclass(frozen=True)
class Look:
    """What one pass over the files of a case gave."""

    case: str
    header: Header
    channels: int
    marks: Marks | None
    notes: tuple[str, ...]
    target_channels: int = 0

    def seen(self, encoding: Encoding) -> Seen:
        """The facts to keep, with the annotation's numbers as label values."""
        counts: Counter[int] = Counter()
        marks = self.marks.in_colours() if self.marks and encoding.kind == "colours" else self.marks
        for raw, number in (marks.counts if marks else {}).items():
            counts[encoding.value_of(raw)] += number
        grid = self.header.grid
        return Seen(
            shape=grid.shape,
            spacing_mm=grid.spacing_mm,
            calibrated=grid.calibrated,
            orientation=grid.orientation if grid.dims == 3 else "",
            channels=self.channels,
            dtype=self.header.dtype,
            format=self.header.format,
            counts=counts,
        )


def look_at_all(entries: Sequence[Entry], files: Mapping[str, int], truth: TruthFiles) -> list[Look]:
    """A look at every case, several at once; a second call in the same process reads no unchanged file again.

    Structures that have a file of their own get the values that `files` gives to the names of the files.

    Raises:
        DataError: When the files of a case cannot be used, with the number of other such cases.
    """
    values = tuple(files.items())
    with ThreadPoolExecutor(min(8, cores())) as pool:
        found = list(track(pool.map(lambda one: _look(one, values, truth), entries), "Looking at cases", len(entries)))
    if problems := [str(one) for one in found if isinstance(one, DataError)]:
        more = (
            f" ({amount(len(problems) - 1, 'more case has', 'more cases have')} problems.)" if len(problems) > 1 else ""
        )
        raise DataError(problems[0] + more)
    return [look for look in found if isinstance(look, Look)]


def _look(entry: Entry, files: tuple[tuple[str, int], ...], truth: TruthFiles) -> Look | DataError:
    label = entry.label if isinstance(entry.label, tuple) else (entry.label,) if entry.label else ()
    paths = (*entry.images, *label, *([entry.target] if entry.target else []))
    try:
        look = _look_once(entry.id, entry.images, entry.label, files, tuple(map(_stamp, paths)))
        look = look if entry.target is None else _with_target(look, entry.target, entry.images[0], truth)
        return _with_other(look, entry) if entry.other else look
    except DataError as error:
        return error


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which a change is noticed."""
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}).") from None
    return facts.st_size, facts.st_mtime_ns


@lru_cache(maxsize=100_000)
def _look_once(
    case: str,
    images: tuple[Path, ...],
    label: Path | tuple[Path, ...] | None,
    files: tuple[tuple[str, int], ...],
    stamps: tuple[tuple[int, int], ...],
) -> Look:
    headers = [read_header(path) for path in images]
    grid = headers[0].grid
    notes = [note for header in headers for note in header.notes]
    notes += channel_remarks(Entry(case, images))
    marks = None
    if label is not None:
        first, *others = (label,) if isinstance(label, Path) else label
        mine = read_header(first).grid
        turns = [turn_between(case, (first, mine), (file, read_header(file).grid), "labels") for file in others]
        notes += [f"Files of objects or structures have {turn.remark}." for turn in turns if turn.remark]
        marks, mine = look_at(case, label, files=dict(files))
        notes += marks.notes
        notes += _remarks(turn_between(case, (images[0], grid), (first, mine), "labels"), grid, mine)
    channels = sum(header.channels for header in headers)
    return Look(case, headers[0], channels, marks, tuple(dict.fromkeys(notes)))


def _with_target(look: Look, target: Path, image: Path, truth: TruthFiles) -> Look:
    header, grid = read_header(target), look.header.grid
    turn_between(look.case, (image, grid), (target, header.grid))
    if truth == "field" and header.channels != grid.dims:
        raise DataError(
            f"{look.case}: a field has {grid.dims} channels, the displacement along each axis in millimetres;"
            f" {target} has {header.channels}."
        )
    return replace(look, target_channels=header.channels, notes=(*look.notes, *header.notes))


def _with_other(look: Look, entry: Entry) -> Look:
    header, grid = read_header(entry.other[0]), look.header.grid
    turn = turn_between(look.case, (entry.images[0], grid), (entry.other[0], header.grid), "intensities")
    told = (f"Second images have {turn.remark}.",) if turn.remark else ()
    return replace(look, notes=(*look.notes, *header.notes, *told))


def implausible(header: Header) -> list[str]:
    """Warnings of a voxel size that no body has, as wrong units in a header give."""
    grid, sizes = header.grid, Lengths.of([header.grid]).text(header.grid.spacing_mm)
    if not grid.calibrated:
        return []
    advice = "; are the units in the header right?"
    extent = max(n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    if extent > LARGEST_EXTENT_MM:
        return [f"The image is {extent / 1000:.3g} m long (voxels of {sizes}){advice}"]
    if max(grid.spacing_mm) > LARGEST_VOXEL_MM:
        return [f"Voxels of {sizes} are very large{advice}"]
    small = grid.dims == 3 and min(grid.spacing_mm) < SMALLEST_VOXEL_MM
    if small and (header.unit_mm or 1) >= 1 and not re.search("TIFF|OME-Zarr", header.format):
        return [f"Voxels of {sizes} are very small{advice}"]
    return []


LARGEST_EXTENT_MM = 3000.0
LARGEST_VOXEL_MM = 100.0
SMALLEST_VOXEL_MM = 1e-3
"""Beyond these a header is doubted; microscopes do have voxels below a micrometre, and state their unit."""


def _remarks(turn: Turn, grid: Grid, mine: Grid) -> list[str]:
    if turn.changes:
        return [f"Labels have {turn.remark}."]
    if not (grid.calibrated and mine.calibrated) or (off := offset_in_voxels(grid, mine)) < 1e-3:
        return []
    if off > TOLERANCE:
        return ["The headers contradict each other, or give no orientation; labels are taken as stored, not turned."]
    return [f"Headers of image and labels differ by {off:.1g} voxels, which is let pass (up to {TOLERANCE} is)."]
