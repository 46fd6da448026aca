"""Writing files: whole or not at all, inside the folder they belong to, readable for whom the umask allows."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import TextIO, cast

from .errors import DataError, HyoidError

_NOTHING_LEFT = 1 << 20
"""Free bytes of a disk below which whatever failed to be written is put down to it."""

_UMASK = os.umask(0o022)
os.umask(_UMASK)


def name_problem(name: str) -> str:
    """Why a file that is named after a case or structure could lie outside its folder; empty when it cannot."""
    parts = {one.strip() for one in re.split(r"[/\\]", name)}
    anchored = PureWindowsPath(name).root
    if not anchored and not parts & {"", ".", ".."} and all(ord(letter) >= 32 for letter in name):
        return ""
    return (
        f"{name!r} cannot name a file in a folder; expected a name that is not empty or absolute, without parts that "
        "are empty, '.' or '..', and without control characters"
    )


def check_name(name: str, where: str = "A case") -> str:
    """The name of a case, unless a file that is named after it could lie outside its folder.

    Raises:
        DataError: When it is empty or absolute, a part of it is empty, `.` or `..`, or a control character is in it.
    """
    if problem := name_problem(name):
        raise DataError(f"{where}: {problem}.")
    return name


def readable(name: str) -> str:
    """A file name as text: where its bytes are not UTF-8 they are read as Windows-1252, which includes Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("cp1252", "replace")
    return name


def inside(folder: str | Path, name: str | Path) -> Path:
    """The path of this name in a folder.

    Raises:
        HyoidError: When it leads out of the folder, by `..` or by a link.
    """
    path = Path(folder) / name
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise HyoidError(f"{path}: this leads out of {folder}, to {path.resolve()}; hyoid writes inside only.")
    return path


def regular(path: Path) -> Path:
    """The path, unless a pipe, a socket or a device lies there, which may keep its reader waiting for ever.

    Raises:
        OSError: When it does.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "this is no regular file; move it away", str(path))
    return path


def append_to(path: Path, mode: str = "a") -> TextIO:
    """A text file to add to, which is made when it is missing; a link is refused, since it may lead anywhere.

    Raises:
        OSError: When it cannot be opened.
    """

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return cast(
        TextIO, open(regular(path), mode, encoding="utf-8", errors="backslashreplace", newline="", opener=opened)
    )


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8; bytes of file names that are not UTF-8 become escapes, which JSON and YAML read back."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


_TEMPORARY = re.compile(r"\.hyoid-[0-9a-f]{16}\..+")
"""Names that nobody else gives, since what bears one may be deleted."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends well.

    The temporary name keeps the suffixes of `path`, since writers choose the format by them. Files and
    folders both work; on an error the temporary is removed and an earlier `path` stays as it was.

    Raises:
        HyoidError: When the folder cannot be written or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".hyoid-{secrets.token_hex(8)}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir():
            _replace_folder(temporary, target)
        else:
            if temporary.stat().st_mode & 0o777 == 0o600:  # libraries that write by way of `tempfile` leave it so
                temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(target)
    except Exception as error:
        full = "" if isinstance(error, HyoidError) else _full(target.parent)
        if full or isinstance(error, OSError):
            raise HyoidError(
                f"{target}: could not be written ({full or getattr(error, 'strerror', '') or error})."
            ) from error
        raise
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as that can be done."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what `atomic_path` left in a folder when its program was killed; for callers who know that none writes."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            remove(path)


def _full(folder: Path) -> str:
    """That the disk is full, where it is; libraries tell it in many words, or as damage."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _NOTHING_LEFT:
            return "the disk is full"
    return ""


def _replace_folder(temporary: Path, target: Path) -> None:
    """Rename a folder over another one, which steps aside whole, so that no moment shows half of it."""
    former = temporary.with_name(f"{temporary.name}.former")
    for attempts_left in reversed(range(100)):
        with suppress(FileNotFoundError):
            target.replace(former)
        shutil.rmtree(former, ignore_errors=True)
        try:
            temporary.replace(target)
            return
        except OSError as error:
            # Another process may have put its own folder there in between.
            if not attempts_left or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
