"""Experiment: the settings tree of a run, one readable YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from .core.errors import ConfigError
from .core.labels import Labels
from .core.settings import Settings, read_tree
from .evaluation.report import EvaluationSettings
from .planning.plan import Plan, PlanFacts
from .planning.settings import PlanningSettings
from .prediction.settings import PredictionSettings
from .training.settings import TrainingSettings

FACTS_FILE = "plan_facts.yaml"
"""Beside an experiment: how its plan came about and what was expected of it."""


class Experiment(Settings):
    """Everything that decides what a run gives: one YAML file, readable and editable.

    The facts of the plan lie in a file beside it, so that every line of the YAML acts.
    """

    data: str = Field(description="Folder, dataset.json or manifest of annotated images.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the first weights and every random draw.")
    split_seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="Seed of the split alone, so that runs of several seeds learn from the same cases.",
    )
    fold: int = Field(0, ge=0, description="Which fold is kept for validation.")
    num_folds: int = Field(5, ge=2, description="Number of folds the cases are dealt into, whole groups at a time.")
    patients_on_both_sides: bool = Field(
        False, description="Whether a split column may put one patient on both sides; scores then flatter."
    )
    device: str = Field("auto", description="Where the net runs: auto, cpu, cuda, cuda:1, mps.")
    threads: int | None = Field(None, ge=1, description="Threads of the processor; none: all cores.")
    extensions: tuple[str, ...] = Field((), description="Python files that register parts of your own.")
    task: str | None = Field(
        None, description="What is asked of the net: classes, regions, or a task of yours; null: what labels ask for."
    )
    labels: Labels | None = Field(None, description="Structures; found in the data when none.")
    planning: PlanningSettings = Field(PlanningSettings(), description="How the plan is made.")
    training: TrainingSettings = Field(TrainingSettings(), description="How the net is trained.")
    prediction: PredictionSettings = Field(PredictionSettings(), description="How the net is applied.")
    evaluation: EvaluationSettings = Field(EvaluationSettings(), description="What is measured.")
    plan: Plan | None = Field(None, description="What planning decided; written by it, may be edited before training.")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The experiment in a YAML file, with the facts of its plan from the file beside it.

        Raises:
            ConfigError: With one sentence per wrong value, also when a fact stands among the settings.
        """
        values, beside = read_tree(path), Path(path).with_name(FACTS_FILE)
        if isinstance(values, dict) and isinstance(plan := values.get("plan"), dict):
            values.setdefault("split_seed", values.get("seed", 0))  # runs that were split before there was one
            if stray := sorted(plan.keys() & set(Plan.FACTS)):
                raise ConfigError(
                    f"{path}: plan.{stray[0]} is a fact, not a setting; remove it here. {beside} keeps it."
                )
            values["plan"] = plan | PlanFacts.read(beside).model_dump(mode="json")
        return cls.parse(values, str(path))

    def write(self, path: str | Path) -> None:
        """Write the settings as YAML, and the facts of the plan beside them."""
        if self.plan is not None:
            PlanFacts(**{name: getattr(self.plan, name) for name in Plan.FACTS}).write(Path(path).with_name(FACTS_FILE))
        super().write(path)

    def to_yaml(self, without: Any = None) -> str:
        """The settings as YAML text, without the facts of the plan."""
        return super().to_yaml(without or (self.plan and {"plan": set(Plan.FACTS)}))

    @property
    def task_labels(self) -> Labels:
        """The structures, once they are known."""
        if self.labels is None:
            raise ConfigError("The experiment has no labels yet; `hyoid plan` finds them.")
        return self.labels

    @property
    def decided(self) -> Plan:
        """The plan, once it is made."""
        if self.plan is None:
            raise ConfigError("The experiment has no plan yet; `hyoid plan` makes one.")
        return self.plan
