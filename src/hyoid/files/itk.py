"""NRRD and MetaImage (MHA, MHD) through SimpleITK, converted from LPS to RAS."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..core.case import Image
from ..core.errors import DataError
from ..core.grid import Grid
from .header import Format, Header, Stored
from .sniff import beginning, check_plausible, refusal

_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_NAMES = {".seg.nrrd": "NRRD", ".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage"}


def read(path: Path, as_labels: bool = False) -> Stored:
    """The voxels: axes (C, x, y, z) for volumes, (C, rows, columns) for images that are flat."""
    import SimpleITK

    reader = _reader(path)
    header = _facts(path, reader)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise refusal(path, _expected(path), _reason(error)) from None
    array = np.asarray(SimpleITK.GetArrayFromImage(image))
    dims = reader.GetDimension()
    if reader.GetNumberOfComponents() > 1:
        array = np.moveaxis(array, -1, 0)
    elif dims < 4:
        array = array[None]
    if array.ndim == 4:
        array = array.transpose(0, 3, 2, 1)
    return Stored(array, header)


def read_header(path: Path) -> Header:
    """The facts in the header, without reading the voxels."""
    return _facts(path, _reader(path))


def write(path: Path, image: Image, like: Path | None = None) -> None:
    """Write an image; with a source of these formats its origin, spacing and direction are copied digit for digit."""
    import SimpleITK

    volume = image.grid.dims == 3
    array = image.array.transpose(0, 3, 2, 1) if volume else image.array
    if image.channels > 1:
        result = SimpleITK.GetImageFromArray(np.ascontiguousarray(np.moveaxis(array, 0, -1)), isVector=True)
    else:
        result = SimpleITK.GetImageFromArray(np.ascontiguousarray(array[0]))
    source = _reader(like) if like is not None and like.suffix.lower() in _NAMES else None
    if source is not None and source.GetDimension() >= image.grid.dims:
        spacing, origin, direction = _frame(source, image.grid.dims)
    else:
        spacing, origin, direction = _lps(image.grid)
    result.SetSpacing(spacing)
    result.SetOrigin(origin)
    result.SetDirection(direction)
    attached = path.with_suffix({".mhd": ".mha", ".nhdr": ".nrrd"}.get(path.suffix.lower(), path.suffix))
    try:
        SimpleITK.WriteImage(result, str(attached), useCompression=True)
        attached.rename(path)  # one file, whatever its name: header and voxels cannot be torn apart
    except RuntimeError as error:
        raise DataError(f"{path}: could not be written ({_reason(error)}).") from None


def _reader(path: Path) -> Any:
    import SimpleITK

    _check_data_file(path, beginning(path))
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if _NAMES[path.suffix.lower()] == "NRRD" else "MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise refusal(path, _expected(path), _reason(error)) from None
    return reader


def _check_data_file(path: Path, head: bytes) -> None:
    """Name the file of voxels that a detached header points to, when it is missing."""
    match = re.search(rb"^(?:ElementDataFile *=|data ?file:) *(\S.*?)\s*$", head, re.MULTILINE | re.IGNORECASE)
    name = match[1].decode(errors="replace") if match else "LOCAL"
    if name.upper() not in ("LOCAL", "LIST") and "%" not in name and not (path.parent / name).exists():
        raise DataError(f"{path}: its voxels are in {name}, which is missing; keep both files together.")


def _facts(path: Path, reader: Any) -> Header:
    import SimpleITK

    dims, channels = reader.GetDimension(), reader.GetNumberOfComponents()
    size, notes = list(reader.GetSize()), []
    if dims == 4 and channels == 1:
        channels = size[3]
        notes.append(f"The fourth axis is taken as {channels} channels.")
    elif dims not in (2, 3):
        raise DataError(f"{path}: an image has two or three axes and channels; got {dims} axes {tuple(size)}.")
    pixel = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    if "complex" in pixel:
        raise DataError(f"{path}: the voxels are complex numbers; save magnitude or phase as a real image.")
    name = _NAMES[path.suffix.lower()]
    if path.suffix.lower() in (".nrrd", ".mha"):  # in the others the voxels lie elsewhere
        check_plausible(path, math.prod(reader.GetSize()) * reader.GetNumberOfComponents())
    return Header(name, _grid(reader, min(dims, 3)), channels, _dtype(pixel), tuple(notes))


def _dtype(pixel: str) -> str:
    bits = "64" if "64-bit" in pixel else "32" if "32-bit" in pixel else "16" if "16-bit" in pixel else "8"
    return ("float" if "float" in pixel else "uint" if "unsigned" in pixel else "int") + bits


def _frame(reader: Any, dims: int) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Spacing, origin and direction (row by row) of the first axes."""
    whole = np.asarray(reader.GetDirection()).reshape(reader.GetDimension(), -1)
    return reader.GetSpacing()[:dims], reader.GetOrigin()[:dims], tuple(whole[:dims, :dims].ravel().tolist())


def _grid(reader: Any, dims: int) -> Grid:
    spacing, origin, flat = _frame(reader, dims)
    direction = np.asarray(flat).reshape(dims, dims)
    shape = reader.GetSize()[:dims]
    affine = np.eye(dims + 1)
    affine[:dims, :dims] = direction * np.asarray(spacing)
    affine[:dims, dims] = origin
    if dims == 3:
        affine[:3] = _TO_RAS @ affine[:3]
    else:  # rows come first in a flat image
        affine[:2] = affine[[1, 0]][:, [1, 0, 2]]
        shape = shape[::-1]
    return Grid.from_affine(affine, shape)


def _lps(grid: Grid) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    direction, origin = np.asarray(grid.direction), np.asarray(grid.origin_mm)
    if grid.dims == 3:
        return grid.spacing_mm, tuple((_TO_RAS @ origin).tolist()), tuple((_TO_RAS @ direction).ravel().tolist())
    flipped = direction[::-1, ::-1].ravel().tolist()
    return grid.spacing_mm[::-1], tuple(origin[::-1].tolist()), tuple(flipped)


def _expected(path: Path) -> str:
    return "an NRRD image" if _NAMES[path.suffix.lower()] == "NRRD" else "a MetaImage"


def _reason(error: Exception) -> str:
    """The last line of an ITK message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Reason: Success" not in line]
    return lines[-1].split("): ", 1)[-1] if lines else "unknown reason"


FORMAT = Format("NRRD or MetaImage", tuple(_NAMES), read, read_header, write)
