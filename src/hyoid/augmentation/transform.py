"""Transform: numbers are drawn first and applied second; the shelf of all transforms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from ..core.registry import Registry
from ..core.settings import Settings

if TYPE_CHECKING:
    import torch

Range = tuple[float, float]


class Transform(Settings):
    """What all transforms have in common."""

    probability: float = Field(1.0, ge=0, le=1, description="How often it is applied, 0..1.")
    strength: float = Field(1.0, ge=0, description="Factor on every amount it draws; 0 changes nothing.")

    def happens(self, rng: np.random.Generator) -> bool:
        """Whether it is applied this time."""
        return bool(rng.random() < self.probability) and self.strength > 0

    def about(self, neutral: float, drawn: Any) -> Any:
        """A drawn amount moved towards (or beyond) the one that changes nothing, by `strength`."""
        return neutral + self.strength * (drawn - neutral)


@dataclass(frozen=True)
class Frame:
    """What a transform has to know about the patch.

    Attributes:
        shape: Voxels of the patch.
        spacing_mm: Voxel size along each axis.
        mirror_axes: Axes that may be flipped.
        moving: Axes in which voxels may be moved other than by flips and whole shifts: not a thick axis, not the
            single slice of a 2D patch.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    mirror_axes: tuple[int, ...]
    moving: tuple[int, ...]

    @property
    def dims(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def finest_mm(self) -> float:
        """The smallest voxel edge among the moving axes."""
        return min(self.spacing_mm[axis] for axis in self.moving)


@dataclass(frozen=True)
class Motion:
    """What a spatial transform drew; several of them compose into one Warp.

    Attributes:
        matrix: (dims, dims) in millimetres about the patch centre, from patch to source; None for the identity.
        shift: Whole source voxels along each axis, or None.
        control: Spline coefficients of a displacement in source voxels, or None.
    """

    matrix: np.ndarray | None = None
    shift: np.ndarray | None = None
    control: np.ndarray | None = None


class SpatialTransform(Transform, ABC):
    """Moves voxels."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Motion | None:
        """What happens this time; None when nothing does."""
        return self.motion(rng, frame) if self.happens(rng) and frame.moving else None

    @abstractmethod
    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion | None:
        """The numbers, given that it happens."""


class IntensityTransform(Transform, ABC):
    """Changes values, in place, and never looks at labels."""

    def draw(self, rng: np.random.Generator, frame: Frame, channels: int) -> Any:
        """What happens this time to an image of so many channels; None when nothing does."""
        return self.amounts(rng, frame, channels) if self.happens(rng) else None

    @abstractmethod
    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> Any:
        """The numbers, given that it happens."""

    @abstractmethod
    def apply(self, image: torch.Tensor, amounts: Any) -> None:
        """Change an image (C, *S) of float32 in place, on the device it is on."""


Changes = tuple[tuple[IntensityTransform, Any], ...]
"""Intensity transforms with what each has drawn, in the order in which they are applied."""


def change(image: torch.Tensor, changes: Changes) -> None:
    """Apply what was drawn to an image (C, *S), in place."""
    import torch

    with torch.no_grad():
        for transform, amounts in changes:
            transform.apply(image, amounts)


transforms: Registry[Transform] = Registry("transform")


def split_range(rng: np.random.Generator, low_high: Range, size: int | None = None) -> Any:
    """Factors of which half lie evenly between `low` and 1 and half evenly between 1 and `high`."""
    low, high = low_high
    return np.where(rng.random(size) < 0.5, rng.uniform(min(low, 1), 1, size), rng.uniform(1, max(high, 1), size))
