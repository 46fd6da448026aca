"""The chain of pages of a TIFF, followed before pixels are read: no page twice, none beyond the end of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 13: 4, 16: 8, 18: 8}  # bytes of a number by its type
_OFFSETS, _COUNTS, _BELOW = (273, 324), (279, 325), 330
_NEEDED = (258, 270, 320, *_OFFSETS, *_COUNTS, _BELOW)
"""Tags without which pixels are not what they are: bits, description, palette, strips or tiles, pages below a page."""


@dataclass(frozen=True)
class _Layout:
    """How numbers lie in the headers of a file."""

    order: str  # "<" or ">"
    big: bool

    @property
    def offset(self) -> np.dtype:
        return np.dtype(f"{self.order}u{8 if self.big else 4}")

    @property
    def entry(self) -> np.dtype:
        return np.dtype([("tag", f"{self.order}u2"), ("kind", f"{self.order}u2"), ("count", self.offset),
                         ("value", f"V{self.offset.itemsize}")])  # fmt: skip


def fault_of(path: Path) -> str:
    """What is wrong with the pages of a TIFF; empty when each lies in the file, once, with all its pixels.

    The pages below other pages (SubIFDs) are followed as well. Takes time in proportion to the number of pages.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        layout = _Layout("<" if head[:1] == b"I" else ">", 43 in head[2:4])
        begin = np.frombuffer(head[8:16] if layout.big else head[4:8], layout.offset)
        if not len(begin):
            return "its header ends too early"
        waiting, seen = [int(begin[0])], set[int]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                return f"its chain of pages comes back to the page at byte {place}"
            seen.add(place)
            try:
                waiting += _following(file, place, layout, size)
            except ValueError as error:
                return f"{error}, after {len(seen) - 1} whole pages"
    return ""


def _following(file: BinaryIO, place: int, layout: _Layout, size: int) -> list[int]:
    """The places of the pages that follow the one at a place, or lie below it.

    Raises:
        ValueError: When the page, or something that it needs, lies beyond the end of the file.
    """
    short = np.dtype(f"{layout.order}u{8 if layout.big else 2}")
    count = int(_numbers(file, place, short, 1, size)[0])
    start = place + short.itemsize
    entries = _numbers(file, start, layout.entry, count, size)
    tags = {int(entry["tag"]): _values(file, entry, layout, size) for entry in entries if entry["tag"] in _NEEDED}
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        ends = tags.get(offsets, np.zeros(0)).astype(float)
        if len(ends) == len(tags.get(counts, ())):
            ends = ends + tags.get(counts, 0)
        if len(ends) and ends.max() > size:
            raise ValueError("its pixels lie beyond the end of the file")
    following = _numbers(file, start + entries.nbytes, layout.offset, 1, size)
    return [int(one) for one in (*tags.get(_BELOW, ()), *following) if one]


def _values(file: BinaryIO, entry: np.void, layout: _Layout, size: int) -> np.ndarray:
    kind = np.dtype(f"{layout.order}u{_SIZES.get(int(entry['kind']), 1)}")
    inside = np.frombuffer(entry["value"].tobytes(), kind)
    if int(entry["count"]) <= len(inside):
        return inside[: int(entry["count"])]
    place = int(np.frombuffer(entry["value"].tobytes(), layout.offset)[0])
    return _numbers(file, place, kind, int(entry["count"]), size)


def _numbers(file: BinaryIO, place: int, kind: np.dtype, count: int, size: int) -> np.ndarray:
    if place + count * kind.itemsize > size:
        raise ValueError("the next page, or a part of it, lies beyond the end of the file")
    file.seek(place)
    return np.frombuffer(file.read(count * kind.itemsize), kind)
