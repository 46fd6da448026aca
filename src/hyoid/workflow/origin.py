"""What made the answers in a folder: a line of JSON for each call, in the order in which the calls ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.errors import HyoidError
from ..core.progress import log
from ..datasets.below import ANSWERS
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


@dataclass
class Outcome:
    """What becomes of the images of a call: where each answer goes, what was written, and why others failed."""

    files: Mapping[str, Path]
    written: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, case_id: str, reason: str) -> None:
        """Remember that a case was not predicted, and tell it."""
        self.failed[case_id] = self._told(case_id, reason)
        log.warning("%s was not predicted: %s", case_id, self.failed[case_id])

    def to_dict(self, into: Path) -> dict[str, Any]:
        """What is noted of it; cases that were not reached have failed."""
        written = [file.relative_to(into).as_posix() for case, file in self.files.items() if case in self.written]
        left = [case for case in self.files if case not in self.written and case not in self.failed]
        stopped = {case: self._told(case, "the call ended before.") for case in left}
        return {"answers": written, "failed": self.failed | stopped}

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
        yield
    finally:
        engine = {"engine": predictor.engine.answered} if outcome.written else {}
        line = {"begun": begun, **origin, **engine, **outcome.to_dict(into)}
        _append(into, f"{json.dumps(line, ensure_ascii=False)}\n")


def _append(into: Path, text: str) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        with (into / ANSWERS).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise HyoidError(f"{into}: could not be written ({error.strerror or error}).") from error
