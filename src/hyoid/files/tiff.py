"""TIFF: plain, multi-page, ImageJ and OME, with the pixel size where the file knows it."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.labels import Labels
from .header import Format, Header, Stored
from .sniff import ANY, beginning, check_beside, check_plausible, damaged, describe, refusal
from .tiff_chain import fault_of
from .tiff_tiles import TILE, arranged, as_tiles, tiles_of
from .units import PIXELS, millimetres
from .views import ORIENTATION, unveiled

_SPACE = "ZYX"
_FAX = (2, 3, 4, 32771)
"""Compressions of black and white pages (CCITT); programs that write them mean what is seen, whichever is zero. In
other masks white as zero is chance: tifffile says so of every boolean array, ImageJ of masks that it shows dark."""


def read(path: Path, as_labels: bool = False) -> Stored:
    """The first image of the file as (C, rows, columns) or (C, planes, rows, columns)."""
    with _opened(path) as tiff:
        header, series = _facts(path, tiff)
        try:
            array = series.asarray()
        except Exception as error:
            raise _decoding_error(path, series.keyframe, error) from None
        page, axes, palette = series.keyframe, _axes(series), None
        if page.photometric == 3:
            palette = (np.asarray(page.colormap) >> 8).astype(np.uint8).T
            if not as_labels:
                array, axes, palette = palette[array], axes + "C", None
        if page.photometric == 0 and array.dtype.kind in "bu" and (not as_labels or page.compression in _FAX):
            array = ~array if array.dtype == bool else np.asarray((1 << page.bitspersample) - 1 - array, array.dtype)
    veiled = as_labels and page.dtype in (np.uint8, np.uint16) and page.samplesperpixel in (2, 4) and page.extrasamples
    array = arranged(array, axes, page.samplesperpixel if veiled else header.channels)
    if veiled:
        array, notes = unveiled(array[:-1], array[-1])
        header = replace(header, channels=len(array), notes=(*notes, *header.notes))
    return Stored(array.astype(np.uint8) if array.dtype == bool else array, header, palette)


def read_header(path: Path) -> Header:
    """Axes, channels, type and pixel size, without decoding."""
    with _opened(path) as tiff:
        return _facts(path, tiff)[0]


def open_tiles(path: Path) -> Boxes | None:
    """The first image of the file at its full resolution, decoded where it is read."""
    with _opened(path) as tiff:
        header, series = _facts(path, tiff)
        return tiles_of(path, series, _axes(series), header)


def write(path: Path, array: Filled, grid: Grid, like: Path | None = None, labels: Labels | None = None) -> None:
    """Write a deflated OME-TIFF with the pixel size, when it is known; in tiles what is larger than memory."""
    import tifffile

    big = math.prod(array.shape) * array.dtype.itemsize > 2**31
    axes = "C"[: len(array.shape) - grid.dims] + _SPACE[-grid.dims :]
    options: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "bigtiff": big, "ome": True}
    options["metadata"] = _described(grid, axes)
    if not isinstance(array, np.ndarray):
        options |= {"shape": array.shape, "dtype": array.dtype, "tile": (TILE, TILE)}
        tifffile.imwrite(path, as_tiles(array), **options, **(_resolution(like) if like else {}))
        return
    if array.dtype in (np.int64, np.uint64):
        raise DataError(f"{path}: OME-TIFF has no 64-bit whole numbers; use 32 bits.")
    tifffile.imwrite(path, array.astype(np.uint8) if array.dtype == bool else array, **options)


def _resolution(like: Path) -> dict[str, Any]:
    """The resolution tags of a TIFF; nothing for other files."""
    if not like.name.lower().endswith(_SUFFIXES):
        return {}
    with _opened(like) as tiff:
        tags = tiff.pages[0].tags
        if not all(name in tags for name in ("XResolution", "YResolution", "ResolutionUnit")):
            return {}
        unit = tags["ResolutionUnit"].value
        return {"resolution": (tags["XResolution"].value, tags["YResolution"].value), "resolutionunit": unit}


def _described(grid: Grid, axes: str) -> dict[str, Any]:
    described: dict[str, Any] = {"axes": axes}
    if grid.calibrated:
        for axis, spacing in zip(_SPACE[-grid.dims :], grid.spacing_mm, strict=True):
            described |= {f"PhysicalSize{axis}": spacing * 1000, f"PhysicalSize{axis}Unit": "µm"}
    return described


def _decoding_error(path: Path, page: Any, error: Exception) -> DataError:
    words = str(error).lower()
    if "imagecodecs" not in words and not ("compression" in words and re.search("not supp|unknown|not a known", words)):
        return refusal(path, "a TIFF image", error)
    name = getattr(page.compression, "name", f"number {page.compression}")
    return DataError(
        f"{path}: its TIFF compression ({name}) is not supported; save it without compression, or with LZW or deflate."
    )


def _opened(path: Path) -> Any:
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters is said by our own errors
    if describe(beginning(path)) == "a TIFF image" and (fault := fault_of(path)):
        raise damaged(path, fault)
    try:
        return tifffile.TiffFile(path)
    except Exception as error:
        raise refusal(path, "a TIFF image", error) from None


def _named_by(xml: str) -> set[str]:
    """The files that OME metadata name; none when they cannot be read, and are not used."""
    try:
        facts = [one.attrib for one in ElementTree.fromstring(xml).iter()] if xml else []
    except ElementTree.ParseError:
        return set()
    return {fact[key] for fact in facts for key in ("FileName", "MetadataFile") if key in fact}


def _axes(series: Any) -> str:
    """A letter of C, Z, Y, X for each axis of a series; other letters are axes of length one, or unknown."""
    kept = [a for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    unknown = [a for a in kept if a in "QIR"]
    planes = unknown[0] if len(unknown) == 1 and "Z" not in kept else ""
    names = {planes: "Z"} if "C" in kept else {planes: "Z", "S": "C"}
    return "".join(names.get(a, a) if n > 1 else a for a, n in zip(series.axes, series.shape, strict=True))


def _facts(path: Path, tiff: Any) -> tuple[Header, Any]:
    check_beside(path, _named_by(tiff.ome_metadata or ""), needed=False)
    try:
        series = tiff.series[0]
        page = series.keyframe
        sizes = {a: n for a, n in zip(_axes(series), series.shape, strict=True) if n > 1 or a in "YX"}
    except Exception as error:
        raise refusal(path, "a TIFF image", error) from None
    _check_axes(path, sizes, series)
    check_beside(path, {page.parent.filehandle.path for page in series.pages if hasattr(page, "parent")})
    plain = page.compression == 1 and all(page.databytecounts)
    check_plausible(path, series.size * page.bitspersample // 8 if plain else series.nbytes, 1 if plain else ANY)
    _check_planes(path, tiff, series)
    notes = []
    channels = sizes.get("C", 1)
    if page.photometric == 3:
        channels = 3
        notes.append("A palette image: colours for an image, indices for an annotation.")
    if page.photometric == 2 and channels == 4:
        channels = 3
        notes.append("The transparency channel is left out.")
    if page.photometric == 0:
        but = "" if page.compression in _FAX else "; those of an annotation are taken as stored"
        notes.append(f"Stored with white as zero; values are inverted so that bright is high{but}.")
    if getattr(page.tags.get(ORIENTATION), "value", 1) in range(2, 9):
        notes.append("The Orientation tag asks for a turned view; pixels are read, and masks taken, as stored.")
    if len(tiff.series) > 1:
        notes.append(f"The file holds {len(tiff.series)} images; the first is read.")
    if set("QIR") & set(series.axes) and "Z" in sizes:
        notes.append(f"{sizes['Z']} pages are taken as the planes of one volume.")
    shape = tuple(sizes[a] for a in _SPACE if a in sizes)
    spacing = _spacing(tiff, page, len(shape))
    named = _ome_facts(tiff.ome_metadata).get("PhysicalSizeXUnit") if tiff.is_ome and tiff.ome_metadata else ""
    unit = str(named or (tiff.imagej_metadata or {}).get("unit") or "")
    if spacing is None and unit and unit.lower() not in PIXELS:
        notes.append(f"Its pixel size is in {unit!r}, which is not known here, or incomplete; lengths are in pixels.")
    dtype = "uint8" if page.photometric == 3 or page.dtype == bool else str(np.dtype(page.dtype).newbyteorder("="))
    name = "OME-TIFF" if tiff.is_ome else "TIFF"
    return Header(name, Grid.plain(shape, spacing), channels, dtype, tuple(notes), placed=False), series


def _check_axes(path: Path, sizes: dict[str, int], series: Any) -> None:
    if "T" in sizes:
        raise DataError(f"{path}: the file holds {sizes['T']} points in time; save each as an image of its own.")
    if set(sizes) - set("CZYX") or not {"Y", "X"} <= set(sizes):
        raise DataError(f"{path}: expected axes among channel, Z, Y and X; the file has {series.axes} {series.shape}.")
    if series.keyframe.dtype is None or np.dtype(series.keyframe.dtype).kind not in "biuf":
        raise DataError(f"{path}: the file's numbers are of a kind that cannot be read.")
    if any(page is None for page in series.pages):
        raise DataError(f"{path}: some planes of this OME series are in other files that are missing; add them.")


def _check_planes(path: Path, tiff: Any, series: Any) -> None:
    """Refuse a file with fewer planes than its own description tells of."""
    flat = series.keyframe.imagelength * series.keyframe.imagewidth
    promised = int((tiff.imagej_metadata or {}).get("images", 1)) * series.keyframe.samplesperpixel
    if tiff.is_ome and tiff.ome_metadata:
        facts = _ome_facts(tiff.ome_metadata)
        promised = math.prod(int(facts.get(f"Size{axis}", 1)) for axis in "ZCT")
    if (found := math.prod(series.shape) // flat) < promised:
        raise damaged(path, f"its description tells of {promised} planes, {found} are there")


def _spacing(tiff: Any, page: Any, dims: int) -> tuple[float, ...] | None:
    """Pixel size in millimetres from OME or ImageJ; resolution tags alone are print settings and not believed."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_spacing(tiff.ome_metadata, dims)
    facts = tiff.imagej_metadata or {}
    scale = millimetres(str(facts.get("unit", "")))
    if scale is None:
        return None
    per_unit = [page.tags[name].value if name in page.tags else (0, 1) for name in ("YResolution", "XResolution")]
    flat = [scale * below / above if above else 0.0 for above, below in per_unit]
    spacing = [scale * float(facts.get("spacing", 0)), *flat][-dims:]
    return tuple(spacing) if all(s > 0 for s in spacing) else None


def _ome_facts(xml: str) -> dict[str, str]:
    """What the first image of an OME description says of its pixels."""
    element = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", xml)
    return dict(re.findall(r'(\w+)="([^"]*)"', element.group())) if element else {}


def _ome_spacing(xml: str, dims: int) -> tuple[float, ...] | None:
    facts = _ome_facts(xml)
    spacing = []
    for axis in _SPACE[-dims:]:
        size = facts.get(f"PhysicalSize{axis}")
        scale = millimetres(facts.get(f"PhysicalSize{axis}Unit", "µm"))
        spacing.append(float(size) * scale if size and scale else 0.0)
    return tuple(spacing) if all(s > 0 for s in spacing) else None


_SUFFIXES = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
FORMAT = Format("TIFF", _SUFFIXES, read, read_header, write, open=open_tiles, in_parts=True)
