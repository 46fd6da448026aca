"""Sources: the files that a case is made of, and whether they are still those that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .digest import checksum_of
from .errors import DataError

Stamps = Mapping[str, Sequence[Any]]
"""For each file of a case its size, time of change (ns) and checksum."""


def files_of(case: Any) -> list[Path]:
    """All files of a case with `images`, `label`, `target` and `other` on disk; those in a folder in order."""
    parts = (case.images, case.label, case.target, case.other)
    given = (one if isinstance(one, tuple) else (one,) for one in parts if one)
    paths = [Path(path) for group in given for path in group]
    return [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]


def stats_of(case: Any) -> list[tuple[str, int, int]]:
    """Place, size and time of change of each file of a case; a DataError names one that is gone."""
    try:
        return [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files_of(case)]
    except OSError as error:
        raise DataError(f"{case.id}: {error.filename} cannot be read ({error.strerror}).") from error


def stamps_of(case: Any) -> dict[str, list[Any]]:
    """The stamp of each file of a case, which is read for it."""
    stats = {file: file.stat() for file in files_of(case) if file.is_file()}
    return {str(file): [one.st_size, one.st_mtime_ns, checksum_of(file)] for file, one in stats.items()}


def changed_files(case: Any, before: Stamps) -> list[Path]:
    """Files of a case that have come, gone or changed since; one is read only where its time is another."""
    now = {str(file): file for file in files_of(case) if file.is_file()}
    return [Path(name) for name in sorted({*before, *now}) if _differs(now.get(name), before.get(name))]


def _differs(file: Path | None, stamp: Sequence[Any] | None) -> bool:
    if file is None or stamp is None:
        return True
    size, mtime_ns, checksum = stamp
    now = file.stat()
    return now.st_size != size or (now.st_mtime_ns != mtime_ns and checksum_of(file) != checksum)
