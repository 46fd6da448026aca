"""Plan: what follows from a fingerprint and a budget; readable, editable, and complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, model_validator

from ..core.duration import duration
from ..core.lengths import Lengths
from ..core.result import Line, Result, Table
from ..core.settings import Settings
from ..nets.family import build as _build  # noqa: F401  (knows every kind of net)
from ..nets.net import NetSpec
from ..nets.unet import UNetSpec
from ..preparation.pipeline import PreparationSettings
from .learning import Candidate
from .settings import Precision, Preset


class Expected(Settings):
    """What the plan foresees, to be compared with the truth."""

    seconds_per_step: float = Field(description="Time of one training step.")
    steps: int = Field(description="Steps in the time.")
    training_seconds: float = Field(description="Time of training with its validation.")
    memory_gb: float = Field(description="Largest memory of training.")
    prediction_gb: float = Field(description="Largest memory of the net in prediction.")
    parameters: int = Field(description="Weights of the net.")
    measured: bool = Field(description="Whether the time of a step was measured here.")


class PlanFacts(Settings):
    """How a plan came about. Nothing follows from it, so a run keeps it in a file of its own, apart from settings."""

    preset: Preset = Field(description="Which rules made it.")
    net_name: str = Field(description="Row of the shelf the net came from.")
    expected: Expected = Field(description="What the plan foresees.")
    reasons: tuple[str, ...] = Field((), description="Why, in plain words.")
    candidates: tuple[Candidate, ...] = Field((), description="What was chosen from, the chosen one first.")


class Plan(PlanFacts, Result):
    """How a data set is prepared and learnt."""

    FACTS: ClassVar = tuple(PlanFacts.model_fields)

    dims: Literal[2, 3] = Field(description="Dimensions of the net; a 2D net on volumes has patches (1, h, w).")
    preparation: PreparationSettings = Field(description="How every case is prepared.")
    patch: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="Voxels of a patch; larger than a small image, which is then padded."
    )
    batch: int = Field(ge=1, description="Patches in a step.")
    net: SerializeAsAny[NetSpec] = Field(description="The net.")
    precision: Precision = Field(description="Number format in the net.")
    policy: str = Field(description="Augmentation policy.")
    mirror_axes: tuple[int, ...] = Field(description="Axes of a patch that may be mirrored.")
    foreground_share: float = Field(ge=0, le=1, description="Share of patches centred on a structure.")
    batch_dice: bool = Field(description="Whether Dice is taken over the batch.")

    @model_validator(mode="after")
    def _agrees(self) -> Plan:
        if self.dims != self.net.dims or len(self.patch) < self.dims:
            raise ValueError(f"a {self.dims}D plan does not fit a {self.net.dims}D net and patch {self.patch}")
        return self

    @property
    def spacing_mm(self) -> tuple[float | None, ...] | None:
        """Voxel size after preparation; None for that of each file, of all axes or of one."""
        return self.preparation.spacing_mm

    @property
    def orientation(self) -> str | None:
        """Where the axes of prepared cases point to."""
        return self.preparation.orientation

    def describe(self) -> list[str]:
        """The plan as lines of text: the decision, the reasons, the table it was chosen from."""
        widths = f"widths {_joined(self.net.channels, ' ')}, " if isinstance(self.net, UNetSpec) else ""
        known = tuple(size for size in self.spacing_mm or () if size is not None)
        spacing = f"spacing {_spaced(known)}" if known else "spacing as in the files"
        if self.spacing_mm and len(known) < len(self.spacing_mm):
            spacing += " in slices that lie as in the files"
        if extent := self.preparation.extent:
            spacing = f"images of {extent:g} pixels (root of the area)"
        lines = [
            f"plan {self.preset}: {self.dims}D {self.net_name} of {self.expected.parameters / 1e6:.2g} million "
            f"parameters, {widths}{self.precision}",
            f"patch {_joined(self.patch)}, batch {self.batch}, {spacing}, "
            f"axes {self.orientation or 'as in the files'}, augmentation {self.policy}, "
            f"mirrored axes {_joined(self.mirror_axes, ' ') or 'none'}",
            f"expected: {self.expected.steps} step{'s' * (self.expected.steps != 1)} of "
            f"{self.expected.seconds_per_step:.2g} s "
            f"in {duration(self.expected.training_seconds)}; memory {self.expected.memory_gb:.2g} GB in training, "
            f"{self.expected.prediction_gb:.2g} GB in prediction",
            *(f"- {reason}" for reason in self.reasons),
        ]
        return [*lines, *candidate_table(self.candidates)]

    def shown(self, width: int) -> Iterable[Line | Table]:
        """The lines of `describe`."""
        return map(Line, self.describe())

    def to_json(self) -> Mapping[str, Any]:
        """Every field, as in experiment.yaml."""
        return self.model_dump(mode="json")


def candidate_table(candidates: tuple[Candidate, ...]) -> list[str]:
    """The candidates as rows of text under a heading; the first one, which was chosen, is marked."""
    if not candidates:
        return []
    names = list(candidates[0].factors)
    head = ["", "spacing", "patch", "batch", "width", "precision", "s/step", "steps", "GB", *names, "learning"]
    rows = [
        [
            "*" if index == 0 else "",
            _spaced(c.spacing_mm),
            _joined(c.patch),
            str(c.batch),
            f"{c.channels[0]}x{len(c.channels)}" if c.channels else "its own",
            c.precision,
            f"{c.seconds_per_step:.3g}{'' if c.measured else '~'}",
            str(c.steps),
            f"{c.memory_gb:.2g}",
            *(f"{c.factors[name]:.2f}" for name in names),
            f"{c.learning:.3f}",
        ]
        for index, c in enumerate(candidates)
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in [head, *rows]]


def _spaced(spacing_mm: tuple[float, ...]) -> str:
    """A spacing; its unit is left out where it is a millimetre, or pixels of unknown size."""
    lengths = Lengths.at(*spacing_mm)
    return _joined(tuple(size / lengths.mm for size in spacing_mm)) + f" {lengths.unit}" * (lengths.unit != "mm")


def _joined(values: tuple[float | None, ...] | tuple[float, ...] | tuple[int, ...], by: str = "x") -> str:
    return by.join("-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in values)
