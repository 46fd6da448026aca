"""A file that one program holds at a time; the system takes it back from a program that ends, however it ends."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import HyoidError
from .files import append_to, remove_leftovers
from .progress import log

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # nobody can read what is locked, and the beginning of the file says who holds it

    def _hold(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _share(file: int) -> None:
        raise OSError("Windows has no locks that several programs hold")
else:
    import fcntl

    def _hold(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _share(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_SH)


@contextmanager
def alone(path: Path, what: str) -> Iterator[bool]:
    """Inside the block no other program, nor another such block of this one, holds the file.

    The file stays, and tells who held it last: a file that is deleted can be held by two at once. The block is given
    whether the file system keeps locks.

    Args:
        path: The file; made when it is missing.
        what: What others would disturb, such as "this run".

    Raises:
        HyoidError: When another holds it, naming its process and machine.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = append_to(path, "a+")
    except OSError as error:
        raise HyoidError(f"{path.parent}: nothing can be written here ({error.strerror}).") from None
    with opened as file:
        sure = True
        try:
            _hold(file.fileno())
        except (BlockingIOError, PermissionError):
            file.seek(0)
            who = file.read() or "another program"
            raise HyoidError(f"{path.parent}: {who} is working on {what}; wait until it ends, or stop it.") from None
        except OSError as error:
            text = "%s: this file system keeps no locks (%s); let no other program work on %s."
            log.warning(text, path.parent, error.strerror, what)
            sure = False
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield sure


@contextmanager
def sharing(path: Path, folders: Iterable[Path]) -> Iterator[None]:
    """Inside the block any number of programs share a file, and write into folders; the first cleans these.

    What killed programs left half-written is removed; nothing in folders that lead out of that of the file, nor where
    the file system, or Windows, shares no locks.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(append_to(path))
            with suppress(BlockingIOError):
                _hold(file.fileno())
                for folder in folders:
                    if folder.resolve().is_relative_to(path.parent.resolve()):
                        remove_leftovers(folder)
            _share(file.fileno())
        yield
