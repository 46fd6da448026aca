"""DICOM: series folders and single files, sorted by position, with tilt and gaps named.

`series.py` turns positions into a grid; this file finds the slices of a series and decodes their pixels.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.grid import Grid
from .dicom_bytes import decoded, fields, is_cut_slice, packed, pixel_bytes
from .header import Format, Header, Stored
from .series import Plane, flat_grid, frame_planes, plane_of, volume_grid
from .sniff import beginning, check_plausible, damaged, refusal
from .strays import items_in

_REFUSED = {
    "SEG": "a DICOM segmentation (SEG), which hyoid does not read; make a label image of it first, for example with"
    " dcmqi (segimage2itkimage --inputDICOM FILE --outputDirectory labels --prefix CASE"
    " --outputType nifti --mergeSegments)",
    "RTSTRUCT": "a set of contours (RTSTRUCT), which hyoid does not read; make a label image of it first, for example"
    " with plastimatch or 3D Slicer",
    "RTPLAN": "a treatment plan and holds no image",
    "SR": "a structured report and holds no image",
    "ANN": "a file of annotations and holds no image",
    "ECG": "a recording of an electrocardiogram and holds no image",
}
_ANNOTATIONS = ("SEG", "RTSTRUCT")
_TRANSFORMATION = "PixelValueTransformationSequence"
_NOTICEABLE, _A_SLIP = 0.01, 5.0  # degrees
_MOST_LOOKED_AT = 300
_BAD_FIELD = (ValueError, TypeError, AttributeError, KeyError, IndexError, OSError, NotImplementedError)
_quiet = threading.Lock()


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its suffix or its first bytes."""
    if path.suffix.lower() in FORMAT.suffixes:
        return True
    if path.name.upper() == "DICOMDIR":  # the contents of a disc, whose series lie in folders below
        return False
    if path.name.startswith(".") or (path.suffix and not path.suffix[1:].isdigit()):
        return False
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def series_files(folder: Path) -> list[Path]:
    """The DICOM files directly in a folder, in name order."""
    return [f for f in items_in(folder) if f.is_file() and is_dicom(f)]


def holds_volume(folder: Path) -> bool:
    """Whether a folder holds DICOM slices with places in space, rather than flat pictures that stand alone."""
    first = next((f for f in items_in(folder) if f.is_file() and is_dicom(f)), None)
    if first is None:
        return False
    try:
        with _quietly(first):
            ds = _parsed(first, pixels=False)
            return plane_of(ds) is not None or _frames(ds) > 1 or "Rows" not in ds
    except DataError:
        return True


def annotation_below(folder: Path) -> str:
    """A sentence on the first DICOM segmentation or set of contours in a folder or below it; empty without any.

    Only the first few hundred DICOM files are looked at.
    """
    files = (f for f in sorted(folder.rglob("*")) if f.is_file() and not f.name.startswith(".") and is_dicom(f))
    with _quietly(folder):
        for file in itertools.islice(files, _MOST_LOOKED_AT):
            with suppress(DataError, *_BAD_FIELD):
                ds = _fields(file, pixels=False)
                if ds.get("Modality") in _ANNOTATIONS:
                    return f"{file} is {_REFUSED[ds.Modality]}."
    return ""


def read(path: Path, as_labels: bool = False) -> Stored:
    """A series folder or a file as (C, x, y, z) on its grid, or (C, rows, columns) when it has no place in space."""
    with _quietly(path):
        slices, header = _survey(path)
        dtype = np.dtype(header.dtype)
        pixels = [_pixels(file, ds, dtype) for file, ds in slices]
    if header.grid.dims == 2:
        array = pixels[0]
        return Stored(array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0), header)
    stack = np.stack(pixels) if len(slices) > 1 else pixels[0].reshape(-1, *_frame_shape(slices[0][1]))
    order = np.argsort([plane.depth for plane in _planes(slices)], kind="stable")
    return Stored(stack[order].T[None], header)


def read_header(path: Path) -> Header:
    """Geometry of a series folder or a file, without decoding its pixels."""
    with _quietly(path):
        return _survey(path, pixels=False)[1]


@contextmanager
def _quietly(path: Path) -> Iterator[None]:
    """Keep pydicom's remarks on odd headers from the user; one thread at a time, since filters are global."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except _BAD_FIELD as error:
            raise DataError(f"{path}: a DICOM field cannot be read ({error}).") from None


def _survey(path: Path, pixels: bool = True) -> tuple[list[tuple[Path, Any]], Header]:
    """The slices that make the image, and its header."""
    notes: list[str] = []
    slices = _one_series(path, notes, pixels) if path.is_dir() else [(path, _parsed(path, pixels))]
    _check_kind(*slices[0])
    if len({(_frame_shape(ds), str(ds.get("PhotometricInterpretation"))) for _, ds in slices}) > 1:
        raise DataError(f"{path}: the slices of this series differ in size or colour; keep those of one kind.")
    if any(ds.get("ModalityLUTSequence") for _, ds in slices):
        raise DataError(f"{path}: its numbers go through a table (Modality LUT), which is not read; export them anew.")
    grid = _grid(path, slices, notes)
    first = slices[0][1]
    channels = 3 if _is_colour(first) else 1
    if any(ds.get("PhotometricInterpretation") == "MONOCHROME1" for _, ds in slices):
        notes.append("Stored with white as zero (MONOCHROME1); values are inverted so that bright is high.")
    name = f"DICOM {first.get('Modality') or ''}".strip()
    return slices, Header(name, grid, channels, _dtype(slices), tuple(notes))


def _one_series(folder: Path, notes: list[str], pixels: bool) -> list[tuple[Path, Any]]:
    """The slices of the largest series of images in a folder."""
    files = series_files(folder)
    if not files:
        raise DataError(f"{folder}: expected a folder of DICOM slices; it holds no DICOM file.")
    groups: list[list[tuple[Path, Any]]] = []
    skipped = []
    for file in files:
        ds = _whole(file, pixels)
        if is_cut_slice(ds):
            raise damaged(file, "its header ends before it says how large the slice is")
        if "Rows" not in ds or _reason_to_refuse(ds) or "LOCALIZER" in str(ds.get("ImageType", "")):
            skipped.append(file.name)
            continue
        group = next((one for one in groups if _are_alike(one[0][1], ds)), [])
        if not group:
            groups.append(group)
        group.append((file, ds))
    if not groups:
        reason = _reason_to_refuse(_fields(files[0], pixels=False))
        told = f" {files[0].name} is {reason}." if reason else ""
        raise DataError(
            f"{folder}: expected a series of image slices; none of the {len(files)} DICOM files holds one.{told}"
        )
    if skipped:
        notes.append(f"{len(skipped)} DICOM files that are not slices are left out, such as {skipped[0]}.")
    groups = [_without_copies(group, notes) for group in groups]
    best = max(groups, key=len)
    if angle := max((_angle(best[0][1], group[0][1]) for group in groups if group is not best), default=0.0):
        raise DataError(
            f"{folder}: slices of one series are turned against each other by {angle:.1f} degrees; no grid holds them."
        )
    if other := next((group[0] for group in groups if _differ_in_size(best[0][1], group[0][1])), None):
        sizes = " and ".join("{} x {}".format(*_frame_shape(ds)) for ds in (best[0][1], other[1]))
        names = f"{best[0][0].name} and {other[0].name}"
        raise DataError(
            f"{folder}: slices of one series differ in size: {names} have {sizes} rows x columns; keep one size."
        )
    if len(groups) > 1:
        which = "a" if sum(len(group) == len(best) for group in groups) > 1 else "the"
        told = f"{which} largest ({len(best)} slices, the first in {best[0][0].name})"
        notes.append(f"The folder holds {len(groups)} series; {told} is read.")
    if len(best) > 1 and any(_frames(ds) > 1 for _, ds in best):
        raise DataError(f"{folder}: holds several multi-frame files of one series; read one of them by its file name.")
    return best


def _angle(one: Any, other: Any) -> float:
    """Degrees between two slices of one series that would be parallel but for a slip; 0 for others."""
    planes = plane_of(one), plane_of(other)
    if None in planes or one.get("SeriesInstanceUID") != other.get("SeriesInstanceUID"):
        return 0.0
    cosine = min(float(a @ b) for a, b in zip(*((p.along_row, p.along_column) for p in planes if p), strict=True))
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return angle if _NOTICEABLE < angle < _A_SLIP else 0.0


def _differ_in_size(one: Any, other: Any) -> bool:
    """Whether two slices of one series and direction have other numbers of rows or columns."""
    planes = plane_of(one), plane_of(other)
    if None in planes or one.get("SeriesInstanceUID") != other.get("SeriesInstanceUID"):
        return False
    first, second = (plane.normal for plane in planes if plane)
    return _frame_shape(one) != _frame_shape(other) and float(first @ second) > np.cos(np.radians(_A_SLIP))


def _are_alike(one: Any, other: Any) -> bool:
    """Whether two slices are of one series, direction and echo; their numbers may differ by rounding."""
    words = [(str(ds.get("SeriesInstanceUID")), _frame_shape(ds)) for ds in (one, other)]
    numbers = [
        [float(n) for n in (*(ds.get("ImageOrientationPatient") or (0,)), ds.get("EchoTime") or 0)]
        for ds in (one, other)
    ]
    same = words[0] == words[1] and len(numbers[0]) == len(numbers[1])
    return same and bool(np.allclose(numbers[0], numbers[1], rtol=1e-3, atol=1e-3))


def _without_copies(slices: list[tuple[Path, Any]], notes: list[str]) -> list[tuple[Path, Any]]:
    """The slices without those that a folder holds twice: at one position, and of one name or with equal pixels."""
    places: dict[tuple[float, ...], list[tuple[Path, Any]]] = {}
    copies = []
    for file, ds in slices:
        kept = places.setdefault(tuple(float(n) for n in ds.get("ImagePositionPatient") or ()), [])
        name = ds.get("SOPInstanceUID")
        if any((name and name == one.get("SOPInstanceUID")) or _same_pixels(other, file) for other, one in kept):
            copies.append(file.name)
        else:
            kept.append((file, ds))
    if copies:
        notes.append(f"Files that hold a slice again are left out ({len(copies)}, such as {copies[0]}).")
    return [one for one in slices if one[0].name not in copies]


def _same_pixels(one: Path, other: Path) -> bool:
    pixels = [_fields(path, pixels=True).get("PixelData") for path in (one, other)]
    return pixels[0] is not None and pixels[0] == pixels[1]


def _parsed(path: Path, pixels: bool) -> Any:
    ds = _whole(path, pixels)
    if not ("Rows" in ds or "SOPClassUID" in ds or "Modality" in ds):
        raise DataError(f"{path}: expected a DICOM image, but the file holds none of its fields.")
    return ds


def _whole(path: Path, pixels: bool) -> Any:
    """The fields of a file that is as long as these say."""
    ds = _fields(path, pixels)
    if "Rows" in ds:
        check_plausible(path, pixel_bytes(ds), packed(ds))
    return ds


def _fields(path: Path, pixels: bool) -> Any:
    head = beginning(path)
    try:
        return fields(path, head, pixels)
    except Exception as error:
        raise refusal(path, "a DICOM file", error) from None


def _reason_to_refuse(ds: Any) -> str | None:
    if ds.get("Modality") == "SM" and _frames(ds) > 1:
        return "a whole slide in tiles; export the region of interest as TIFF first"
    return _REFUSED.get(ds.get("Modality"))


def _check_kind(path: Path, ds: Any) -> None:
    if reason := _reason_to_refuse(ds):
        raise DataError(f"{path}: this is {reason}.")
    if "Rows" not in ds or "Columns" not in ds or not ds.Rows or not ds.Columns:
        raise DataError(f"{path}: this DICOM file holds no image (it has no rows and columns).")


def _frames(ds: Any) -> int:
    return int(ds.get("NumberOfFrames") or 1)


def _frame_shape(ds: Any) -> tuple[int, int]:
    return int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)


def _is_colour(ds: Any) -> bool:
    return int(ds.get("SamplesPerPixel") or 1) == 3 or ds.get("PhotometricInterpretation") == "PALETTE COLOR"


def _planes(slices: list[tuple[Path, Any]]) -> list[Plane]:
    if len(slices) == 1 and _frames(slices[0][1]) > 1:
        return frame_planes(slices[0][1])
    found = [plane_of(ds) for _, ds in slices]
    return [plane for plane in found if plane is not None] if all(found) else []


def _grid(path: Path, slices: list[tuple[Path, Any]], notes: list[str]) -> Grid:
    rows, columns = _frame_shape(slices[0][1])
    planes = _planes(slices)
    if planes and not _is_colour(slices[0][1]):
        return volume_grid(str(path), planes, (rows, columns), notes)
    count = max(len(slices), _frames(slices[0][1]))
    if count > 1:
        raise DataError(
            f"{path}: {count} frames without a position in space make no volume (a film?); save each as an image."
        )
    return flat_grid(slices[0][1], (rows, columns), notes)


def _rescales(ds: Any) -> list[tuple[float, float]]:
    """Slope and intercept of each frame, or those of all."""
    shared = (ds.get("SharedFunctionalGroupsSequence") or [{}])[0]
    groups = [frame for frame in ds.get("PerFrameFunctionalGroupsSequence") or [] if _TRANSFORMATION in frame]
    items = [group[_TRANSFORMATION][0] for group in groups or ([shared] if _TRANSFORMATION in shared else [])]
    dose = _number(ds, "DoseGridScaling", 1.0)
    pairs = [(_number(item, "RescaleSlope", dose), _number(item, "RescaleIntercept", 0.0)) for item in items or [ds]]
    if len(set(pairs)) == 1:
        return pairs[:1]
    if len(pairs) != _frames(ds):
        raise ValueError(f"{len(pairs)} of {_frames(ds)} frames have a rescale slope")
    return pairs


def _number(ds: Any, name: str, absent: float) -> float:
    return absent if ds.get(name) is None else float(ds.get(name))


def _dtype(slices: list[tuple[Path, Any]]) -> str:
    ds = slices[0][1]
    if _is_colour(ds):
        return "uint8" if int(ds.get("BitsAllocated") or 8) == 8 else f"uint{ds.BitsAllocated}"
    if "FloatPixelData" in ds or not all(
        number.is_integer() for _, one in slices for pair in _rescales(one) for number in pair
    ):
        return "float32"
    ranges = [_range(one) for _, one in slices]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    signed = low < 0 or bool(ds.get("PixelRepresentation"))
    sizes = (np.int8, np.int16, np.int32, np.int64) if signed else (np.uint8, np.uint16, np.uint32, np.uint64)
    return str(next(np.dtype(s) for s in sizes if np.iinfo(s).min <= low and high <= np.iinfo(s).max))


def _range(ds: Any) -> tuple[float, float]:
    """Least and largest number the stored bits can give after rescaling."""
    bits = int(ds.get("BitsAllocated") or 16)
    pairs = _rescales(ds)
    if pairs != [(1.0, 0.0)]:
        bits = int(ds.get("BitsStored") or bits)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if ds.get("PixelRepresentation") else (0, (1 << bits) - 1)
    ends = [end * slope + intercept for slope, intercept in pairs for end in (low, high)]
    return min(ends), max(ends)


def _pixels(path: Path, ds: Any, dtype: np.dtype) -> np.ndarray:
    """Decoded and rescaled numbers of one file, colours as RGB."""
    from pydicom.pixels import apply_color_lut

    try:
        array = decoded(ds)
        if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
            array = apply_color_lut(array, ds)
            return (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    except Exception as error:
        raise _decoding_error(path, error) from None
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        array = (np.int64(1) << int(ds.BitsStored)) - 1 - array.astype(np.int64)
    if _is_colour(ds):
        return array
    pairs = _rescales(ds)
    if pairs == [(1.0, 0.0)]:
        return array.astype(dtype)
    slope, intercept = pairs[0] if len(pairs) == 1 else np.array(pairs).T[..., None, None]
    return (array.astype(np.float64) * slope + intercept).astype(dtype)


def _decoding_error(path: Path, error: Exception) -> DataError:
    words = " ".join(str(error).split())
    if "bytes of pixel data is less" in words or "end of" in words.lower():
        return DataError(f"{path}: the pixel data is cut short ({words[:120]}). Copy the file again.")
    if "exceptions were raised" in words or isinstance(error, MemoryError):
        return damaged(path, error if isinstance(error, MemoryError) else words.rpartition(": ")[2])
    if "plugins" in words or "decompress" in words:
        return DataError(f"{path}: the compressed pixels cannot be decoded; convert the file to an uncompressed one.")
    return DataError(f"{path}: the pixel data cannot be read ({words[:160]}).")


FORMAT = Format("DICOM", (".dcm", ".dicom", ".ima"), read, read_header)
