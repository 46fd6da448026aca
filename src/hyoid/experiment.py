"""Experiment: the settings tree of a run, one readable YAML."""

from __future__ import annotations

from pydantic import Field

from .core.errors import ConfigError
from .core.labels import Labels
from .core.settings import Settings
from .evaluation.report import EvaluationSettings
from .planning.plan import Plan
from .planning.settings import PlanningSettings
from .prediction.predictor import PredictionSettings
from .training.settings import TrainingSettings


class Experiment(Settings):
    """Everything that decides what a run gives: one YAML file, readable and editable."""

    data: str = Field(description="Folder, dataset.json or manifest of annotated images.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the split, the first weights and every random draw.")
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
