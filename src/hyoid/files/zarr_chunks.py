"""The chunks of zarr arrays: Blosc frames that are checked before they are decoded, and chunks that are missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from .sniff import check_plausible, damaged

_SPARSEST = 10_000
"""Chunks that a header may claim for each one that is there."""

_LONGEST_INDEX = 1 << 20  # bytes of a chunk that are no voxels


@cache
def checked() -> dict[str, str]:
    """Settings of zarr under which Blosc frames of another length than they say are refused; it reads beyond them."""
    import numcodecs
    from zarr.codecs import BloscCodec
    from zarr.registry import register_codec

    class Checked(numcodecs.Blosc):
        """Blosc of zarr format 2."""

        def decode(self, buf: Any, out: Any = None) -> Any:
            _check_frame(bytes(memoryview(buf)[:16]), memoryview(buf).nbytes)
            return super().decode(buf, out)

    class CheckedCodec(BloscCodec):
        """Blosc of zarr format 3."""

        async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
            data = chunk_bytes.as_numpy_array()
            _check_frame(data[:16].tobytes(), len(data))
            return await super()._decode_single(chunk_bytes, chunk_spec)

    numcodecs.register_codec(Checked, "blosc")
    register_codec("blosc", CheckedCodec, qualname="hyoid_checked_blosc")
    return {"codecs.blosc": "hyoid_checked_blosc"}


def _check_frame(head: bytes, length: int) -> None:
    said = int.from_bytes(head[12:16], "little")
    if length < 16 or said != length:
        raise ValueError(f"a chunk has {length} bytes, and says that it has {said if length >= 16 else 'more'}")


def check_of_claims(path: Path, array: Any) -> Callable[[bytes], None]:
    """Refuses a chunk, by its first bytes, that claims to become much longer than the voxels of one.

    Not all compressions say it, and nothing is known of the chunks in shards.
    """
    codec = None if array.shards or not array.compressors else array.compressors[-1]
    name = getattr(codec, "codec_id", None) or type(codec).__name__.removesuffix("Codec").lower()
    most = 2 * math.prod(array.chunks) * array.dtype.itemsize + _LONGEST_INDEX

    def check(head: bytes) -> None:
        said = {"blosc": head[4:8], "lz4": head[:4], "zstd": _said_by_zstd(head)}.get(name, b"")
        if (claimed := int.from_bytes(said, "little")) > most:
            raise damaged(path, f"a chunk claims {claimed:,} bytes, and {most:,} are possible")

    return check


def _said_by_zstd(head: bytes) -> bytes:
    """The length of the content in the header of a frame, as RFC 8878 has it."""
    flags = head[4] if len(head) > 4 and head[:4] == b"\x28\xb5\x2f\xfd" else 0
    start = 5 + (not flags & 32) + (0, 1, 2, 4)[flags & 3]
    return head[start : start + (0, 2, 4, 8)[flags >> 6]]


def note_on_missing(path: Path, array: Any) -> str:
    """A sentence on chunks that are not there; empty when all are.

    A writer may leave out chunks that hold the fill value alone. One that has written such a chunk leaves out none.

    Raises:
        DataError: When chunks are missing that had been written, or hardly any of very many is there.
    """
    step = array.shards or array.chunks
    places = [range(-(-n // m)) for n, m in zip(array.shape, step, strict=True)]
    total = math.prod(map(len, places))
    there = _sizes(Path(array.store.root) / array.path)
    if total > _SPARSEST * (1 + len(there)):
        raise damaged(path, f"its header claims {total:,} chunks, {len(there)} are there")
    plain = math.prod(step) * array.dtype.itemsize
    check_plausible(path, array.nbytes, 1000, len(there) * plain)
    if (most := max(there.values(), default=0)) > 2 * plain + _LONGEST_INDEX:
        raise damaged(path, f"a chunk has {most:,} bytes, and {plain:,} voxel bytes at the most")
    keys = (array.metadata.encode_chunk_key(place) for place in product(*places))
    first = next((key for key in keys if key not in there), None)
    if first is None:
        return ""
    missing = f"{total - len(there)} of {total} chunks are missing, such as {first}"
    if there and _is_empty(path, array, step, min(there, key=there.__getitem__)):
        raise damaged(path, f"{missing}, and its writer left out none")
    return (
        f"{missing}; they are read as {array.fill_value or 0}, which is right where a writer leaves out empty chunks."
    )


def is_there(array: Any, index: tuple[slice, ...]) -> bool:
    """Whether the chunk (or the shard that holds it) at the beginning of a box is a file."""
    step = array.shards or array.chunks
    place = tuple(part.start // n for part, n in zip(index, step, strict=True))
    return (Path(array.store.root) / array.path / array.metadata.encode_chunk_key(place)).exists()


def empty(array: Any, index: tuple[slice, ...]) -> np.ndarray:
    """A box of the fill value; zarr takes a hundred times longer for it."""
    shape = [len(range(*part.indices(n))) for part, n in zip(index, array.shape, strict=True)]
    return np.full(shape, array.fill_value or 0, array.dtype)


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each chunk in the folder of an array, by its key."""
    files = {str(file.relative_to(folder).as_posix()): file for file in folder.rglob("*")}
    return {
        key: file.stat().st_size
        for key, file in files.items()
        if re.fullmatch(r"(c[/.])?\d+([/.]\d+)*", key) and not file.is_dir()
    }


def _is_empty(path: Path, array: Any, step: tuple[int, ...], key: str) -> bool:
    """Whether a chunk holds the fill value alone."""
    place = map(int, re.findall(r"\d+", key))
    try:
        part = array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, step, strict=True))]
    except Exception as error:
        raise damaged(path, error) from None
    return np.array_equal(part, np.full_like(part, array.fill_value or 0), equal_nan=part.dtype.kind == "f")
