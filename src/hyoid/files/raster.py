"""PNG, JPEG, BMP, GIF, PNM and NPY: flat images (NPY also volumes) that do not know their pixel size."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.labels import Labels
from .blocks import Mapped, as_read
from .header import Format, Header, Stored
from .sniff import ANY, beginning, check_plausible, refusal
from .views import ORIENTATION, TURNED, tag_of, unveiled, viewed

_EXPECTED = {"PPM": "a PNM image", **{name: f"a {name} image" for name in ("PNG", "JPEG", "BMP", "GIF")}}
_ALPHA = "The transparency channel is left out."


def read(path: Path, as_labels: bool = False) -> Stored:
    """A picture as (C, rows, columns): 1 or 3 channels; annotations with a palette stay indices."""
    with _opened(path) as picture:
        palette, deep, steps = None, _deep_colour(picture), _steps(picture)  # known until the pixels are decoded
        try:
            if deep:
                array, more = _deep_pixels(path, as_labels)
            elif as_labels:
                array, palette, more = _label_pixels(picture, steps)
            else:
                array, more = _pixels(picture)
                array = _unstretched(array, steps) if picture.format == "PPM" else array
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            reason: object = error
            if isinstance(error, MemoryError) and picture.width * picture.height < _SMALL:
                reason = "a part of it claims to be longer than memory"
            raise refusal(path, _EXPECTED.get(str(picture.format), "an image"), reason) from None
        notes = (*more, *_remarks(picture))
        header = Header(str(picture.format), _grid(picture), len(array), str(array.dtype), notes)
        return Stored(array, header, palette)


def read_header(path: Path) -> Header:
    """Size, channels and type of a picture, without decoding it."""
    with _opened(path) as picture:
        mode = picture.mode
        channels = 3 if mode in _COLOUR else 1
        deep = mode.startswith("I;16") or _deep_colour(picture)
        dtype = "uint16" if deep else {"I": "int32", "F": "float32"}.get(mode, "uint8")
        notes = ([_ALPHA] if mode in _WITH_ALPHA else []) + _remarks(picture)
        return Header(str(picture.format), _grid(picture), channels, dtype, tuple(notes))


def write(path: Path, array: Filled, grid: Grid, like: Path | None = None, labels: Labels | None = None) -> None:
    """Write a picture; numbers must be whole and fit into 8 (BMP, JPEG) or 16 bits (PNG, one channel)."""
    from PIL import Image as Picture

    numbers = _fitting(path, np.asarray(array), grid)
    rows = numbers if numbers.ndim == 2 else np.moveaxis(numbers, 0, -1)
    suffix = path.suffix.lower()
    options: dict[str, Any] = {".png": {"compress_level": 4}, ".jpg": {"quality": 95}, ".jpeg": {"quality": 95}}.get(
        suffix, {}
    )
    if suffix != ".bmp" and (tag := tag_of(grid)) != 1:
        exif = Picture.Exif()
        exif[ORIENTATION] = tag
        options["exif"] = exif
    Picture.fromarray(np.ascontiguousarray(rows)).save(path, **options)


def read_npy(path: Path, as_labels: bool = False) -> Stored:
    """An array file: rows and columns, a volume, or either with channels (first for volumes, last for images)."""
    array, facts = _mapped_npy(path)
    return Stored(np.array(_arranged(array), facts.dtype), facts)


def read_npy_header(path: Path) -> Header:
    """Shape and type of an array file; the array stays on disk."""
    return _mapped_npy(path)[1]


def open_npy(path: Path) -> Boxes | None:
    """An array file, mapped where it is read; None when it holds yes and no, or what runs the other way."""
    array, facts = _mapped_npy(path)
    if array.dtype == bool or not array.flags.c_contiguous:
        return None
    finished = lambda box: box.astype(as_read(facts.dtype))  # noqa: E731
    return Mapped(path, array.offset, array.shape, array.dtype, "C", _arranged, finished)


def write_npy(path: Path, array: Filled, grid: Grid, like: Path | None = None, labels: Labels | None = None) -> None:
    """Write an array file, some rows at a time; channels of flat images come last."""
    if grid.dims == 2 and len(array.shape) == 3:
        if not _flat_with_channels((*grid.shape, array.shape[0])):
            raise DataError(f"{path}: {array.shape[0]} channels of a flat image are written as .tif, not .npy.")
        array = np.moveaxis(np.asarray(array), 0, -1)
    with path.open("wb") as file:
        described = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, described)
        step = max(1, (1 << 26) // (math.prod(array.shape[1:]) * array.dtype.itemsize))
        for begin in range(0, array.shape[0], step):
            place = (slice(begin, begin + step), *(slice(None),) * (len(array.shape) - 1))
            file.write(array[place].tobytes())


def _mapped_npy(path: Path) -> tuple[np.memmap, Header]:
    beginning(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array, _npy_facts(path, array)
    except DataError:
        raise
    except Exception as error:
        if "Python objects" in str(error):
            raise DataError(f"{path}: an image array holds real numbers; this one holds Python objects.") from None
        raise refusal(path, "a NumPy array", error) from None


def _opened(path: Path) -> Any:
    from PIL import Image as Picture

    head = beginning(path)
    warnings.filterwarnings("ignore", category=Picture.DecompressionBombWarning)  # its error is enough
    try:
        picture = Picture.open(path)
        check_plausible(path, picture.width * picture.height, 2 * ANY)
        if picture.format == "PPM":
            _check_pnm(path, picture)
        return picture
    except Picture.DecompressionBombError:
        raise DataError(f"{path}: pictures of more than 178 million pixels are read from TIFF files only.") from None
    except DataError:
        raise
    except Exception as error:
        suffix = path.suffix.lower().lstrip(".")
        known = {"jpg": "JPEG", "jpeg": "JPEG"} | dict.fromkeys(_PNM, "PPM")
        name = "PNG" if head.startswith(b"\x89PNG") else known.get(suffix, suffix.upper())
        raise refusal(path, _EXPECTED.get(name, f"a {name} image"), error) from None


_SMALL = 1 << 24  # pixels for which there is memory
_PNM = ("pgm", "ppm", "pnm", "pbm")
_COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def _pixels(picture: Any) -> tuple[np.ndarray, list[str]]:
    """The decoded picture (C, rows, columns) as it is seen."""
    mode = picture.mode
    if mode in ("L", "I", "F", "RGB") or mode.startswith("I;16"):
        return _channels_first(np.asarray(picture)), []
    if mode == "1":
        return np.asarray(picture, np.uint8)[None], ["1-bit image, read as 0 and 1."]
    if mode in ("LA", "La"):
        return np.asarray(picture.convert("LA"))[None, ..., 0], [_ALPHA]
    rgb = _channels_first(np.asarray(picture.convert("RGBA"))[..., :3])
    return rgb, [_ALPHA] if mode in _WITH_ALPHA else []


def _label_pixels(picture: Any, steps: float) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """The values of an annotation (C, rows, columns) as they are stored, and the palette that they refer to."""
    mode = picture.mode
    if mode in ("L", "I") and steps != 1:
        return _unstretched(np.asarray(picture)[None], steps), None, []
    if mode != "P" and mode not in _WITH_ALPHA:
        array, notes = _pixels(picture)
        return array, None, notes
    rgba = _channels_first(np.asarray(picture.convert("RGBA")))
    colours, notes = unveiled(rgba[:3], rgba[3])
    if mode != "P" or picture.format == "GIF":  # in GIF everything has a palette, in the order of its writer
        return colours, None, notes
    indices, palette = np.asarray(picture), np.zeros((256, 3), np.uint8)
    palette[indices] = np.moveaxis(np.broadcast_to(colours, rgba[:3].shape), 0, -1)
    return indices[None], palette, []


def _unstretched(array: np.ndarray, steps: float) -> np.ndarray:
    return array if steps == 1 else np.rint(array / steps).astype(array.dtype)


def _check_pnm(path: Path, picture: Any) -> None:
    """Refuse what Pillow would cut from a PNM file: a second image, and more than 8 bits of a colour."""
    start, (columns, rows), steps = picture.tile[0].offset, picture.size, _steps(picture)
    if steps < 1:
        picture.close()
        raise DataError(f"{path}: PNM colours of more than 8 bits are not read; save it as PNG or TIFF.")
    with path.open("rb") as file:
        kind = file.read(2)
        row = (columns + 7) // 8 if kind == b"P4" else columns * {"RGB": 3, "I": 2}.get(picture.mode, 1)
        file.seek(start + rows * row)
        if kind in (b"P4", b"P5", b"P6") and re.match(rb"\s*P[1-7]\s", file.read(64)):
            picture.close()
            raise DataError(f"{path}: the file holds several images; save each as a file of its own.")


def _steps(picture: Any) -> float:
    """Grey levels that Pillow gives to one of the file: it stretches 2 and 4 bits of PNG, and the levels of PNM."""
    kind = picture.tile[0].args if picture.tile else ""
    if picture.format == "PPM" and picture.mode != "F" and isinstance(kind, tuple):
        return float((65535 if picture.mode == "I" else 255) / kind[-1])
    return {"L;2": 85.0, "L;4": 17.0}.get(kind, 1.0) if isinstance(kind, str) else 1.0


def _grid(picture: Any) -> Grid:
    return viewed(picture.size[::-1], _tag(picture))


def _tag(picture: Any) -> int:
    try:
        tag = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged EXIF part does no harm to the pixels
        return 1
    return tag if isinstance(tag, int) else 1


def _remarks(picture: Any) -> list[str]:
    notes = []
    if getattr(picture, "n_frames", 1) > 1:
        notes.append(f"The file holds {picture.n_frames} frames; the first is read.")
    return [*notes, TURNED] if _tag(picture) in range(2, 9) else notes


def _deep_colour(picture: Any) -> bool:
    """Whether this is a PNG of 16-bit colours, which Pillow would cut to 8 bits."""
    return bool(picture.format == "PNG" and picture.mode in ("RGB", "RGBA", "LA") and "16" in str(picture.tile))


def _deep_pixels(path: Path, as_labels: bool) -> tuple[np.ndarray, list[str]]:
    import imagecodecs

    try:
        array = _channels_first(imagecodecs.png_decode(path.read_bytes()))
    except Exception as error:
        raise refusal(path, "a PNG image", error) from None
    if len(array) not in (2, 4):
        return array, []
    return unveiled(array[:-1], array[-1]) if as_labels else (array[:-1], [_ALPHA])


def _channels_first(array: np.ndarray) -> np.ndarray:
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _fitting(path: Path, array: np.ndarray, grid: Grid) -> np.ndarray:
    """The array in the smallest type the picture format has, or an error that says what would fit."""
    name, channels = path.suffix.lower(), 1 if array.ndim == grid.dims else len(array)
    if grid.dims != 2 or channels not in (1, 3):
        raise DataError(
            f"{path}: a {name} file holds flat images of 1 or 3 channels; got {channels} of {grid}."
            " Choose .nii.gz or .tif."
        )
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        raise DataError(f"{path}: a {name} file holds whole numbers; write these to .tif, .nii.gz or .npy.")
    low, high = array.min(), array.max()
    deep = 65535 if name in (".png", ".pgm") and channels == 1 else 255
    if low < 0 or high > deep:
        raise DataError(f"{path}: a {name} file holds 0 to {deep}; got {low} to {high}. Choose .tif.")
    narrow = deep == 255 or (high <= 255 and array.dtype != np.uint16)
    return array.astype(np.uint8 if narrow else np.uint16)


def _flat_with_channels(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[-1] <= 4 and min(shape[:2]) > 8 * shape[-1]


def _arranged(array: np.ndarray) -> np.ndarray:
    if _flat_with_channels(array.shape):
        return np.moveaxis(array, -1, 0)
    return array if array.ndim == 4 else array[None]


def _npy_facts(path: Path, array: np.ndarray) -> Header:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: an image array holds real numbers; got {array.dtype}.")
    if array.ndim not in (2, 3, 4) or array.size == 0:
        raise DataError(f"{path}: an image array has 2 or 3 axes, and channels; got shape {array.shape}.")
    notes = []
    if _flat_with_channels(array.shape):
        notes.append(f"Shape {array.shape}: the last axis is taken as channels.")
    elif array.ndim == 4:
        notes.append(f"Shape {array.shape}: the first axis is taken as channels.")
    channels, *shape = _arranged(array).shape
    dtype = str(array.dtype.newbyteorder("="))
    return Header("NPY", Grid.plain(shape), channels, dtype, tuple(notes), placed=False)


_LARGEST = {".png": 65535, ".bmp": 255}
PICTURE = Format("PNG or BMP", (".png", ".bmp"), read, read_header, write, dims=(2,), largest=_LARGEST)
GIF = Format("GIF", (".gif",), read, read_header, lossless=False, dims=(2,))
PNM = Format(
    "PNM",
    tuple(f".{end}" for end in _PNM),
    read,
    read_header,
    write,
    written=(".pgm",),
    dims=(2,),
    largest={".pgm": 65535},
)
JPEG = Format("JPEG", (".jpeg", ".jpg"), read, read_header, write, lossless=False)
NPY = Format("NPY", (".npy",), read_npy, read_npy_header, write_npy, open=open_npy, in_parts=True)
