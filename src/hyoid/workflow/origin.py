"""What made the answers in a folder, and which files there are ours, as lines of JSON.

Before a case is written, a line lists its files under `writes`; once it is, a line gives their checksums under `crc32`;
when a call ends, a line tells what made its answers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import __version__
from ..core.digest import checksum, checksum_of
from ..core.errors import ConfigError, HyoidError
from ..core.files import append_to, inside, name_problem, regular
from ..core.lock import sharing
from ..core.progress import log
from ..core.result import Line, Result, Table
from ..core.shapes import fits
from ..core.trees import load_json
from ..datasets.below import ANSWERS
from ..files.formats import stem_of, suffix_of
from ..prediction.answering import Answering
from ..run_folder import RunFolder


def origin_of(folder: RunFolder, predictor: Answering) -> dict[str, Any]:
    """The run, weights and settings that answer."""
    return {
        "run": str(folder.path.resolve()),
        "weights": f"sha256 {folder.digest[:16]}",
        "device": str(predictor.engine.device),
        "prediction": predictor.settings.model_dump(mode="json"),
        "hyoid": __version__,
    }


class Answers(list[Path], Result):
    """The files of answers; and of images unlike those of training in what, with figures."""

    unlike: Mapping[str, Mapping[str, str]] = MappingProxyType({})

    def shown(self, width: int) -> Iterable[Line | Table]:
        """A line for each file."""
        return [Line(str(file)) for file in self]

    def to_json(self) -> Mapping[str, Any]:
        """Files, and what is unlike."""
        return {"files": list(self), "unlike": self.unlike}


@dataclass
class Outcome:
    """What becomes of the images of a call: where each answer goes, what was written, and why others failed.

    Of images unlike those of training it keeps in what, with figures.
    """

    files: Mapping[str, Path]
    written: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, dict[str, str]] = field(default_factory=dict)

    def fail(self, case_id: str, reason: str) -> None:
        """Remember that a case was not predicted, and tell it."""
        self.failed[case_id] = self._told(case_id, reason)
        log.warning("%s was not predicted: %s", case_id, self.failed[case_id])

    def to_dict(self, into: Path) -> dict[str, Any]:
        """What is noted of it; cases that were not reached have failed."""
        written = [file.relative_to(into).as_posix() for case, file in self.files.items() if case in self.written]
        left = [case for case in self.files if case not in self.written and case not in self.failed]
        stopped = {case: self._told(case, "the call ended before.") for case in left}
        return {"answers": written, "failed": self.failed | stopped} | ({"unlike": self.unlike} if self.unlike else {})

    def _told(self, case_id: str, reason: str) -> str:
        if case_id in self.written or not self.files[case_id].exists():
            return reason
        return f"{reason.removesuffix('.')}. {self.files[case_id]} is from an earlier call."


@contextmanager
def noted(into: Path, origin: Mapping[str, Any], outcome: Outcome, predictor: Answering) -> Iterator[None]:
    """Answer inside the block; however it ends, a line tells where the answers come from and which were written.

    The file is there from the beginning, since it tells that the folder is one of answers.
    """
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    _append(into, "")
    try:
        with sharing(into / ANSWERS, {file.parent for file in outcome.files.values()}):
            yield
    finally:
        engine = {"engine": predictor.engine.answered} if outcome.written else {}
        line = {"begun": begun, **origin, **engine, **outcome.to_dict(into)}
        _append(into, f"{json.dumps(line, ensure_ascii=False)}\n")


_LINE = {"writes?": [str], "answers?": [str], "crc32?": {"*": str}}


@dataclass(frozen=True)
class Record:
    """The files of a folder that its answers.jsonl lists; no other file there is covered or deleted.

    Nor are those that have changed since they were written, as by hand; of files without a checksum this is not known.
    """

    into: Path

    @property
    def listed(self) -> set[str]:
        """Their paths below the folder."""
        return self._told[0]

    @cached_property
    def _told(self) -> tuple[set[str], dict[str, str]]:
        """Which files are listed, and the checksums of those that were finished."""
        found, sums = set[str](), dict[str, str]()
        try:
            lines = regular(self.into / ANSWERS).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return found, sums
        for line in lines:
            with suppress(ValueError):  # a line that a killed process left unfinished
                told = load_json(line)
                if fits(told, _LINE):
                    begun = list(filter(_is_name, told.get("writes", ())))
                    found |= {*begun, *filter(_is_name, told.get("answers", ()))}
                    sums |= dict.fromkeys(begun, "") | told.get("crc32", {})
        return found, sums

    def __contains__(self, file: Path) -> bool:
        return file.relative_to(self.into).as_posix() in self.listed and file.exists()

    def check_free(self, names: Iterable[str]) -> None:
        """Refuse names of files to come under which images lie that are not ours, whatever their format."""
        for folder, stems in groupby(sorted(self.into / name for name in names), lambda path: path.parent):
            there = {stem_of(one): one for one in (folder.iterdir() if folder.is_dir() else ()) if _is_file(one)}
            for path in stems:
                if (other := there.get(path.name)) is not None and other not in self:
                    raise ConfigError(
                        f"{self.into}: an answer would take the place of {other.name}, which {ANSWERS} there does not "
                        "list as written by hyoid; choose another --into, or move that file away."
                    )

    def claim(self, files: Sequence[Path]) -> None:
        """List files that are about to be written.

        Raises:
            HyoidError: When one would cover a file that is not ours or has changed, or lead out of the folder.
        """
        names = self._names(files)
        for file, name in zip(files, names, strict=True):
            if inside(self.into, name).exists() and name not in self.listed:
                raise HyoidError(f"{file}: this file is not hyoid's and is not covered; move it away.")
            if self._changed(name):
                raise HyoidError(
                    f"{file}: this file has changed since hyoid wrote it and is not covered; move it away."
                )
        _append(self.into, f"{json.dumps({'writes': names}, ensure_ascii=False)}\n")
        self.listed.update(names)

    def finish(self, files: Sequence[Path]) -> None:
        """Note the checksums of files that were written."""
        sums = {name: _checksum(self.into / name) for name in self._names(files)}
        _append(self.into, f"{json.dumps({'crc32': sums}, ensure_ascii=False)}\n")

    def _names(self, files: Sequence[Path]) -> list[str]:
        return [file.relative_to(self.into).as_posix() for file in files]

    def _changed(self, name: str) -> bool:
        """Whether a file is another than the one that was finished."""
        known, file = self._told[1].get(name), self.into / name
        return bool(known) and file.exists() and _checksum(file) != known

    def forget(self) -> None:
        """Delete the listed files that are as they were written, and the list."""
        for file in (self.into / name for name in self.listed if not self._changed(name)):
            if file.resolve().is_relative_to(self.into.resolve()):
                if file.is_file() or file.is_symlink():
                    file.unlink()
                elif file.is_dir() and suffix_of(file):  # formats that are folders
                    shutil.rmtree(file)
        (self.into / ANSWERS).unlink(missing_ok=True)


def _is_name(name: str) -> bool:
    """Whether it can be the name of a file below a folder, and not of the folder itself."""
    return bool(Path(name).parts) and not name_problem(name)


def _is_file(path: Path) -> bool:
    return path.is_file() or bool(suffix_of(path))


def _checksum(path: Path) -> str:
    """The CRC-32 of a file, or of the names and checksums of all files in a folder."""
    if not path.is_dir():
        return checksum_of(path)
    inner = sorted((one.relative_to(path).as_posix(), checksum_of(one)) for one in path.rglob("*") if one.is_file())
    return checksum(f"{name} {found}\n".encode(errors="surrogateescape") for name, found in inner)


def _append(into: Path, text: str) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        with append_to(into / ANSWERS, "a+") as file:
            end = file.tell()
            file.seek(max(0, end - 1))
            file.write("" if file.read(1) in ("", "\n") else "\n")  # after a line that was cut
            file.write(text)
    except OSError as error:
        why = "a link to what is not there" if into.is_symlink() and not into.exists() else error.strerror or error
        raise HyoidError(f"{into}: could not be written ({why}).") from error
