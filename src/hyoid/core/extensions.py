"""Parts from somebody's own repository: Python files that register nets, losses, metrics and the like.

Such a file runs when the user names it, which approves just these bytes from then on, or has approved it with `hyoid
trust`. What is approved lies in the user's configuration folder, a small file for each: its name is the SHA-256.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha1, sha256
from pathlib import Path

from .errors import ConfigError, HyoidError
from .files import write_text
from .progress import log

PREFIX = "hyoid_extension_"

_sources: dict[str, bytes] = {}


def loaded_extensions() -> dict[str, bytes]:
    """The files that were run so far and what was run, for another process to run it too."""
    return dict(_sources)


def load_extensions(paths: Sequence[str], named_by: str | Path | None = None, skip: bool = False) -> None:
    """Run each of these Python files once, so that what they register can be named in settings.

    Args:
        paths: The files.
        named_by: The file of a run that names them, and does not approve them; None: the user does.
        skip: Whether what is not approved is left out, with a notice.

    Raises:
        ConfigError: When a file is not there, is not approved, or fails.
    """
    for text in paths:
        path = str(Path(text).expanduser().resolve())
        if path in _sources:
            continue
        try:
            source = read_extension(path)
            if named_by is not None and not _mark_of(source).is_file():
                raise ConfigError(
                    f"{named_by}: it would run the Python file {path}, which you have not approved as it is now; read "
                    f"it, and approve it with `hyoid trust {path}`."
                )
        except ConfigError as error:
            if not skip:
                raise
            log.warning("%s This is done without it.", error)
            continue
        if named_by is None:
            with suppress(HyoidError):  # without such a folder it has to be named each time
                approve(path, source)
        run_extension(path, source)


def read_extension(path: str | Path) -> bytes:
    """The bytes of a Python file, which are the ones that are approved and run."""
    if Path(path).suffix != ".py" or not Path(path).is_file():
        raise ConfigError(f"extensions: {path} is not a Python file; give the path of a .py file that registers parts.")
    return Path(path).read_bytes()


def run_extension(path: str, source: bytes) -> None:
    """Run what was read from a Python file as a module of its own."""
    name = f"{PREFIX}{Path(path).stem}_{sha1(path.encode(errors='surrogateescape')).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        exec(compile(source, path, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"extensions: {path} could not be loaded: {type(error).__name__}: {error}") from error
    _sources[path] = source


def approve(path: str | Path, source: bytes) -> Path:
    """Remember that the user lets these bytes of a file run."""
    mark = _mark_of(source)
    if not mark.is_file():
        write_text(mark, f"{path}\n")
    return mark


def _mark_of(source: bytes) -> Path:
    usual = {"win32": os.environ.get("APPDATA"), "darwin": "~/Library/Application Support"}.get(sys.platform)
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or usual or "~/.config").expanduser()
    return folder / "hyoid" / "trusted" / sha256(source).hexdigest()
