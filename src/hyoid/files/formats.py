"""The shelf of file formats, and reading and writing of images by suffix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.case import Image, Kind
from ..core.errors import ConfigError, DataError
from ..core.files import atomic_path, readable
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.registry import Registry
from . import dicom, itk, nifti, ome_zarr, raster, tiff
from .dicom import is_dicom
from .header import Format, Header, Stored
from .order import in_c_order
from .sniff import damaged
from .strays import is_stray, items_in

LARGEST_BLOCK = 2**28
"""Bytes that must be decoded at once beyond which a file is as good as whole, such as one compressed strip."""

ALMOST_WHOLE = 0.05
"""By how much a label may miss its whole number, as a slope in the header or a change of type makes it."""

formats: Registry[Format] = Registry("file format")
"""Every format by name; `register` a builder that gives a `Format` to add one."""


def _shelve(name: str, entry: Format) -> None:
    def build() -> Format:
        return entry

    build.__doc__ = f"{entry.name}: {' '.join(entry.suffixes)}."
    formats.register(name)(build)


for _name, _format in {
    "nifti": nifti.FORMAT,
    "itk": itk.FORMAT,
    "picture": raster.PICTURE,
    "jpeg": raster.JPEG,
    "gif": raster.GIF,
    "pnm": raster.PNM,
    "npy": raster.NPY,
    "tiff": tiff.FORMAT,
    "dicom": dicom.FORMAT,
    "ome_zarr": ome_zarr.FORMAT,
}.items():
    _shelve(_name, _format)


def suffix_of(path: str | Path) -> str:
    """The ending by which a file name is known, such as ".nii.gz"; empty when none is known."""
    name = Path(path).name.lower()
    found = [s for entry in _all() for s in entry.suffixes if name.endswith(s) and name != s]
    return max(found, key=len, default="")


def stem_of(path: str | Path) -> str:
    """The file name without its known ending, as text."""
    name = Path(path).name
    return readable(name[: len(name) - len(suffix_of(path))])


def label_suffixes(dims: int | None = None, largest: int = 0) -> list[str]:
    """Endings of files that hold labels exactly: images of so many axes, with values up to the largest."""
    entries = [one for one in _all() if one.write and one.lossless and (dims is None or dims in one.dims)]
    return [s for one in entries for s in one.written or one.suffixes if largest <= one.largest.get(s, largest)]


def image_suffixes(dims: int, kind: Kind) -> list[str]:
    """Endings of files that hold images of so many axes in float32; of fields only where axes keep their directions."""
    entries = {s: _format_of(Path(f"image{s}")) for s in label_suffixes(dims) if s != ".seg.nrrd"}
    return [s for s, one in entries.items() if not one.largest and (kind != "field" or dims == 2 or one.oriented)]


def check_suffix(wanted: str, dims: int | None = None, largest: int = 0, kind: Kind = "labels") -> str:
    """The ending that is meant by a name such as "nii.gz" or ".nii.gz".

    Raises:
        ConfigError: When no such file is written, or it does not hold labels of these axes and values, or such images.
    """
    suffix, fitting = "." + wanted.lower().lstrip("."), label_suffixes(dims, largest)
    held = "label files are written with" if dims is None else f"labels of {dims} axes up to {largest} fit into"
    if dims is not None and kind != "labels":
        held = f"{'fields' if kind == 'field' else 'images with fractions'} of {dims} axes fit into"
        fitting = image_suffixes(dims, kind)
    if suffix not in fitting:
        raise ConfigError(f"prediction.format = {wanted!r}: {held} {', '.join(one[1:] for one in fitting)}.")
    return suffix


def suffix_for_image(suffix: str, dims: int, kind: Kind = "intensities") -> str:
    """The ending for an image of float32 numbers, this one if it holds them, else the usual one."""
    usual = ".nii.gz" if dims == 3 else ".tif"
    suffix = ".nrrd" if suffix == ".seg.nrrd" else suffix
    return suffix if suffix in image_suffixes(dims, kind) else usual


def writes_boxes(wanted: str) -> bool:
    """Whether files of this format can be written in parts."""
    return _format_of(Path(f"labels{check_suffix(wanted)}")).in_parts


def suffix_for_labels(path: str | Path, wanted: str | None = None) -> str:
    """The ending for answers to an image: the wanted one, else its own where that holds labels, else a lossless one."""
    if wanted is not None:
        return check_suffix(wanted)
    suffix = suffix_of(path)
    if suffix in ome_zarr.FORMAT.suffixes:
        return suffix
    if Path(path).is_dir() or suffix in ("", *dicom.FORMAT.suffixes):
        return ".nii.gz"
    entry = _format_of(Path(path))
    written = entry.written or entry.suffixes
    return ".png" if not entry.lossless else suffix if suffix in written else written[0]


def is_image(path: Path) -> bool:
    """Whether a path is an image by its name, or a folder of DICOM slices that are not fewer than other images."""
    if path.is_dir():
        if suffix_of(path) in ome_zarr.FORMAT.suffixes:
            return not is_stray(path)
        return dicom.holds_volume(path) and len(dicom.series_files(path)) > len(beside_slices(path))
    return not is_stray(path) and (bool(suffix_of(path)) or (not path.suffix and is_dicom(path)))


def beside_slices(folder: Path) -> list[Path]:
    """Image files of other formats directly in a folder of DICOM slices."""
    return [file for file in items_in(folder) if file.is_file() and is_image(file) and not is_dicom(file)]


def read_image(path: str | Path, kind: Kind = "intensities") -> Image:
    """An image from a file or a folder of DICOM slices.

    Args:
        path: The file or folder.
        kind: "intensities" keeps whole numbers as stored and gives fractions as float32; "labels" gives one
            channel of whole numbers; "probabilities" and "field" give float32.

    Raises:
        DataError: When the file is missing, damaged, of another kind, or holds no labels where labels are wanted.
    """
    path = Path(path)
    stored = read_stored(path, as_labels=kind == "labels")
    array = stored.array
    if kind == "labels":
        array = whole_numbers(path, array)
    elif kind in ("probabilities", "field") or array.dtype.kind == "f":
        array = np.asarray(array, np.float32)
    return Image(in_c_order(array), stored.header.grid, kind)


def read_stored(path: Path, as_labels: bool = False) -> Stored:
    """The numbers exactly as the file has them, with the header."""
    entry = _format_of(path)
    with _naming(path):
        stored = entry.read(path, as_labels)
        return replace(stored, header=_with_neighbours(path, stored.header))


def read_header(path: str | Path) -> Header:
    """The cheap facts of a file: format, shape, channels, type, grid, notes."""
    path = Path(path)
    entry = _format_of(path)
    with _naming(path):
        return _with_neighbours(path, entry.read_header(path))


def _with_neighbours(path: Path, header: Header) -> Header:
    """The header with a note on images of other formats that lie in a series folder and are not read with it."""
    others = beside_slices(path) if path.is_dir() else []
    if not others:
        return header
    note = f"{len(others)} images of other formats beside the slices are left out, such as {others[0].name}."
    return replace(header, notes=(*header.notes, note))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say what is wrong with the file, whatever its reader came upon."""
    try:
        yield
    except ConfigError:
        raise
    except DataError as error:
        raise error if path.name in str(error) else DataError(f"{path}: {error}") from None
    except Exception as error:  # readers of foreign bytes meet everything
        raise damaged(path, error) from error


def write_image(path: str | Path, image: Image, like: str | Path | None = None, labels: Labels | None = None) -> None:
    """Write an image in the format of the suffix, under a temporary name first.

    Args:
        path: Where to; the suffix decides the format.
        image: What; labels are written in the smallest unsigned type that holds them.
        like: The source file of the case; where the format allows, its header (affine, codes, units) is kept
            exactly.
        labels: What the values mean; names, colours and codes are written where the format has room (NRRD, OME-Zarr).

    Raises:
        DataError: When the format cannot hold this image, or `like` has another grid.
    """
    path = Path(path)
    entry = _format_of(path)
    if entry.write is None:
        raise DataError(f"{path}: {entry.name} is read but not written; choose {suffix_for_labels(path)}.")
    if image.kind == "labels":
        if not entry.lossless:
            raise DataError(
                f"{path}: {entry.name} changes the numbers it stores and would spoil labels;"
                f" choose {suffix_for_labels(path)}."
            )
        image = image.with_array(_smallest(path, image.array))
    source = Path(like) if like is not None else None
    if source is not None:
        grid = read_header(source).grid
        if not grid.matches(image.grid, tolerance_mm=1e-2 * min(grid.spacing_mm)):
            raise DataError(f"{path}: the image lies on {image.grid}, but its source {source.name} on {grid}.")
    with atomic_path(path) as temporary:
        named = labels is not None and image.kind == "labels" and labels.names and not labels.objects
        array = image.array[0] if image.channels == 1 else image.array
        entry.write(temporary, array, image.grid, source, labels if named else None)


def open_image(path: str | Path) -> Boxes | None:
    """The intensities of a file that stays on disk and is read box by box; None when it must be read whole.

    Its boxes are what `read_image` gives, and lie on the grid that `read_header` tells.

    Raises:
        DataError: When the file is missing, damaged or of another kind.
    """
    path = Path(path)
    entry = _format_of(path)
    with _naming(path):
        boxes = entry.open(path) if entry.open else None
        return boxes if boxes and math.prod(boxes.block) * boxes.dtype.itemsize <= LARGEST_BLOCK else None


def write_boxes(path: str | Path, labels: Filled, grid: Grid, like: str | Path, names: Labels | None = None) -> None:
    """Write labels (*S) that are larger than memory as `write_image` does, box by box, in the type that they have.

    The suffix is one that `suffix_for_labels` gives for a file that `open_image` opens; `names` are what values mean.
    """
    entry = _format_of(Path(path))
    assert entry.write is not None and entry.in_parts
    with atomic_path(path) as temporary:
        entry.write(temporary, labels, grid, Path(like), names)


def whole_numbers(path: Path, array: np.ndarray) -> np.ndarray:
    """One channel of label values as whole numbers, shape (1, *S).

    Raises:
        DataError: When there are several different channels, or numbers that are not whole.
    """
    if len(array) > 1:
        if not all(np.array_equal(array[0], channel) for channel in array[1:]):
            raise DataError(f"{path}: labels have one channel; this file has {len(array)} that differ.")
        array = array[:1]
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind in "iu":
        return array
    if not np.isfinite(array).all():
        raise DataError(f"{path}: labels hold NaN or infinite numbers.")
    rounded = np.rint(array)
    if np.abs(array - rounded).max() > ALMOST_WHOLE or np.abs(rounded).max() > 2**31 - 1:
        raise DataError(
            f"{path}: labels must be whole numbers; this file has fractions between {array.min():.4g} and"
            f" {array.max():.4g}, or numbers beyond 32 bits."
        )
    return rounded.astype(np.int32)


def _smallest(path: Path, array: np.ndarray) -> np.ndarray:
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise DataError(f"{path}: labels must not be negative; got {low}.")
    return array.astype(np.min_scalar_type(high))


def _all() -> list[Format]:
    return [formats[name].build() for name in formats]


def _format_of(path: Path) -> Format:
    suffix = suffix_of(path)
    if path.is_dir() and suffix not in ome_zarr.FORMAT.suffixes:
        return dicom.FORMAT
    for entry in _all():
        if suffix in entry.suffixes:
            return entry
    if path.is_file() and is_dicom(path):
        return dicom.FORMAT
    known = sorted({s for entry in _all() for s in entry.suffixes})
    if not path.exists() and not path.suffix:
        raise DataError(f"{path}: there is no such file or folder.")
    word = path.suffix.lower()
    near = get_close_matches(word, [s for s in known if s[:2] == word[:2]], 1, 0.8)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    kind = path.suffix or "files without a suffix"
    raise DataError(f"{path}: hyoid does not read {kind}.{hint} Known: {' '.join(known)}.")
