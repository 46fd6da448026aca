"""How annotations are stored, recognised from what their files hold, and how they become label values.

Masks arrive as class values, 0/255, grey with soft edges, colours, instance ids, or one file per object or
structure. An `Encoding` says which; applying it gives whole numbers as `Labels.values` names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ..core.errors import DataError
from ..core.grid import Grid
from ..core.settings import Settings
from ..files.formats import ALMOST_WHOLE, read_header, read_stored, suffix_of, whole_numbers
from ..files.header import Stored
from ..ops.scan import count_values
from .agreement import turn_between
from .entry import listed
from .structures import LARGEST, combined, name_of, parts_of

_LOSSY = (".jpg", ".jpeg")

_COLOURFUL = 64
"""By so much channels differ in colours that were meant; JPEG alone changes greys by less."""


class Encoding(Settings):
    """How the numbers in annotation files become label values."""

    kind: Literal["values", "threshold", "levels", "instances", "objects", "structures", "colours"] = Field(
        "values",
        description="Whole numbers, a threshold, shades of levels, ids of objects, a file per object or structure, or"
        " colours.",
    )
    threshold: float = Field(0.5, description="Numbers above this belong to the structure (kind threshold).")
    written: int = Field(1, description="Value the structure gets (threshold, instances, objects).")
    colours: tuple[int, ...] = Field((), description="Colours 0xRRGGBB; the first gets value 1 (kind colours).")
    levels: tuple[int, ...] = Field((), description="Values of which each number is the nearest one (kind levels).")
    files: dict[str, int] = Field(
        {}, repr=False, description="Value of the structure in each file name (kind structures)."
    )
    restarts: bool = Field(False, description="Whether objects are numbered anew on each page of a stack.")
    overlaps: dict[int, int] = Field(
        {}, repr=False, description="Value of voxels in which several structures lie, by combined number."
    )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # Stores know an encoding by these words, so those of other kinds stay as they were.
        later = ("files", "overlaps", "levels", "restarts")
        return [(name, value) for name, value in super().__repr_args__() if value or name not in later]

    def apply(self, path: Path, array: np.ndarray) -> np.ndarray:
        """Label values (1, *S) of an annotation as its file has it."""
        if self.kind == "colours":
            packed = packed_colours(array)
            result = np.zeros(packed.shape, np.uint8)
            for value, colour in enumerate(self.colours, 1):
                result[packed == colour] = value
            return result
        if self.kind in ("values", "structures"):
            whole = whole_numbers(path, grey(path, array))
            for number, value in self.overlaps.items():
                whole[whole == number] = value
            small = whole.dtype.itemsize <= 2 or whole.min() < 0
            return whole if small else whole.astype(np.min_scalar_type(int(whole.max())), copy=False)
        if self.kind == "levels":
            return np.array(self.levels, np.min_scalar_type(max(self.levels)))[
                np.searchsorted(self._cuts, grey(path, array))
            ]
        above = grey(path, array) > (self.threshold if self.kind == "threshold" else 0)
        return above.astype(np.min_scalar_type(self.written)) * np.array(self.written, np.min_scalar_type(self.written))

    def value_of(self, raw: float) -> int:
        """The label value of one number, or colour, in a file."""
        if self.kind == "colours":
            packed = int(raw) if raw > 255 or int(raw) in self.colours else int(raw) * 0x010101  # a grey file
            return self.colours.index(packed) + 1 if packed in self.colours else 0
        if self.kind in ("values", "structures"):
            return self.overlaps.get(round(raw), round(raw))
        if self.kind == "levels":
            return self.levels[int(np.searchsorted(self._cuts, raw))]
        return self.written if raw > (self.threshold if self.kind == "threshold" else 0) else 0

    @property
    def _cuts(self) -> np.ndarray:
        """Where the next level begins to be nearer."""
        return (np.array(self.levels[:-1]) + np.array(self.levels[1:])) / 2


@dataclass(frozen=True)
class Marks:
    """What the annotation of one case holds."""

    case: str
    counts: Mapping[float, int]  # voxels of each number (or packed colour)
    coloured: bool = False
    fractional: bool = False  # whether numbers between whole ones occur
    floating: bool = False  # whether the file stores floating point numbers
    lossy: bool = False  # whether the file format changes numbers (JPEG)
    pieces: int = 0  # connected pieces of equal value, counted where there are many values
    num_files: int = 1  # more than 1 when each holds one object
    hollow: bool = False  # whether a flat mask is a closed line, not an area
    rgb: bool = False  # whether a grey mask is stored as three equal channels
    rounding: float = 0.0  # by how much numbers miss whole ones that they stand for
    thick: int = 0  # voxels of grey, between dark and bright, that lie inside areas of it
    palette: Mapping[int, int] = field(default_factory=dict)  # packed colour of each number in use
    notes: tuple[str, ...] = ()  # how the file is read
    pages: int = 0  # pages of a stack on each of which values number objects anew from 1; 0 without
    blocks: Mapping[float, int] = field(default_factory=dict)  # squares (cubes) of two voxels a side of each of many

    def in_colours(self) -> Marks:
        """The same with the colours of a palette in place of its numbers."""
        counts: Counter[float] = Counter()
        for number, count in self.counts.items():
            counts[self.palette.get(int(number), number)] += count
        return replace(self, counts=counts, coloured=True) if self.palette else self


def read_raw(label: Path | tuple[Path, ...], files: Mapping[str, int] | None = None) -> Stored:
    """The numbers of an annotation as they are stored (C, *S).

    One file per object gives object numbers from 1, one file per structure the numbers that `files` gives to names;
    where structures overlap, these are `combined`.
    """
    if isinstance(label, Path):
        return read_stored(label, as_labels=True)
    if files:
        array = _united(label, [files[name_of(file, files)] for file in label], max(files.values()) + 1)
    else:
        array = _united(label, range(1, len(label) + 1))
    return Stored(array, read_header(label[0]))


def read_labels(label: Path | tuple[Path, ...], encoding: Encoding) -> tuple[np.ndarray, Grid]:
    """Label values (1, *S) of an annotation, and the grid its file gives."""
    stored = read_raw(label, encoding.files)
    array = stored.array
    if encoding.kind == "colours" and stored.palette is not None:
        array = np.moveaxis(stored.palette[array[0]], -1, 0)
    return encoding.apply(label if isinstance(label, Path) else label[0], array), stored.header.grid


def grey(path: Path, array: np.ndarray) -> np.ndarray:
    """One channel: equal channels are one; JPEG's tiny differences between channels are levelled.

    Raises:
        DataError: When a JPEG file holds colours, which are no longer those that were drawn.
    """
    if len(array) > 1 and suffix_of(path) in _LOSSY:
        if np.ptp(array, axis=0).max() > _COLOURFUL:
            raise DataError(
                f"{path}: the annotation is in colours, and JPEG has changed them; save it as PNG with one flat colour"
                " for each structure."
            )
        return array.max(axis=0, keepdims=True)
    if len(array) > 1 and all(np.array_equal(array[0], channel) for channel in array[1:]):
        return array[:1]
    return array


def packed_colours(array: np.ndarray) -> np.ndarray:
    """Colours (3, *S), or grey (1, *S), as single numbers 0xRRGGBB (1, *S)."""
    red, green, blue = np.broadcast_to(array, (3, *array.shape[1:])).astype(np.int32)
    return ((red << 16) | (green << 8) | blue)[None]


def look_at(
    case: str, label: Path | tuple[Path, ...], pieces: bool = True, files: Mapping[str, int] | None = None
) -> tuple[Marks, Grid]:
    """The facts of one annotation, reading it once; pieces are only of use where the labels are not known."""
    stored = read_raw(label, files)
    array, grid = stored.array, stored.header.grid
    path = label if isinstance(label, Path) else label[0]
    channels, array = len(array), grey(path, array)
    coloured = len(array) == 3 and array.dtype == np.uint8
    if coloured:
        array = packed_colours(array)
    elif len(array) > 1:
        raise DataError(f"{path}: labels have one channel; this file has {len(array)} that differ.")
    floating = array.dtype.kind == "f"
    if floating and not np.isfinite(array).all():
        raise DataError(f"{path}: labels hold NaN or infinite numbers.")
    rounding = float(np.abs(array - np.rint(array)).max()) if floating else 0.0
    fractional = rounding > ALMOST_WHOLE
    num_files, rgb = 1 if isinstance(label, Path) else len(label), channels == 3 and len(array) == 1
    lossy, notes = suffix_of(path) in _LOSSY, stored.header.notes if isinstance(label, Path) else ()
    marks = Marks(case, {}, coloured, fractional, floating, lossy, 0, num_files, False, rgb, rounding, notes=notes)
    if fractional:
        above = int((array > 0.5).sum())
        return replace(marks, counts={float(array.min()): array.size - above, float(array.max()): above}), grid
    whole = np.rint(array).astype(np.int32) if floating else array
    counts = value_counts(whole)
    if len(counts) > 50_000:
        raise DataError(f"{path}: holds {len(counts)} different values; this looks like an image, not an annotation.")
    many = len(counts) > FEW and whole.size <= _LARGE and not coloured and not marks.lossy and min(counts) >= 0
    hollow = len(counts) == 2 and whole.ndim == 3 and _is_hollow(whole[0] != 0)
    palette = _colours_in_use(stored.palette, counts) if stored.palette is not None else {}
    found = _pieces(whole[0]) if many and pieces else 0
    pages = _pages(whole[0], found / len(counts)) if many and len(counts) > MANY and whole.ndim == 4 else 0
    marks = replace(marks, counts=counts, pieces=found, pages=pages, hollow=hollow)
    blocks = _blocks(whole[0]) if len(counts) > MANY and not coloured and not lossy else {}
    return replace(marks, palette=palette, thick=_thick(whole[0], counts), blocks=blocks), grid


def _colours_in_use(palette: np.ndarray, counts: Mapping[float, int]) -> dict[int, int]:
    packed = packed_colours(np.asarray(palette).T)[0]
    return {int(number): int(packed[int(number)]) for number in counts}


def _thick(array: np.ndarray, counts: Mapping[float, int]) -> int:
    """Voxels of grey, a quarter to three quarters of white, that have only such neighbours; edges are thinner."""
    white = max(counts)
    if len(counts) < 3 or white < 200 or (array.ndim == 3 and (white > 255 or array.size > _LARGE)):
        return 0
    from scipy.ndimage import binary_erosion

    grey = (array > 0.25 * white) & (array < 0.75 * white)
    return int(binary_erosion(grey, np.ones((3,) * array.ndim)).sum())


def _blocks(array: np.ndarray) -> dict[float, int]:
    """How many blocks of two voxels a side have one value throughout, by value; blends at edges form none."""
    same = np.ones_like(array, bool)
    for axis in (axis for axis, size in enumerate(array.shape) if size > 1):
        last, first = [(slice(None),) * axis + (part,) for part in (slice(1, None), slice(-1))]
        same = same[first] & same[last] & (array[first] == array[last])
        array = array[first]
    return value_counts(array[same]) if same.any() else {0: 0}


FEW, MANY = 4, 12
"""From so many values in one annotation on, they might number objects, or are believed to if all else fits."""

_LARGE = 1 << 25
"""Annotations of more voxels are not searched for connected pieces; objects are numbered in smaller ones."""


def value_counts(array: np.ndarray) -> dict[float, int]:
    """How many voxels have each whole number; memory beyond the array is small."""
    flat = array.ravel(order="K")  # in memory order, which spares a copy
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= 1 << 20:
        values, counts = np.unique(flat, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))
    total = count_values(flat, high + 1)
    return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def pieces_of_values(array: np.ndarray) -> np.ndarray:
    """Connected pieces of equal value, numbered from 1 (*S)."""
    import cc3d

    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return pieces_of_values(array.T).T  # the same pieces, and a copy in the order of memory is ten times faster
    array = np.array(array, array.dtype if array.dtype.itemsize <= 4 else np.uint32, order="C")  # cc3d wants its own
    return np.asarray(cc3d.connected_components(array, connectivity=8 if array.ndim == 2 else 26))


def _pieces(array: np.ndarray) -> int:
    return int(pieces_of_values(array).max())


def _pages(array: np.ndarray, pieces_each: float) -> int:
    """Pages along some axis of a stack that number compact objects anew; 0 where values go on from page to page.

    Each value is one piece on its page and the values of a page go from 1 without gaps, but are several pieces in all.
    """
    for axis in range(3) if pieces_each > 1.5 else ():
        filled = [page for page in np.moveaxis(array, axis, 0) if page.any()]
        counts = [value_counts(page) for page in filled]
        values = [len(one) - (0 in one) for one in counts]
        from_one = [max(one) <= 1.2 * n + 1 for one, n in zip(counts, values, strict=True)]
        if len(filled) < 3 or np.mean(from_one) < 0.8:
            continue
        if sum(values) > 0.85 * sum(map(_pieces, filled)):
            return len(filled)
    return 0


def _is_hollow(mask: np.ndarray) -> bool:
    """Whether a flat mask is a closed line around something much larger than itself."""
    places = np.argwhere(mask)
    if not len(places):
        return False
    (top, left), (bottom, right) = places.min(0), places.max(0) + 1
    if (bottom - top) * (right - left) < 8 * len(places):
        return False
    from scipy.ndimage import binary_fill_holes

    return bool(binary_fill_holes(mask[top:bottom, left:right]).sum() > 8 * len(places))


def _united(files: Sequence[Path], numbers: Sequence[int], base: int | None = None) -> np.ndarray:
    """One number for each file, where its mask is; they meet by `combined`, or the later one stays without `base`."""
    first = read_header(files[0]).grid
    result = np.zeros((1, *first.shape), np.min_scalar_type(max(numbers)))
    for number, file in zip(numbers, files, strict=True):
        stored = read_stored(file, as_labels=True)
        turn = turn_between(file.parent.name, (files[0], first), (file, stored.header.grid), "labels")
        mask = turn(_single_mask(file, stored.array))
        if base is None or not (before := result[mask]).any():
            result[mask] = number
            continue
        values, places = np.unique(before, return_inverse=True)
        met = [combined(parts_of(int(value), base) | {number}, base) for value in values]
        if max(met) > LARGEST:
            raise DataError(f"{file}: too many structures lie in one voxel; take some of their files out.")
        result = result.astype(np.promote_types(result.dtype, np.min_scalar_type(max(met))), copy=False)
        result[mask] = np.array(met, result.dtype)[places.ravel()]
    return result


def _single_mask(file: Path, array: np.ndarray) -> np.ndarray:
    """Where the one object of a file is (1, *S); grey edges are cut in the middle.

    Raises:
        DataError: When the file holds several values, as one does that has several structures.
    """
    values = grey(file, array)
    most = values.max()
    between = values[(values > 0) & (values < most)]
    if between.size and most < 200 and (between == np.rint(between)).all():
        raise DataError(
            f"{file}: expected 0 and one other value, since each object or structure has a file of its own; it holds"
            f" {listed([f'{value:g}' for value in np.unique(between)])} and {most:g}."
        )
    return np.asarray(values > most / 2)


def total_counts(marks: Sequence[Marks]) -> Counter[float]:
    """Voxels of each number over all annotations."""
    total: Counter[float] = Counter()
    for one in marks:
        total.update(one.counts)
    return total
