"""TIFF tile by tile: decoding those that a box touches, and giving an answer as tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import Boxes, Filled, Index
from .blocks import Blocks, Mapped, as_read
from .header import Header
from .sniff import damaged

TILE = 512
"""Pixels of a side of the tiles that are written."""

_BLACK_IS_ZERO = (1, 2, 6)  # grey, RGB, YCbCr; palettes and inverted grey need the whole page


def tiles_of(path: Path, series: Any, axes: str, header: Header) -> Boxes | None:
    """The image of a series, decoded tile by tile (or strip by strip); None when its pages are not alike and plain.

    `axes` has a letter of C, Z, Y, X for each axis of the series; other letters are axes of length one.
    """
    page = series.keyframe
    inner = len(page.shape)
    plain = page.photometric in _BLACK_IS_ZERO and page.dtype is not None and page.imagedepth == 1
    if not plain or series.axes[-inner:] != page.axes or series.shape[-inner:] != page.shape:
        return None
    shape = (header.channels, *header.shape)
    dtype = as_read(header.dtype)
    if series.dataoffset is not None and page.dtype != bool:
        kind = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        turned = lambda array: arranged(array, axes, header.channels)  # noqa: E731
        return Mapped(path, series.dataoffset, series.shape, kind, "C", turned, lambda box: box.astype(dtype))
    leading = series.shape[: len(series.shape) - inner]
    pages = list(series.pages)
    if len(pages) != int(np.prod(leading)) or any(one is None or one.parent is not page.parent for one in pages):
        return None
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    if min(tile) < 1:
        raise damaged(path, f"its pixels come in pieces of {tile}")
    flat = len(header.shape) == 2
    decode = _Decode(
        path, partial(page.decode, jpegheader=page.jpegheader), pages, leading, axes[: len(leading)], tile, dtype, flat
    )
    together = page.samplesperpixel if page.planarconfig == 1 else 1
    return Blocks(shape, dtype, (together, *tile) if flat else (together, 1, *tile), decode)


def arranged(array: np.ndarray, axes: str, channels: int) -> np.ndarray:
    """The view (C, *S) of an array with these axes."""
    named = [i for i, (a, n) in enumerate(zip(axes, array.shape, strict=True)) if n > 1 or a in "YX"]
    letters = "".join(axes[i] for i in named)
    array = array.reshape([array.shape[i] for i in named])
    array = array.transpose([letters.index(a) for a in "CZYX" if a in letters])
    return (array if "C" in letters else array[None])[:channels]


@dataclass(frozen=True)
class _Decode:
    """Gives the tile at a place (channel, [plane,] row, column) of the lattice of tiles."""

    path: Path
    decode: Callable[..., Any]  # asked for while the file is open
    pages: list[Any]  # in the order of the leading axes
    leading: tuple[int, ...]
    letters: str
    tile: tuple[int, int]
    dtype: np.dtype
    flat: bool  # whether places have no plane

    def __call__(self, place: tuple[int, ...]) -> np.ndarray:
        channel, row, column = place[0], place[-2], place[-1]
        where = {"C": channel, "Z": 0 if self.flat else place[1]}
        index = [where.get(a, 0) if n > 1 else 0 for a, n in zip(self.letters, self.leading, strict=True)]
        page = self.pages[int(np.ravel_multi_index(index, self.leading)) if index else 0]
        key = page.keyframe
        down, across = -(-key.imagelength // self.tile[0]), -(-key.imagewidth // self.tile[1])
        sample = channel if key.planarconfig == 2 and key.samplesperpixel > 1 else 0
        number = (sample * down + row) * across + column
        try:
            size = page.databytecounts[number]
            with self.path.open("rb") as file:
                file.seek(page.dataoffsets[number])
                data = file.read(size) if size else None
            tile, _, valid = self.decode(data, number, jpegtables=page.jpegtables)
        except Exception as error:
            raise damaged(self.path, error) from error
        if tile is None:  # a sparse file leaves out empty tiles
            tile = np.full(valid, key.nodata, self.dtype)
        turned = np.moveaxis(tile[0], -1, 0).astype(self.dtype, copy=False)
        return np.ascontiguousarray(turned if self.flat else turned[:, None])


def as_tiles(labels: Filled) -> Iterator[np.ndarray]:
    """The tiles of labels (*S) in the order in which a TIFF holds them."""
    *planes, rows, columns = labels.shape
    for place in product(*map(range, planes), range(0, rows, TILE), range(0, columns, TILE)):
        *plane, row, column = place
        index: Index = (*(slice(z, z + 1) for z in plane), slice(row, row + TILE), slice(column, column + TILE))
        tile = labels[index]
        yield tile.reshape(tile.shape[-2:])
