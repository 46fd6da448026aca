"""Lengths: the unit that images are shown in, and the step that tolerances and margins are measured by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_UNITS = (("nm", 1e-6, 2e-5), ("µm", 1e-3, 2e-2), ("mm", 1.0, math.inf))
"""Name, millimetres in it, and the edge of a voxel below which lengths are shown in it."""

_LEAST = 0.25
"""Edge of voxels from which a millimetre is a step that tells of them, and a millilitre a size."""

MARGIN_STEPS = 10
"""Steps from a structure that still count as near to it."""


class Sized(Protocol):
    """What has voxels: a grid, or what a header says."""

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Voxel size along each array axis."""

    @property
    def calibrated(self) -> bool:
        """Whether it is known."""


@dataclass(frozen=True)
class Lengths:
    """How lengths of some images are shown and judged.

    Attributes:
        unit: "mm", "µm" or "nm" by the size of their voxels; "px" where one of them does not know it.
        mm: Millimetres in the unit; 1 for pixels.
        step_mm: What tolerances and margins are multiples of, see `step_of`; 1 for pixels.
    """

    unit: str = "mm"
    mm: float = 1.0
    step_mm: float = 1.0

    @classmethod
    def of(cls, images: Iterable[Sized]) -> Lengths:
        """The lengths of images, by the median edge of their voxels; pixels where one of them is not calibrated."""
        edges = [edge_of(one.spacing_mm) if one.calibrated else math.nan for one in images]
        if not edges or not all(map(math.isfinite, edges)):
            return cls("px")
        return cls.at(float(np.median(edges)))

    @classmethod
    def at(cls, *spacing_mm: float) -> Lengths:
        """The lengths of images with voxels of this size."""
        edge = edge_of(spacing_mm)
        name, mm = next((name, mm) for name, mm, below in _UNITS if edge < below)
        return cls(name, mm, step_of(spacing_mm))

    @property
    def margin_mm(self) -> float:
        """How far from a structure voxels still count as near to it."""
        return MARGIN_STEPS * self.step_mm

    def size_unit(self, dims: int) -> str:
        """Unit of volumes, or of areas in 2D."""
        is_ml = (self.unit, dims) == ("mm", 3) and self.step_mm >= 1
        return "ml" if is_ml else f"{self.unit}{'²' if dims == 2 else '³'}"

    def voxel_size(self, volume_mm3: float, dims: int) -> float:
        """Volume (area in 2D) of a voxel in `size_unit`."""
        if self.unit == "px":
            return 1.0
        return volume_mm3 / (1000 if self.size_unit(dims) == "ml" else self.mm**dims)

    def spacing_of(self, image: Sized) -> tuple[float, ...]:
        """Spacing of an image in millimetres; 1 where lengths are in pixels."""
        return (1.0,) * len(image.spacing_mm) if self.unit == "px" else image.spacing_mm

    def text(self, lengths_mm: Sequence[float] | np.ndarray, between: str = "x", digits: int = 4) -> str:
        """Some lengths with their unit: 0.65x0.65 µm."""
        return f"{between.join(f'{length / self.mm:.{digits}g}' for length in lengths_mm)} {self.unit}"


def mm_in(unit: str) -> float:
    """Millimetres in a unit that lengths are shown in; 1 for pixels."""
    return next((mm for name, mm, _ in _UNITS if name == unit), 1.0)


def edge_of(spacing_mm: Sequence[float]) -> float:
    """The edge of a cube (square in 2D) as large as a voxel."""
    return float(np.exp(np.mean(np.log(spacing_mm))))


def step_of(spacing_mm: Sequence[float]) -> float:
    """The edge of a voxel, rounded up to two digits; at least 1 mm where it is a quarter of a millimetre or more.

    It is not below the edge, since a tolerance below the distance of two voxels lets only equal surfaces agree.
    """
    edge = edge_of(spacing_mm)
    digit = 10.0 ** (math.floor(math.log10(edge)) - 1)
    up = float(f"{math.ceil(round(edge / digit, 4)) * digit:.2g}")
    return max(1.0, up) if edge >= _LEAST else up
