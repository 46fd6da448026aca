"""Headers of NRRD and MetaImage files, read before their library does, which opens whatever they name."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import DataError
from .sniff import check_beside, check_plausible, damaged
from .units import PIXELS, millimetres

_LONGEST_HEADER = 1 << 20
_MOST_FILES = 100_000

_TIMES = {"s", "sec", "second", "seconds", "ms", "msec", "us", "usec", "min", "hz"}
"""Units of axes that are no lengths."""

_META = (".mha", ".mhd")
_FIELD = re.compile(r"[ \t]*([^=:\0- ][^=:\0-\x1f]*?)[ \t]*[=:][=: \t]*([^\0]*?)\s*")
"""A line of a MetaImage header; what its library reads differently does not match."""

_PER_AXIS = dict.fromkeys(("DimSize", "ElementSpacing", "ElementSize", "Offset", "Position", "Origin"), 1)
_PER_AXIS |= dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), 2)
"""Fields of a MetaImage that hold a number for each axis, or for each pair of axes."""

_PLAIN = re.compile(r"[^\0- ~][^\0-\x1f\x7f]{0,200}(?<=[!-~])")
"""Names of data files that the library of MetaImage takes as they stand."""


def text_of(path: Path) -> str:
    """The lines of a header, before the voxels."""
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    if path.suffix.lower() in _META:
        return "\n".join(f"{key} = {value}" for key, value in _meta_fields(path, head)[0].items())
    return re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0].decode(errors="surrogateescape").replace("\r", "")


def fields_of(path: Path) -> dict[str, str]:
    """The fields of a header by their names in lower case."""
    found = re.finditer(r"^(\w[\w ]*?) *[:=](.*)$", text_of(path), re.MULTILINE)
    return {match[1].lower(): match[2] for match in found}


def unit_of(path: Path) -> float | None:
    """Millimetres in the unit of a header; 1 where none is named, 0 for pixels, None where it is unknown or not one.

    Raises:
        DataError: When its axes have different lengths for units.
    """
    found = re.search(r"^(?:(?:space )?units:|DistanceUnits *=) *(.*)$", text_of(path), re.MULTILINE | re.IGNORECASE)
    words = {word.strip().lower() for word in re.split(r'[" ]+', found[1])} - {"", "???"} - _TIMES if found else set()
    scales = {0.0 if word in PIXELS else millimetres(word) for word in words}
    if len(scales) > 1 and scales - {0.0, 1.0, None}:
        raise DataError(f"{path}: its axes are in different units ({', '.join(sorted(words))}); write all in one unit.")
    return 1.0 if not scales else scales.pop() if len(scales) == 1 else None


def check_axes(path: Path) -> None:
    """Refuse a number of axes or channels for which the library has no room; it would end the process."""
    numbers = re.findall(r"^(NDims|ElementNumberOfChannels|dimension)[ \t]*[=:][ \t]*(\S*)", text_of(path), re.M | re.I)
    for name, number in numbers:
        if not re.fullmatch(r"[1-9]\d{0,3}" if name[:1] in "eE" else r"[1-9]", number):
            raise damaged(path, f"{name} is {number[:20]}")


def data_files(path: Path) -> list[Path]:
    """The files that hold the voxels: that of the header itself, or those that it names.

    Raises:
        DataError: When one of them is missing, in another folder, or no regular file, or the header is not understood.
    """
    names = _named_by_meta(path) if path.suffix.lower() in _META else _named_by_nrrd(path)
    check_beside(path, names)
    return [path.parent / name for name in names] or [path]


def check_length(path: Path, num_bytes: int) -> None:
    """Refuse a MetaImage whose voxels are stored as they are and take more bytes than there are.

    Raises:
        DataError: With both numbers.
    """
    if path.suffix.lower() in _META:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEADER)
        fields, rest = _meta_fields(path, head)
        if fields.get("BinaryData", "True")[:1] in "Tt1" and fields.get("CompressedData", "False")[:1] not in "Tt1":
            before = len(head) - len("\n".join(rest).encode(errors="surrogateescape"))
            files = data_files(path)
            size = sum(file.stat().st_size for file in files) - (before if files == [path] else 0)
            check_plausible(path, num_bytes, 1, size)


def inflated(path: Path, num_bytes: int) -> tuple[bytes, bool] | None:
    """The voxels of a compressed MetaImage, and whether their bytes run from high to low; None for other files.

    Its library takes what a damaged stream gives for voxels.

    Raises:
        DataError: When the stream is damaged, or does not hold so many bytes.
    """
    if path.suffix.lower() not in _META:
        return None
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    fields, rest = _meta_fields(path, head)
    if not all(fields.get(key, usual)[:1] in "Tt1" for key, usual in (("BinaryData", "T"), ("CompressedData", "F"))):
        return None
    (file_of_voxels, *more) = data_files(path)
    if more or fields.get("HeaderSize", "0") != "0":
        raise DataError(f"{path}: compressed voxels in several files or behind a header are not read; save one .mha.")
    data = file_of_voxels.read_bytes()
    if file_of_voxels == path:
        data = data[len(head) - len("\n".join(rest).encode(errors="surrogateescape")) :]
    stream = zlib.decompressobj(wbits=47)  # zlib or gzip
    try:
        voxels = stream.decompress(data, num_bytes + 1)
    except zlib.error as error:
        raise damaged(path, str(error)) from None
    if len(voxels) != num_bytes or not stream.eof:
        raise damaged(path, f"its voxels take {num_bytes:,} bytes, and its stream gives {len(voxels):,}")
    high = any(fields.get(f"{key}ByteOrderMSB", "F")[:1] in "Tt1" for key in ("BinaryData", "Element"))
    return voxels, high


def _named_by_nrrd(path: Path) -> list[str]:
    text = text_of(path)
    found = re.findall(r"^[ \t]*data ?file:[ \t]*(\S.*?)[ \t]*$", text, re.M | re.I)
    if len(found) > 1:
        raise damaged(path, "it names its data file twice")
    if not found:
        return []
    (value,) = found
    if value.split()[0].upper() == "LIST":
        lines = re.split(r"^[ \t]*data ?file:.*$", text, maxsplit=1, flags=re.M | re.I)[1].splitlines()
        return [line.strip() for line in lines if line.strip()]
    return _formatted(path, value.split()) if "%" in value else [value]


def _named_by_meta(path: Path) -> list[str]:
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    fields, rest = _meta_fields(path, head)
    value, sizes = fields["ElementDataFile"], [int(float(size)) for size in fields["DimSize"].split()]
    if value in ("LOCAL", "Local", "local"):
        return []
    if value.startswith("LIST"):
        if not re.fullmatch(r"LIST( \dD?)?", value) or len(head) == _LONGEST_HEADER:
            raise damaged(path, f"ElementDataFile is {value[:40]}")
        names = [line.rstrip() for line in rest if line.strip()]
        axes = int(value[5:6] or 0)
        needed = math.prod(sizes[axes if 0 < axes <= len(sizes) else len(sizes) - 1 :])
    elif "%" in value:
        if not re.fullmatch(r"\S{1,79}( \d{1,9}){3}", value):
            raise DataError(f"{path}: its pattern of data files needs a first number, a last one and a step.")
        names, needed = _formatted(path, value.split()), sizes[-1]
    else:
        names, needed = [value], 1
    if len(names) < needed:
        raise damaged(path, f"it names {len(names)} data files of {needed}")
    for name in names:
        if not _PLAIN.fullmatch(name) or (os.sep == "/" and "\\" in path.name):
            raise DataError(f"{path}: {name[:60]!r} is no plain name of a data file; rename it.")
    return names


def _meta_fields(path: Path, head: bytes) -> tuple[dict[str, str], list[str]]:
    """The fields of a MetaImage up to the one that ends them, and the lines that follow."""
    fields: dict[str, str] = {}
    lines = iter(head.decode(errors="surrogateescape").split("\n"))
    for line in lines:
        if not line.strip(" \t\r"):
            continue
        if (match := _FIELD.fullmatch(line)) is None:
            raise damaged(path, f"its header has the line {line[:40]!r}")
        fields[match[1]] = match[2]
        if match[1] == "ElementDataFile":
            break
    for name in ("NDims", "DimSize", "ElementType", "ElementDataFile"):
        if not fields.get(name):
            raise damaged(path, f"its header has no {name}")
    axes = int(fields["NDims"]) if re.fullmatch(r"[1-9]", fields["NDims"]) else 0
    for name in _PER_AXIS.keys() & fields.keys():
        try:
            numbers = [float(word) for word in fields[name].split()]
        except ValueError:
            numbers = []
        if axes and (len(numbers) < axes ** _PER_AXIS[name] or not all(map(math.isfinite, numbers))):
            raise damaged(path, f"{name} is {fields[name][:40]}")
    return fields, list(lines)


def _formatted(path: Path, words: Sequence[str]) -> list[str]:
    """The names meant by a pattern such as `slice%03d.raw 1 20 1`."""
    try:
        first, last, step = [int(word) for word in words[1:4]]
    except ValueError:
        raise DataError(f"{path}: its pattern of data files needs a first number, a last one and a step.") from None
    if not re.fullmatch(r"[^%]*%0?\d{0,2}[du][^%]*", words[0]):
        raise DataError(f"{path}: {words[0]!r} is no pattern of data files such as slice%03d.raw.")
    if step < 1 or not first <= last < first + _MOST_FILES:
        raise DataError(f"{path}: its pattern of data files counts from {first} to {last} in steps of {step}.")
    return [words[0] % number for number in range(first, last + 1, step)]
