"""RunFolder: where a run keeps what; every stage reads what the one before it wrote. EnsembleFolder: several runs."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator

from .core.digest import sha256_of
from .core.energy import Energy, EnergyMeter
from .core.errors import ConfigError, DataError
from .core.files import append_to, inside, name_problem, regular, remove_leftovers, write_text
from .core.lock import alone
from .core.machine import cores, use_threads
from .core.progress import log
from .core.settings import Settings
from .core.shapes import checked
from .core.trees import load_json
from .experiment import Experiment
from .planning.budget import available_gb
from .planning.fingerprint import Fingerprint
from .planning.plan import Plan
from .prediction.ensemble import Ensemble
from .prediction.united import union_of
from .tasks.choose import task_for, tasks
from .tasks.task import Task

if TYPE_CHECKING:
    from .datasets.dataset import Dataset


SHAPES: dict[str, Any] = {
    "asked.json": {"changes?": [str], "experiment?": {}},
    "energy.json": {"*": {"processor": float, "counted": bool, "accelerator?": (float, None)}},
    "lineage.json": {"taught": {"*": str}, "judged": {"*": str}, "unknown": [str]},
    "judged.json": {"made_by": str},
    "predictions.json": {"made_by": str, "sources?": {"*": str}},
    "sources.json": {"listing?": {"*": str}, "stamps": {"*": {"*": [float, float, str]}}},
    "tested.json": {"judged": [{"date": str, "made_by": str}]},
    "timing.json": {"*": float},
    "training.json": {
        **dict.fromkeys(("memory_gb", "steps", "step_seconds", "waiting"), float),
        "length?": float,
        "memory_of?": str,
        "machine?": {},
    },
}
"""What each JSON file of a run holds."""

BYTES_OF_A_VOXEL = 16
"""Memory in which a case is worked on: numbers of the file, normalised and resampled ones, and annotation."""


class Split(Settings):
    """Which cases teach and which judge; whole groups on one side."""

    training: tuple[str, ...] = Field(description="Cases the net learns from.")
    validation: tuple[str, ...] = Field(description="Cases it is judged on.")
    unlabelled: tuple[str, ...] = Field((), description="Cases without annotation that it may learn from.")
    inherited: str = Field("", description="Run that the net starts from, whose cases keep their part.")

    @field_validator("training", "validation", "unlabelled")
    @classmethod
    def _stay_inside(cls, cases: tuple[str, ...]) -> tuple[str, ...]:
        if problems := list(filter(None, map(name_problem, cases))):
            raise ValueError(problems[0])
        return cases


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files; every stage reads what the one before it wrote.

    Attributes:
        path: Holds `experiment.yaml`, `plan_facts.yaml`, `dataset.json`, `sources.json`, `split.yaml`,
            `fingerprint.yaml`, `lineage.json`, `weights/`, `predictions/`, `cases.csv`, `report.json`,
            `report.html`, `MODEL_CARD.md`, `timing.json`, `energy.json`.
            Prepared cases lie in `prepared/` beside the run, so that other runs on the same data share them.
        runs_code: Whether extensions are needed; else those that the user has not approved are left out.
    """

    path: Path
    runs_code: bool = True

    @classmethod
    def open(cls, path: str | Path, runs_code: bool = True) -> Self:
        """An existing run.

        Raises:
            ConfigError: When the folder holds no experiment.
        """
        folder = cls(Path(path), runs_code)
        if not folder.path.exists():
            raise ConfigError(f"{path}: there is no such run.")
        if not folder.experiment_file.is_file():
            inside = sorted(one.parent.name for one in folder.path.glob("*/experiment.yaml"))
            if inside:
                what = "an ensemble, which answers" if (folder.path / "ensemble.yaml").is_file() else "not a run"
                raise ConfigError(f"{path}: this is {what}, but these in it are runs: {', '.join(inside)}; name one.")
            raise ConfigError(
                f"{path}: this is not a run (it has no experiment.yaml); `hyoid plan DATA --into {path}` starts one."
            )
        return folder

    def ready(self) -> Self:
        """The run with its settings, plan, task, cases and split read now, in one visit.

        Raises:
            HyoidError: When one of them is missing or wrong.
        """
        _ = self.plan, self.task, self.dataset, self.split
        return self

    @property
    def planned(self) -> Path:
        """Holds what planning wrote; the folder of the first member in an ensemble."""
        return self.path

    @cached_property
    def experiment_file(self) -> Path:
        """The settings tree of a run."""
        return self.planned / "experiment.yaml"

    @property
    def is_run(self) -> bool:
        """Whether a run or an ensemble is here."""
        return any((self.path / name).is_file() for name in ("experiment.yaml", "ensemble.yaml"))

    @property
    def predictions(self) -> Path:
        """Answers to the validation cases."""
        return self._inside("predictions")

    @property
    def prepared(self) -> Path:
        """Stores of prepared cases, shared by runs that lie side by side."""
        return self.path.resolve().parent / "prepared"

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; empty when it is not there yet."""
        file, remedy = self.path / name, "delete it and run the stage that writes it again"
        try:
            values = load_json(regular(file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise DataError(f"{file}: this is not readable JSON; {remedy}.") from None
        return dict(checked(values, SHAPES.get(name, {}), file, remedy))

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file of the run."""
        text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False)
        write_text(self.path / name, f"{text}\n")

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
                spent, taken = self.energy(), meter.taken()
                spent[stage] = spent[stage] + taken if stage in spent else taken
                self.write_json("energy.json", {name: asdict(one) for name, one in spent.items()})

    def energy(self) -> dict[str, Energy]:
        """Energy of each stage so far."""
        return {
            stage: Energy(values["processor"], values["counted"], values.get("accelerator"))
            for stage, values in self.read_json("energy.json").items()
        }

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block no other program writes into this run; a HyoidError names one that does.

        What killed programs left half-written goes first.
        """
        with alone(self.path / ".lock", "this run") as sure:
            for folder in (self.path, self.weights, self.predictions, self.before) if sure else ():
                remove_leftovers(folder)
            yield

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Inside the block, notices and warnings also go to log.txt, which grows with every command."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = append_to(self.path / "log.txt")
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            file.close()

    @property
    def weights(self) -> Path:
        """Checkpoints, curves and programs of engines."""
        return self._inside("weights", "tensorboard", "engines")

    @property
    def tested(self) -> Path:
        """Answers to the test cases, and what is told of them."""
        return self._inside("test", "predictions")

    @property
    def before(self) -> Path:
        """Answers of the run before, which a later stage of a cascade learns from."""
        return self._inside("before")

    def _inside(self, name: str, *further: str) -> Path:
        """A folder of the run, unless it or one of the folders in it that are written is a link to elsewhere."""
        place = inside(self.path, name)
        for one in further:
            inside(self.path, f"{name}/{one}")
        return place

    @property
    def trained(self) -> Path:
        """The checkpoint that predicts; a ConfigError when the run was not trained yet."""
        weights = self.weights / "last.safetensors"
        if not weights.is_file():
            raise ConfigError(f"{self.path}: this run has no weights yet; `hyoid train {self.path}` makes them.")
        return weights

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        return sha256_of(self.trained)

    @cached_property
    def experiment(self) -> Experiment:
        """The settings of this run."""
        from .core.extensions import load_extensions

        experiment = Experiment.read(self.experiment_file)
        load_extensions(experiment.extensions, self.experiment_file, skip=not self.runs_code)
        use_threads(experiment.threads)
        return experiment

    @cached_property
    def plan(self) -> Plan:
        """What was decided; a ConfigError when the run was not planned yet."""
        return self.experiment.decided

    @cached_property
    def task(self) -> Task:
        """What is asked of the net of this run."""
        name = self.experiment.task
        return task_for(self.experiment.task_labels, name if self.runs_code or (name and name in tasks) else None)

    @property
    def workers(self) -> int:
        """Cases that are worked on at once: one for each thread and core, as many of the largest as fit the memory."""
        most = min(self.experiment.threads or cores(), cores())
        if most == 1 or not (self.planned / "fingerprint.yaml").is_file():
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
            return Dataset.from_dict(RunFolder(self.planned).read_json("dataset.json"))
        except DataError as error:
            raise DataError(f"{self.planned / 'dataset.json'}: {error}") from None
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"{self.planned / 'dataset.json'}: this is missing, or not what `hyoid plan` wrote; put it back, or "
                "plan the run anew in another folder."
            ) from None

    @cached_property
    def split(self) -> Split:
        """Training and validation cases."""
        return Split.read(self._planned("split.yaml"))

    @property
    def members(self) -> tuple[RunFolder, ...]:
        """The runs that answer as one: this one alone, but for ensembles."""
        return (self,)

    @cached_property
    def unseen(self) -> dict[str, tuple[int, ...]]:
        """For each case that is judged the members that did not learn from it, by their place."""
        return dict.fromkeys(self.split.validation, (0,))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What was measured in the data."""
        return Fingerprint.read(self._planned("fingerprint.yaml"))

    def _planned(self, name: str) -> Path:
        """A file that planning wrote beside the experiment."""
        file = self.planned / name
        if not file.is_file():
            raise ConfigError(
                f"{file}: this is missing, and `hyoid plan` writes it; put it back, or plan the run anew in another "
                "folder."
            )
        return file


ALIKE: dict[str, Callable[[RunFolder], object]] = {
    "task": lambda run: type(run.task).__name__,
    "channels": lambda run: len(run.dataset.channel_names),
    "axes of images": lambda run: len(run.plan.patch),
}
"""What the members of an ensemble have in common."""


@dataclass(frozen=True)
class EnsembleFolder(RunFolder):
    """Several runs in one folder that answer as one; verbs ask, judge and report it as they do a run.

    Attributes:
        path: Holds `ensemble.yaml` and the runs, and what a run holds of answers and their judgement. Settings of
            prediction and evaluation are those of the first member.
    """

    @property
    def ensemble_file(self) -> Path:
        """What makes an ensemble of the runs in a folder."""
        return self.path / "ensemble.yaml"

    @cached_property
    def ensemble(self) -> Ensemble:
        """Which runs, and how they are united."""
        return Ensemble.read(self.ensemble_file)

    @property
    def names(self) -> list[str]:
        """What messages call the members."""
        return [member.run for member in self.ensemble.members]

    @cached_property
    def members(self) -> tuple[RunFolder, ...]:
        """The runs; a ConfigError when one is not there, is a link to another place, or does not fit the first."""
        for name in self.names:
            if not (self.path / name).resolve().is_relative_to(self.path.resolve()):
                raise ConfigError(f"{self.ensemble_file}: {name} leads out of the folder; put the run into it.")
            if (self.path / name / "ensemble.yaml").is_file():
                raise ConfigError(
                    f"{self.ensemble_file}: {name} is an ensemble, and ensembles cannot be nested; put its runs beside"
                    " the others and name these."
                )
        runs = tuple(RunFolder.open(self.path / name, self.runs_code) for name in self.names)
        for what, fact in ALIKE.items():
            first, *others = map(fact, runs)
            for name, other in zip(self.names[1:], others, strict=True):
                if other != first:
                    raise ConfigError(
                        f"An ensemble needs members alike in {what}: {self.names[0]} has {first}, {name} {other}."
                    )
        return runs

    @property
    def planned(self) -> Path:
        return self.members[0].path

    @cached_property
    def task(self) -> Task:
        """What all members together answer."""
        return union_of([run.task for run in self.members], self.names)

    @cached_property
    def experiment(self) -> Experiment:
        """The settings of the first member, with the structures of all."""
        return self.members[0].experiment.model_copy(update={"labels": self.task.labels})

    @property
    def digest(self) -> str:
        """SHA-256 of all weights and of how they are united."""
        parts = [self.ensemble.to_yaml(), *(run.digest for run in self.members)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @cached_property
    def unseen(self) -> dict[str, tuple[int, ...]]:
        """For each case that is judged the members that did not learn from it, by their place."""
        cases: dict[str, tuple[int, ...]] = {}
        for number, (member, run) in enumerate(zip(self.ensemble.members, self.members, strict=True)):
            ours, theirs = (
                dict(zip(some.names, some.values, strict=True)) for some in (self.task.labels, run.task.labels)
            )
            if ours | theirs != ours or run.dataset.root != self.dataset.root or run.dataset.ids != self.dataset.ids:
                raise ConfigError(
                    f"{self.path}: {self.names[0]} and {member.run} learned from different data sets or values; answer"
                    f" images with `hyoid predict {self.path} IMAGES --into ANSWERS`, and judge these with `hyoid"
                    " evaluate ANSWERS REFERENCES`."
                )
            for case_id in run.split.validation if member.unseen is None else member.unseen:
                if case_id not in self.dataset.ids:
                    raise ConfigError(f"{self.ensemble_file}: unseen: {member.run} has no case {case_id!r}.")
                cases[case_id] = (*cases.get(case_id, ()), number)
        return {case_id: cases[case_id] for case_id in self.dataset.ids if case_id in cases}

    @cached_property
    def split(self) -> Split:
        """Cases that are judged; and those that all members learned from, or one that has to answer them."""
        runs = {case_id: [self.members[number] for number in numbers] for case_id, numbers in self.unseen.items()}
        learned = {case_id for case_id, some in runs.items() if any(case_id in run.split.training for run in some)}
        training = tuple(case_id for case_id in self.dataset.ids if case_id in learned or case_id not in runs)
        return Split(training=training, validation=tuple(runs))


def open_run(path: str | Path, runs_code: bool = True) -> RunFolder:
    """The run or the ensemble in a folder.

    Raises:
        ConfigError: When it holds neither.
    """
    folder = EnsembleFolder(Path(path), runs_code)
    return folder if folder.ensemble_file.is_file() else RunFolder.open(path, runs_code)
