"""What a file really is, said in a sentence when it cannot be read."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; the image itself was never downloaded (run `git lfs pull`)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"BM", "a BMP image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"II+\0", "a TIFF image"),
    (b"NRRD", "an NRRD image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"<!DOCTYPE", "a web page, perhaps a failed download"),
    (b"<html", "a web page, perhaps a failed download"),
)


def beginning(path: Path) -> bytes:
    """The first bytes of a file, enough to recognise it.

    Raises:
        DataError: When there is no such file, it is empty, or it is only a Git LFS pointer.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file.")
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


def refusal(path: Path, expected: str, reason: object) -> DataError:
    """The error for a file that its reader could not read.

    Args:
        path: The file.
        expected: What it was taken for, such as "a PNG image".
        reason: What the reader said.
    """
    found = describe(beginning(path)) if path.is_file() else "a folder"
    words = " ".join(str(reason).replace(str(path), path.name).split()).rstrip(".")[:200]
    if found == expected:
        return DataError(f"{path}: the file is damaged or cut short ({words}). Copy or download it again.")
    if found == "data of an unknown kind":
        return DataError(f"{path}: expected {expected}, but it cannot be read as one ({words}).")
    return DataError(f"{path}: expected {expected}, but the file is {found}.")
