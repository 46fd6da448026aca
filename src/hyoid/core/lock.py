"""A file that one program holds at a time; the system takes it back from a program that ends, however it ends."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import HyoidError
from .progress import log

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # nobody can read what is locked, and the beginning of the file says who holds it

    def _hold(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _hold(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Inside the block no other program, nor another such block of this one, holds the file.

    The file stays, and tells who held it last: a file that is deleted can be held by two at once.

    Args:
        path: The file; made when it is missing.
        what: What others would disturb, such as "this run".

    Raises:
        HyoidError: When another holds it, naming its process and machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            _hold(file.fileno())
        except (BlockingIOError, PermissionError):
            file.seek(0)
            who = file.read() or "another program"
            raise HyoidError(f"{path.parent}: {who} is working on {what}; wait until it ends, or stop it.") from None
        except OSError as error:
            text = "%s: this file system keeps no locks (%s); let no other program work on %s."
            log.warning(text, path.parent, error.strerror, what)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield
