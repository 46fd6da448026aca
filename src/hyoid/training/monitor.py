"""Curves of a training: one row of numbers now and then, in curves.csv and for TensorBoard."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.files import append_to, atomic_path, regular, write_text
from ..tasks.task import Task

FIRST = ("step", "progress", "seconds", "learning_rate")


class Monitor:
    """Keeps the curves of one training.

    Args:
        folder: Where curves.csv lies.
        task: Names what is scored, and what is counted in patches.
        resume: What `state` gave when the checkpoint was written that training goes on from; None starts anew.
        tensorboard: Also write event files in `folder/tensorboard`.

    Attributes:
        latest: Losses of the last step.
    """

    def __init__(
        self,
        folder: Path,
        task: Task,
        resume: Mapping[str, Any] | None = None,
        tensorboard: bool = True,
    ) -> None:
        self.path = folder / "curves.csv"
        self.task = task
        self.structures = task.structures if task.counts else ()
        self._sums: dict[str, float] = dict(resume["sums"]) if resume else {}
        self._taken = Counter(resume["taken"] if resume else {})
        self._counts = np.zeros((3, len(self.structures)), np.int64)
        if resume:
            self._counts += np.asarray(resume["counts"], np.int64)  # an empty list is one of floats
        self.latest: dict[str, float] = {}
        self._board: Any = None
        events = folder / "tensorboard"
        if resume:
            self._forget_after(resume["rows"])
        else:
            self.path.unlink(missing_ok=True)
            shutil.rmtree(events, ignore_errors=True)
        self._num_rows: int = resume["rows"] if resume else 0
        self._step: int = resume["step"] if resume else 0
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(events), purge_step=resume["step"] + 1 if resume else None)

    def take(self, losses: Mapping[str, float], counts: np.ndarray | None = None) -> None:
        """Remember a step for the next row.

        Args:
            losses: By name.
            counts: Voxels (3, structures) of its patches that were hit, answered, and in the target.
        """
        if counts is not None:
            self._counts += counts
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._taken.update(losses.keys())
        self.latest = dict(losses)

    def write(
        self,
        step: int,
        progress: float,
        seconds: float,
        learning_rate: float,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Write a row with what the steps since the last one gave, and the scores of a validation, if any.

        Losses are means over the steps that had them, the Dice of a structure is of all patches that had it together.
        """
        hits, answered, there = self._counts
        found = zip(self.structures, hits, answered + there, strict=True)
        row: dict[str, float] = {
            "step": step,
            "progress": round(progress, 6),
            "seconds": round(seconds, 2),
            "learning_rate": learning_rate,
            **{name: value / self._taken[name] for name, value in self._sums.items() if self._taken[name]},
            **{f"patch_dice:{name}": float(2 * hit / both) for name, hit, both in found if both},
        }
        row |= scores or {}
        columns = self._widened(row)
        with append_to(self.path) as file:
            writer = csv.DictWriter(file, columns, "", lineterminator="\n")
            writer.writerow({name: f"{value:.6g}" if name not in FIRST else value for name, value in row.items()})
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name.replace(":", "/"), value, step)
        self._num_rows += 1
        self._step = step
        self._sums = dict.fromkeys(self._sums, 0.0)
        self._taken.clear()
        self._counts[:] = 0

    def state(self) -> dict[str, Any]:
        """What has to be remembered to go on from here."""
        return {
            "rows": self._num_rows,
            "step": self._step,
            "sums": dict(self._sums),
            "taken": dict(self._taken),
            "counts": self._counts.tolist(),
        }

    def _widened(self, row: Mapping[str, float]) -> list[str]:
        """The columns of the file, to which those are added that this row is the first to have."""
        rows = [self._foreseen()]
        if begun := self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
        columns = [*rows[0], *(name for name in row if name not in rows[0])]
        if not begun or columns != rows[0]:
            rows = [columns, *(one + [""] * (len(columns) - len(one)) for one in rows[1:])]
            with atomic_path(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
        return columns

    def _foreseen(self) -> list[str]:
        """The columns of a new file: scores have a place there before the first validation."""
        decides = self.task.decides.name
        scores = [f"{decides}:{name}" for name in self.task.structures] or [decides]
        return [*FIRST, *self._sums, *scores, *(f"patch_dice:{name}" for name in self.structures)]

    def close(self) -> None:
        """Write out what is waiting."""
        if self._board is not None:
            self._board.close()

    def _forget_after(self, num_rows: int) -> None:
        """Drop rows written after the checkpoint; the same steps are about to be done again."""
        if not self.path.exists():
            return
        lines = regular(self.path).read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(self.path, "".join(lines[: num_rows + 1]))


def read_curves(folder: str | Path) -> dict[str, list[float | None]]:
    """The columns of curves.csv by name; None where a row has no value.

    Raises:
        DataError: When there are no curves.
    """
    path = Path(folder) / "curves.csv"
    if not path.is_file():
        raise DataError(f"{path}: there are no curves here; train first.")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else FIRST)}
