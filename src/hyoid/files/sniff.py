"""What a file really is, said in a sentence when it cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.errors import DataError

DEFLATE = 1032
"""How many times smaller deflate makes data at the most, as its format sets."""

ANY = 5000
"""The same of other compressions, as images that show anything reach it."""

_FEW = 1 << 28  # bytes that do no harm, whatever the file says

_BEGINNINGS: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; the image itself was never downloaded (run `git lfs pull`)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"BM", "a BMP image"),
    (b"GIF8", "a GIF image"),
    (tuple(b"P%d%c" % (kind, gap) for kind in range(1, 7) for gap in b" \t\r\n"), "a PNM image"),
    ((b"II*\0", b"MM\0*", b"II+\0"), "a TIFF image"),
    (b"NRRD", "an NRRD image"),
    ((b"ObjectType", b"NDims"), "a MetaImage"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89HDF", "an HDF5 file"),
    ((b"<!DOCTYPE", b"<html"), "a web page, perhaps a failed download"),
)


def check_regular(path: Path) -> None:
    """Refuse what is no file of bytes: a pipe or a device may keep its reader waiting for ever.

    Raises:
        DataError: When there is no such file, or it is of another kind.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file.")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe, a socket or a device"
        raise DataError(f"{path}: expected a file, but this is {kind}.")


def check_beside(header: Path, names: Iterable[str], needed: bool = True) -> None:
    """Refuse files that a header names unless they lie in its folder or below, also once links are followed.

    Raises:
        DataError: When one lies elsewhere, is no regular file, or is missing though `needed`.
    """
    folder = header.parent.resolve()
    for name in names:
        file = (header.parent / name).resolve()
        if not file.is_relative_to(folder):
            raise DataError(f"{header}: it names {name}, which leads out of its folder; put both into one folder.")
        if needed and not file.exists():
            raise DataError(f"{header}: its voxels are in {name}, which is missing; keep both files together.")
        if file.exists():
            check_regular(file)


def beginning(path: Path) -> bytes:
    """The first bytes of a file, enough to recognise it.

    Raises:
        DataError: When there is no such file, it is empty, or it is only a Git LFS pointer.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(600)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}).") from None
    if not head:
        raise DataError(f"{path}: the file is empty (0 bytes). Copy or download it again.")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{path}: this is {describe(head)}.")
    return head


def describe(head: bytes) -> str:
    """What these first bytes look like, such as "a PNG image" or "text"."""
    for magic, words in _BEGINNINGS:
        if head.startswith(magic):
            return words
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return "a NIfTI image"
    sample = head[:200]
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in sample):
        return f"text ({sample[:24].decode()!r})"
    return "data of an unknown kind"


def check_plausible(path: Path, num_bytes: int, packed: int = ANY, size: int | None = None) -> None:
    """Refuse a header that claims more voxels than its file can hold, before memory is asked for.

    Args:
        path: The file.
        num_bytes: What the voxels take in memory.
        packed: How many times smaller they are in the file, at the most; 1 when they are not compressed.
        size: Bytes of the file; of other ones when they hold the voxels.

    Raises:
        DataError: When even the best compression could not have saved the rest.
    """
    size = path.stat().st_size if size is None else size
    if num_bytes > packed * size and (packed == 1 or num_bytes > _FEW):
        raise damaged(path, f"its header claims {num_bytes:,} bytes of voxels, the file has {size:,}")


def damaged(path: Path, reason: object) -> DataError:
    """The error for a file of the right kind that cannot be read; lack of memory is no fault of the file."""
    if isinstance(reason, MemoryError) or "allocate memory" in str(reason):
        return DataError(f"{path}: there is not enough memory to read it. Close other programs, or crop the image.")
    return DataError(f"{path}: the file is damaged or cut short ({_words(path, reason)}). Copy or download it again.")


def refusal(path: Path, expected: str, reason: object) -> DataError:
    """The error for a file that was taken for `expected`, such as "a PNG image", and that its reader could not read."""
    found = describe(beginning(path)) if path.is_file() else "a folder"
    if found == expected or isinstance(reason, MemoryError):
        return damaged(path, reason)
    if found == "data of an unknown kind":
        return DataError(f"{path}: expected {expected}, but it cannot be read as one ({_words(path, reason)}).")
    return DataError(f"{path}: expected {expected}, but the file is {found}.")


def _words(path: Path, reason: object) -> str:
    """What a library said, on one line and without the path."""
    return " ".join(str(reason).replace(str(path), path.name).split()).rstrip(".")[:200]
