"""Ensemble: several runs that answer as one, as data; and nets of one plan that answer as one net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from ..core.settings import Settings
from ..nets.net import Net
from ..planning.plan import Plan
from ..tasks.task import Task

Unite = Literal["probabilities", "logits"]

LARGEST_WEIGHT = 1_000_000
"""Larger weights would make their sum, or the shares of others, lose digits."""


class Member(Settings):
    """A run of an ensemble; in YAML its name alone will do."""

    run: str = Field(description="Folder of the run, relative to the folder of the ensemble and inside it.")
    weight: float = Field(1.0, description="How much its answers count beside the others: above 0, at most 1000000.")
    unseen: tuple[str, ...] | None = Field(
        None, description="Cases it did not learn from; none: the validation cases of its split."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_name(cls, values: Any) -> Any:
        return {"run": values} if isinstance(values, str) else values

    @field_validator("weight")
    @classmethod
    def _is_finite(cls, weight: float) -> float:
        if not 0 < weight <= LARGEST_WEIGHT:  # NaN compares as neither
            raise ValueError(f"expected a number above 0 and at most {LARGEST_WEIGHT}")
        return weight

    @field_validator("run")
    @classmethod
    def _is_inside(cls, run: str) -> str:
        path, elsewhere = PurePosixPath(run), PureWindowsPath(run)
        if not path.parts or path.is_absolute() or elsewhere.drive or ".." in path.parts or set(run) & {"\\", "\0"}:
            raise ValueError("expected the name of a folder inside the ensemble's, such as fold_0")
        return str(path)


class Ensemble(Settings):
    """Several runs in one folder that answer as one: `ensemble.yaml`."""

    members: tuple[Member, ...] = Field(description="The runs, at least one.")
    unite: Unite = Field(
        "probabilities", description="What is averaged; logits: only where all members have the same plan."
    )

    @model_validator(mode="after")
    def _check(self) -> Ensemble:
        runs = [member.run for member in self.members]
        if not runs:
            raise ValueError("members: expected at least one run, got none")
        if len(set(runs)) < len(runs):
            raise ValueError(f"each member is named once; got {', '.join(runs)}")
        return self


class Averaged(Net):
    """Nets that take the same tiles, as one net: its logits are those of the mean probabilities, or the mean logits.

    Memory is that of the nets and of three maps of a tile, however many nets there are.
    """

    def __init__(self, nets: Sequence[Net], weights: Sequence[float], task: Task, unite: Unite) -> None:
        super().__init__(nets[0].divisor, nets[0].margin)
        self.nets, self.smallest = nn.ModuleList(nets), nets[0].smallest_input()
        self.shares = [weight / sum(weights) for weight in weights]
        self.task = task
        self.by_logits = unite == "logits" or task.averages == "logits"

    def smallest_input(self) -> tuple[int, ...]:
        return self.smallest

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        total = torch.zeros(())
        for net, share in zip(self.nets, self.shares, strict=True):
            logits = net(x)[0]
            maps = share * (logits.float() if self.by_logits else self.task.activate(logits))
            total = total.add_(maps) if total.ndim else maps
        return (total if self.by_logits else self.task.logits(total),)


def plan_key(plan: Plan, task: Task, net: Net) -> str:
    """Members with equal keys take the same tiles of the same prepared image, and answer with the same channels."""
    asked = (type(task).__name__, task.labels, task.outputs)
    sizes = (net.divisor, net.margin, net.smallest_input())
    return repr((plan.preparation, plan.dims, plan.patch, plan.mirror_axes, plan.precision, asked, sizes))
