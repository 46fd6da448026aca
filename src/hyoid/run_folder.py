"""RunFolder: where a run keeps what; every stage reads what the one before it wrote."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from .core.energy import Energy, EnergyMeter
from .core.errors import ConfigError, DataError
from .core.files import atomic_path
from .core.lock import alone
from .core.machine import cores, use_threads
from .core.progress import log
from .core.settings import Settings
from .experiment import Experiment
from .planning.budget import available_gb
from .planning.fingerprint import Fingerprint
from .tasks.choose import task_for
from .tasks.task import Task

if TYPE_CHECKING:
    from .datasets.dataset import Dataset


BYTES_OF_A_VOXEL = 16
"""Memory in which a case is worked on: numbers of the file, normalised and resampled ones, and annotation."""


class Split(Settings):
    """Which cases teach and which judge; whole groups on one side."""

    training: tuple[str, ...] = Field(description="Cases the net learns from.")
    validation: tuple[str, ...] = Field(description="Cases it is judged on.")
    unlabelled: tuple[str, ...] = Field((), description="Cases without annotation that it may learn from.")


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files; every stage reads what the one before it wrote.

    Attributes:
        path: Holds `experiment.yaml`, `dataset.json`, `split.yaml`, `fingerprint.yaml`, `weights/`, `predictions/`,
            `cases.csv`, `report.json`, `report.html`, `MODEL_CARD.md`, `timing.json`, `energy.json`. Prepared cases lie
            in `prepared/` beside the run, so that other runs on the same data share them.
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run.

        Raises:
            ConfigError: When the folder holds no experiment.
        """
        folder = cls(Path(path))
        if not folder.path.exists():
            raise ConfigError(f"{path}: there is no such run.")
        if not folder.experiment_file.is_file():
            inside = sorted(one.parent.name for one in folder.path.glob("*/experiment.yaml"))
            if inside:
                raise ConfigError(f"{path}: this is not a run, but these in it are: {', '.join(inside)}; name one.")
            raise ConfigError(
                f"{path}: this is not a run (it has no experiment.yaml); `hyoid plan DATA --into {path}` starts one."
            )
        return folder

    @property
    def experiment_file(self) -> Path:
        """The settings tree."""
        return self.path / "experiment.yaml"

    @property
    def weights(self) -> Path:
        """Checkpoints."""
        return self.path / "weights"

    @property
    def predictions(self) -> Path:
        """Answers to the validation cases."""
        return self.path / "predictions"

    @property
    def prepared(self) -> Path:
        """Stores of prepared cases, shared by runs that lie side by side."""
        return self.path.resolve().parent / "prepared"

    @cached_property
    def experiment(self) -> Experiment:
        """The settings of this run."""
        from .core.extensions import load_extensions

        experiment = Experiment.read(self.experiment_file)
        load_extensions(experiment.extensions)
        use_threads(experiment.threads)
        return experiment

    @cached_property
    def task(self) -> Task:
        """What is asked of the net of this run."""
        return task_for(self.experiment.task_labels, self.experiment.task)

    @property
    def workers(self) -> int:
        """Cases that are worked on at once: one for each thread and core, as many of the largest as fit the memory."""
        most = min(self.experiment.threads or cores(), cores())
        if most == 1 or not (self.path / "fingerprint.yaml").is_file():
            return most
        facts = self.fingerprint
        voxels = max((math.prod(case.shape) for case in facts.cases), default=1)
        each_gb = voxels * BYTES_OF_A_VOXEL * len(facts.channels) / 1e9
        return max(1, min(most, int(available_gb("cpu") / each_gb)))

    @cached_property
    def dataset(self) -> Dataset:
        """The cases of this run, as they were found when it was planned."""
        from .datasets.dataset import Dataset

        try:
            return Dataset.from_dict(self.read_json("dataset.json"))
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"{self.path / 'dataset.json'}: this is missing, or not what `hyoid plan` wrote; put it back, or plan "
                "the run anew in another folder."
            ) from None

    @cached_property
    def split(self) -> Split:
        """Training and validation cases."""
        return Split.read(self._planned("split.yaml"))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What was measured in the data."""
        return Fingerprint.read(self._planned("fingerprint.yaml"))

    def _planned(self, name: str) -> Path:
        """A file that planning wrote beside the experiment."""
        file = self.path / name
        if not file.is_file():
            raise ConfigError(
                f"{file}: this is missing, and `hyoid plan` writes it; put it back, or plan the run anew in another "
                "folder."
            )
        return file

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; empty when it is not there yet."""
        file = self.path / name
        try:
            return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
        except ValueError:
            raise DataError(
                f"{file}: this is not readable JSON; delete it and run the stage that writes it again."
            ) from None

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file of the run."""
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(
                json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
            )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Remember how long a stage took, and its energy; work that goes on after a stop adds up."""
        started, meter = time.perf_counter(), EnergyMeter()
        try:
            yield
        finally:
            times = self.read_json("timing.json")
            times[stage] = round(times.get(stage, 0.0) + time.perf_counter() - started, 2)
            if self.path.is_dir():
                self.write_json("timing.json", times)
                spent = self.energy()
                taken = meter.taken()
                spent[stage] = spent[stage] + taken if stage in spent else taken
                self.write_json("energy.json", {name: one.to_dict() for name, one in spent.items()})

    def energy(self) -> dict[str, Energy]:
        """Energy of each stage so far."""
        return {stage: Energy(**values) for stage, values in self.read_json("energy.json").items()}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block no other program plans or trains this run.

        Raises:
            HyoidError: When another one does, naming it.
        """
        with alone(self.path / ".lock", "this run"):
            yield

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Inside the block, notices and warnings also go to log.txt, which grows with every command."""
        self.path.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            handler.close()
