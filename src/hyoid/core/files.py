"""Writing files so that nothing half-written is ever left under a final name."""

from __future__ import annotations

import errno
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import HyoidError

_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\..+")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends well.

    The temporary name keeps the suffixes of `path`, since writers choose the format by them. Files and
    folders both work; on an error the temporary is removed and an earlier `path` stays as it was.

    Raises:
        HyoidError: When the folder cannot be written or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir():
            _replace_folder(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        raise HyoidError(f"{target}: could not be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what `atomic_path` left in a folder when its program was killed; for callers who know that none writes."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink(missing_ok=True)


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
