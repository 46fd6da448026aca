"""How much a candidate is expected to learn in the time: the rule the planner `auto` decides by.

The rule is a product of five factors between 0 and 1, each with one constant, so that it can be read, drawn and tuned:

- practice `n / (n + n0)`: n steps; n0 grows with the root of the number of structures
- capacity `w^2 / (w^2 + w0^2)`: width w of the finest level
- variety `b / (b + b0)`: batch b
- view: how much of what an object needs to be recognised a patch shows, to a power
- detail: what resampling to a coarser spacing leaves of the finest parts of each structure

Steps against width: doubling the width makes a step three to four times slower. With the constants below, going from 16
to 32 pays when the narrower net would take more than about 5000 steps, and going down to 8 when it would take fewer
than about 400.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pydantic import Field

from ..core.settings import Settings
from .settings import Precision

STEPS = 110.0
"""Steps after which a net of one structure is half practised, divided by the root of 2."""

WIDTH = 5.0
"""Width of the finest level at which capacity is one half."""

BATCH = 0.6
"""Batch at which variety is one half."""

VIEW = 0.5
"""Power of the mean share of the needed view along an axis."""

DETAIL = 3.0
"""Loss of detail when the spacing grows by the thickness of a structure."""

USABLE = 0.85
"""Share of training time that goes into steps; the rest is validation and waiting for patches."""


class Candidate(Settings):
    """One way to spend the time, and what is expected of it."""

    dims: int = Field(description="Dimensions of the net.")
    spacing_mm: tuple[float, ...] = Field(description="Voxel size after preparation.")
    patch: tuple[int, ...] = Field(description="Voxels of a patch.")
    batch: int = Field(description="Patches in a step.")
    net: str = Field(description="Name of the net.")
    channels: tuple[int, ...] = Field(description="Width of each level; none for a net that has no such levels.")
    precision: Precision = Field("32-true", description="Number format in the net.")
    parameters: int = Field(0, description="Weights of the net.")
    gflops: float = Field(0.0, description="Billions of operations of one training step.")
    values: float = Field(0.0, description="Feature map values of one step.")
    memory_gb: float = Field(0.0, description="Memory of a training step.")
    seconds_per_step: float = Field(0.0, description="Expected or measured time of a step.")
    measured: bool = Field(False, description="Whether the time was measured, not extrapolated.")
    steps: int = Field(0, description="Steps in the time.")
    learning: float = Field(0.0, description="Product of the factors: what the planner maximises.")
    factors: dict[str, float] = Field({}, description="practice, capacity, variety, view and detail.")


class Target(NamedTuple):
    """What one structure asks of a candidate.

    Attributes:
        fine_mm: Typical thickness of its parts.
        needed_mm: What has to be seen to recognise it, along each prepared axis.
    """

    fine_mm: float
    needed_mm: tuple[float, ...]


class Facts(NamedTuple):
    """What the rule knows of the data: the finest sensible spacing along each prepared axis, a target per structure."""

    spacing_mm: tuple[float, ...]
    targets: tuple[Target, ...]


def expected_learning(candidate: Candidate, facts: Facts, seconds: float, most_steps: float = math.inf) -> float:
    """The product of `learning_factors`: larger is expected to be better after these seconds."""
    return math.prod(learning_factors(candidate, facts, seconds, most_steps).values())


def learning_factors(
    candidate: Candidate, facts: Facts, seconds: float, most_steps: float = math.inf
) -> dict[str, float]:
    """The factors of the rule, each between 0 and 1.

    Args:
        candidate: With `seconds_per_step` filled in.
        seconds: Time for training with its validation.
        most_steps: Steps after which training ends even when there is time left.
    """
    steps = affordable_steps(candidate, seconds, most_steps)
    patience = STEPS * math.sqrt(1 + len(facts.targets))
    width = candidate.channels[0] if candidate.channels else 0
    sides = [n * s for n, s in zip(candidate.patch, candidate.spacing_mm, strict=True)]
    return {
        "practice": steps / (steps + patience),
        "capacity": width**2 / (width**2 + WIDTH**2) if candidate.channels else 1.0,  # else a net that is taken whole
        "variety": candidate.batch / (candidate.batch + BATCH),
        "view": _mean([_view(sides, target) for target in facts.targets]),
        "detail": _mean([_detail(candidate.spacing_mm, facts.spacing_mm, target) for target in facts.targets]),
    }


def affordable_steps(candidate: Candidate, seconds: float, most_steps: float = math.inf) -> float:
    """Steps that fit into the time, validation taken off."""
    return min(most_steps, USABLE * seconds / max(candidate.seconds_per_step, 1e-6))


def _view(sides: list[float], target: Target) -> float:
    shares = [min(1.0, side / need) for side, need in zip(sides, target.needed_mm, strict=True)]
    return math.prod(shares) ** (VIEW / len(shares))


def _detail(spacing: tuple[float, ...], finest: tuple[float, ...], target: Target) -> float:
    extra = max(new - old for new, old in zip(spacing, finest, strict=True))
    return max(0.01, 1 - DETAIL * max(0.0, extra) / max(target.fine_mm, 1e-6))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 1.0
