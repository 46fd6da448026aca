"""NIfTI-1 and NIfTI-2, plain and gzipped, single files and hdr/img pairs, any byte order; MGH is read too."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.labels import Labels
from .blocks import Mapped, as_read
from .header import Format, Header, Stored
from .order import in_c_order
from .sniff import DEFLATE, beginning, check_beside, check_plausible, damaged, describe, refusal
from .units import NO_UNIT

_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: metre, millimetre, micrometre
_BLOCK = 1 << 24  # bytes that are inflated at once
_LARGEST_OFFSET = 1 << 28  # bytes before the voxels
_PLANE_BYTES = 1 << 26  # of labels that are written at once
_FORMS = ("sform", "qform")
_ROUNDING = 1e-3  # by which the square of a quaternion may be longer than 1
_RGB = {128: 3, 2304: 4}  # NIfTI codes of RGB24 and RGBA32


def read(path: Path, as_labels: bool = False) -> Stored:
    """The voxels of a NIfTI file in the order of the file, as axes (C, x, y, z)."""
    if path.name.lower().endswith(_MGH):
        return _read_mgh(path)
    header_path, data_path = _partner(path, "hdr"), _partner(path, "img")
    header = _parse(header_path, _content(header_path, limit=600))
    start = _start(header)
    content = _content(data_path, _needed(data_path, header) - start, start, whole=True)
    array = _voxels(data_path, content, header)
    return Stored(_channels_first(array), _facts(path, header))


def read_header(path: Path) -> Header:
    """The facts in a NIfTI header, without reading the voxels."""
    if path.name.lower().endswith(_MGH):
        return _open_mgh(path)[1]
    source = _partner(path, "hdr")
    header = _parse(source, _content(source, limit=600))
    facts = _facts(path, header)
    data_path = _partner(path, "img")
    if not data_path.name.lower().endswith(".gz"):
        _check_length(data_path, data_path.stat().st_size, header)
    return facts


def open_mapped(path: Path) -> Boxes | None:
    """The voxels of an uncompressed NIfTI file, mapped where they are read."""
    if path.name.lower().endswith((".gz", *_MGH)):
        return None
    header_path, data_path = _partner(path, "hdr"), _partner(path, "img")
    header = _parse(header_path, _content(header_path, limit=600))
    space, channels = _shape(path, header)
    kind = header.get_data_dtype()
    if kind.names or kind.kind == "c" or beginning(data_path).startswith(b"\x1f\x8b"):
        return None
    start = _check_length(data_path, data_path.stat().st_size, header)
    turned = lambda array: np.moveaxis(array, -1, 0)  # noqa: E731

    def finished(box: np.ndarray) -> np.ndarray:
        box = _scaled(box, header)
        return box.astype(as_read(box.dtype))

    return Mapped(data_path, start, (*space, channels), kind, "F", turned, finished)


def write(path: Path, array: Filled, grid: Grid, like: Path | None = None, labels: Labels | None = None) -> None:
    """Write a NIfTI file; with a NIfTI source the header, its affines and codes stay exactly as they are there."""
    if not isinstance(array, np.ndarray):
        _write_planes(path, array, grid, like)
        return
    array = np.moveaxis(array, 0, -1) if array.ndim > grid.dims else array
    if grid.dims == 2:
        array = array[:, :, None]
    content = _head(path, array.shape, array.dtype, grid, like) + _body(array)
    if path.name.lower().endswith(".gz"):
        from isal import igzip

        content = igzip.compress(content, 1, mtime=0)
    path.write_bytes(content)


def _write_planes(path: Path, labels: Filled, grid: Grid, like: Path | None) -> None:
    from isal import igzip

    shape = (*labels.shape, 1)[:3]
    step = max(1, _PLANE_BYTES // (shape[0] * shape[1] * labels.dtype.itemsize))
    with igzip.open(path, "wb", compresslevel=1) if path.name.lower().endswith(".gz") else path.open("wb") as file:
        file.write(_head(path, shape, labels.dtype, grid, like))
        for begin in range(0, shape[2], step):
            file.write(_body(labels[slice(None), slice(None), slice(begin, begin + step)]))


def _body(array: np.ndarray) -> bytes:
    """The numbers as they lie in a file: little-endian, x fastest."""
    return in_c_order(np.asarray(array, array.dtype.newbyteorder("<")).T).tobytes()


def _head(path: Path, shape: tuple[int, ...], dtype: np.dtype, grid: Grid, like: Path | None) -> bytes:
    """Everything before the voxels of a file with this shape (x, y, z[, C])."""
    import nibabel

    if path.name.lower().endswith((".img", ".hdr", ".img.gz", ".hdr.gz")):
        raise DataError(f"{path}: hdr/img pairs are read but not written; choose .nii.gz.")
    header = _header_like(like) if like is not None else None
    if header is None:
        header = nibabel.Nifti1Header() if max(shape) < 32768 else nibabel.Nifti2Header()
        _describe_grid(header, grid)
    sizes = np.array(header["pixdim"])
    dims = int(header["dim"][0])
    header.set_data_dtype(dtype)
    header.set_data_shape(shape[:dims] if dims == 2 and len(shape) == 3 else shape)
    header["pixdim"][:4] = sizes[:4]
    header["scl_slope"], header["scl_inter"], header["cal_min"], header["cal_max"] = 1, 0, 0, 0
    header["intent_code"] = 0
    header["magic"] = b"n+1" if header["sizeof_hdr"] == 348 else b"n+2\0\r\n\x1a\n"
    offset = int(header["sizeof_hdr"]) + 4
    header["vox_offset"] = offset = -(-offset // 16) * 16
    if "extents" in header:  # kept for Analyze readers only; the value is fixed by the standard
        header["extents"] = 16384
    return bytes(header.binaryblock.ljust(offset, b"\0"))


def _header_like(like: Path) -> Any:
    if not like.is_file() or not like.name.lower().endswith(FORMAT.suffixes) or like.name.lower().endswith(_MGH):
        return None
    source = _partner(like, "hdr")
    return _parse(source, _content(source, limit=600)).as_byteswapped("<")


def _describe_grid(header: Any, grid: Grid) -> None:
    affine = np.eye(4)
    affine[: grid.dims, : grid.dims] = grid.affine[:-1, :-1]
    affine[: grid.dims, 3] = grid.affine[:-1, -1]
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    header.set_data_shape((1, 1, 1))
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    header.set_sform(affine, code=1)
    if np.abs(columns.T @ columns - np.eye(3)).max() < 1e-4:  # a qform cannot hold shear
        header.set_qform(affine, code=1)
    if grid.calibrated:
        header.set_xyzt_units("mm")


def _partner(path: Path, end: str) -> Path:
    """The file of a hdr/img pair that holds the header ("hdr") or the voxels ("img"); else the path itself."""
    lower = path.name.lower()
    for suffix in (".hdr", ".img", ".hdr.gz", ".img.gz"):
        if lower.endswith(suffix):
            other = path.with_name(path.name[: -len(suffix)] + "." + end + (".gz" if suffix.endswith(".gz") else ""))
            if not other.exists():
                raise DataError(f"{path}: its partner {other.name} is missing; a hdr/img pair needs both files.")
            check_beside(path, [other.name])
            return other
    return path


def _content(path: Path, limit: int, start: int = 0, whole: bool = False) -> np.ndarray:
    """So many bytes of a file after decompression, from `start` on, or less when it ends before.

    With `whole`, the limit is what the header needs: a plain file is mapped, and one that was compressed is checked to
    its end where it ends there, and inflated no further where it does not.
    """
    head = beginning(path)
    if not head.startswith(b"\x1f\x8b"):
        if path.name.lower().endswith(".gz") and describe(head) != "a NIfTI image":
            raise DataError(f"{path}: expected gzip data, but the file is {describe(head)}.")
        return np.memmap(path, np.uint8, "r")[start:] if whole else np.frombuffer(head, np.uint8)
    from isal import igzip

    check_plausible(path, start + limit, DEFLATE)
    try:
        content, done = np.empty(limit, np.uint8), 0
        with igzip.open(path) as file:
            for at in range(0, start, _BLOCK):
                file.read(min(_BLOCK, start - at))
            while part := file.read(min(_BLOCK, limit - done)):
                content[done : done + len(part)] = np.frombuffer(part, np.uint8)
                done += len(part)
            if whole:
                file.read(1)  # at the end of the data its checksum is compared
            return content[:done]
    except MemoryError as error:
        raise damaged(path, error) from None
    except Exception as error:
        raise DataError(
            f"{path}: the compressed data is damaged or cut short ({error}). Copy or download it again."
        ) from None


def _parse(path: Path, content: np.ndarray) -> Any:
    import nibabel

    head = bytes(content[:540])
    for kind, size, at in ((nibabel.Nifti1Header, 348, 344), (nibabel.Nifti2Header, 540, 4)):
        if head[at : at + 3] in (b"n+1", b"ni1", b"n+2", b"ni2"):
            if len(head) < size:
                break
            try:
                header = kind(head[:size], check=False)
                start = _start(header)
            except Exception as error:
                raise DataError(f"{path}: the NIfTI header is damaged ({error}).") from None
            if start > _LARGEST_OFFSET:
                raise damaged(path, f"its header says that the voxels begin after {start:,} bytes")
            return header
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    if len(head) >= 348 and sizes & {348, 540} and any(head[344:348]):
        raise DataError(f"{path}: the NIfTI header is damaged (its magic word is {head[344:348]!r}).")
    if len(head) >= 348 and 348 in sizes:
        raise DataError(
            f"{path}: this is an Analyze 7.5 header, which does not know left from right; convert it to NIfTI first."
        )
    raise DataError(f"{path}: expected a NIfTI image, but the file is {describe(head)}.")


def _shape(path: Path, header: Any) -> tuple[tuple[int, ...], int]:
    """Spatial shape (always three axes) and number of channels."""
    sizes = [int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]]
    if not 1 <= len(sizes) <= 7 or min(sizes) < 1:
        raise DataError(f"{path}: the header gives the shape {tuple(sizes)}; every axis needs at least one voxel.")
    space = (*sizes[:3], 1, 1)[:3]
    rest = [n for n in sizes[3:] if n > 1]
    colours = _RGB.get(int(header["datatype"]), 1)
    if len(rest) > 1 or (rest and colours > 1):
        raise DataError(f"{path}: an image has up to three spatial axes and one of channels; got shape {tuple(sizes)}.")
    return space, (rest[0] if rest else colours)


def _start(header: Any) -> int:
    """Where the voxels begin in the file that holds them."""
    return max(0, int(header["vox_offset"])) if header["magic"].item().startswith(b"n+") else 0


def _needed(path: Path, header: Any) -> int:
    """Bytes of the file of voxels, at the least."""
    space, channels = _shape(path, header)
    colours = int(header["datatype"]) in _RGB
    return _start(header) + math.prod(space) * (1 if colours else channels) * header.get_data_dtype().itemsize


def _check_length(path: Path, size: int, header: Any) -> int:
    needed, start = _needed(path, header), _start(header)
    if size < needed:
        raise DataError(
            f"{path}: the file is cut short: {needed} bytes expected from its header, {size} found. Copy it again."
        )
    return start


def _voxels(path: Path, content: np.ndarray, header: Any) -> np.ndarray:
    """The array as axes (x, y, z, C) with the header's scaling applied."""
    space, channels = _shape(path, header)
    dtype = header.get_data_dtype()
    if dtype.kind == "c":
        raise DataError(f"{path}: the voxels are complex numbers; save magnitude or phase as a real image.")
    _check_length(path, _start(header) + len(content), header)
    flat = np.frombuffer(content, np.uint8 if dtype.names else dtype, int(np.prod(space)) * channels)
    if dtype.names:
        return np.moveaxis(flat.reshape((channels, *space), order="F"), 0, -1)
    return _scaled(flat.reshape((*space, channels), order="F"), header)


def _scaled(array: np.ndarray, header: Any) -> np.ndarray:
    """The numbers that are meant by those that are stored."""
    slope, inter = _scaling(header)
    if (slope, inter) == (1.0, 0.0):
        return array
    scaled: Any = np.asarray(array, np.float32 if array.dtype.itemsize <= 2 else np.float64)
    return scaled * scaled.dtype.type(slope) + scaled.dtype.type(inter)


def _scaling(header: Any) -> tuple[float, float]:
    slope, inter = (float(header[key]) for key in ("scl_slope", "scl_inter"))
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    return slope, inter if np.isfinite(inter) else 0.0


def _channels_first(array: np.ndarray) -> np.ndarray:
    native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return np.moveaxis(native, -1, 0)


def _facts(path: Path, header: Any) -> Header:
    space, channels = _shape(path, header)
    notes: list[str] = []
    grids = _grids(path, header, space, notes)
    sizes = [int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]]
    if channels > 1 and int(header["datatype"]) not in _RGB:
        notes.append(f"Shape {'x'.join(map(str, sizes))}: the last axis is taken as {channels} channels.")
    dtype = header.get_data_dtype()
    name = "complex" if dtype.kind == "c" else "uint8" if dtype.names else str(dtype.newbyteorder("="))
    if _scaling(header) != (1.0, 0.0):
        name = "float32" if dtype.itemsize <= 2 else "float64"
    kind = "NIfTI-1" if header["sizeof_hdr"] == 348 else "NIfTI-2"
    placed = any(int(header[f"{form}_code"]) > 0 for form in _FORMS)
    return Header(kind, grids[0], channels, name, tuple(notes), tuple(grids[1:]), placed, _unit_mm(header))


def _grids(path: Path, header: Any, space: tuple[int, ...], notes: list[str]) -> list[Grid]:
    """The grids of the sound forms, first the one that counts: the sform, then the qform, else voxel sizes alone.

    A form that is unsound does no harm beside a sound one.
    """
    from nibabel.volumeutils import shape_zoom_affine

    sizes = np.abs(np.asarray(header["pixdim"][1:4], float))
    known = np.isfinite(sizes) & (sizes > 0)
    sizes = np.where(known, sizes, 1.0)
    forms = [form for form in _FORMS if int(header[f"{form}_code"]) > 0]
    unit = _unit_mm(header)
    scale = unit or 1.0
    if unit is None:
        notes.append(NO_UNIT)
    elif scale != 1.0:
        notes.append(f"Lengths are converted to millimetres (factor {scale:g}).")
    grids: dict[str, Grid] = {}
    unsound: dict[str, str] = {}
    for form in forms or ["sizes"]:
        try:
            affine = header.get_sform() if form == "sform" else shape_zoom_affine(space, sizes)
            affine = np.array(_qform(header, sizes) if form == "qform" else affine, float)
            affine[:3] *= scale
            grid = Grid.from_affine(affine, space, bool(form == "sform" or known.all()))
            # What makes a flat picture a NIfTI file knows no size and leaves 1.
            bare = unit is None and space[2] == 1 and grid.spacing_mm == (1.0, 1.0, 1.0)
            grids[form] = replace(grid, calibrated=grid.calibrated and not bare)
        except DataError as error:
            unsound[form] = str(error)
    if not grids:
        raise DataError(f"{path}: {next(iter(unsound.values()))}")
    if not forms:
        notes.append("The header gives no orientation (both codes are 0); left-to-right order LAS is assumed.")
    if unsound:
        notes.append(f"The {next(iter(unsound))} is damaged; the orientation is that of the {next(iter(grids))}.")
    if next(iter(grids)) == "qform" and abs(float(header["pixdim"][0])) != 1:
        notes.append("pixdim[0] is neither 1 nor -1; 1 is taken, as the standard says.")
    if len(grids) > 1 and (gap := float(np.abs(grids["sform"].affine - grids["qform"].affine).max())) > 1e-2 * scale:
        notes.append(f"sform and qform differ by {gap:.3g} mm; the sform is used, as the standard says.")
    if unit is None and not next(iter(grids.values())).calibrated:
        notes[notes.index(NO_UNIT)] = "The header gives no unit and no voxel size; lengths are in voxels."
    return list(grids.values())


def _unit_mm(header: Any) -> float | None:
    return _UNIT_MM.get(int(header["xyzt_units"]) & 7)


def _qform(header: Any, sizes: np.ndarray) -> np.ndarray:
    """The affine of the quaternion as nifti1.h has it: rounding that makes it longer than 1 is levelled, and a
    pixdim[0] that is not negative means 1."""
    from nibabel.quaternions import quat2mat

    vector = np.array([float(header[f"quatern_{part}"]) for part in "bcd"])
    square = float(vector @ vector)
    if not square <= 1 + _ROUNDING:
        raise DataError(f"The quaternion of the qform is no rotation (its square length is {square:.6g}).")
    rest = 1 - square
    turn = np.asarray(quat2mat((np.sqrt(rest) if rest > 1e-7 else 0.0, *vector)))
    handed = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = turn * sizes * (1.0, 1.0, handed)
    affine[:3, 3] = [float(header[f"qoffset_{axis}"]) for axis in "xyz"]
    return affine


def _open_mgh(path: Path) -> tuple[Any, Header]:
    import nibabel

    beginning(path)
    try:
        image: Any = nibabel.load(path)
        shape = (*image.shape, 1)[:4]
        dtype = np.dtype(image.get_data_dtype()).newbyteorder("=")
    except Exception as error:
        raise refusal(path, "an MGH image", error) from None
    return image, Header("MGH", Grid.from_affine(image.affine, shape[:3]), shape[3], str(dtype))


def _read_mgh(path: Path) -> Stored:
    image, header = _open_mgh(path)
    try:
        array = np.asanyarray(image.dataobj).reshape((*header.shape, header.channels))
    except Exception as error:
        raise DataError(f"{path}: the file is damaged or cut short ({error}). Copy it again.") from None
    return Stored(_channels_first(array), header)


_MGH = (".mgz", ".mgh")
_SUFFIXES = (".nii.gz", ".img.gz", ".hdr.gz", ".nii", ".img", ".hdr", *_MGH)
FORMAT = Format(
    "NIfTI",
    _SUFFIXES,
    read,
    read_header,
    write,
    open=open_mapped,
    in_parts=True,
    written=(".nii.gz", ".nii"),
    dims=(3,),
    oriented=True,
)
