"""Image, Case and Batch: the things that flow from files to the net and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from .errors import DataError
from .grid import Grid

if TYPE_CHECKING:
    import torch

Kind = Literal["intensities", "labels", "probabilities"]


@dataclass(frozen=True)
class Image:
    """An array and where its voxels lie.

    Attributes:
        array: Shape (C, *grid.shape). Labels have one channel of integers.
        grid: Where the voxels lie.
        kind: What the numbers are; decides how they are interpolated.
    """

    array: np.ndarray
    grid: Grid
    kind: Kind = "intensities"

    def __post_init__(self) -> None:
        if self.array.shape[1:] != self.grid.shape:
            raise DataError(f"An image array has shape (channels, {self.grid.shape}); got {self.array.shape}.")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.array.shape[0])

    def with_array(self, array: np.ndarray, kind: Kind | None = None) -> Image:
        """Other numbers on the same grid."""
        return replace(self, array=array, kind=kind or self.kind)


@dataclass(frozen=True)
class Case:
    """One examination.

    Attributes:
        id: Unique name within its data set.
        image: All channels on one grid.
        labels: The annotation on the grid of the image, or None.
        facts: What else is known: patient, group, source files, any column of the case table.
    """

    id: str
    image: Image
    labels: Image | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Batch:
    """The tensors of one training step.

    Attributes:
        image: (B, C, *S) float32.
        target: What the task's `encode` gave, or None when nothing is labelled.
        weight: (B, *S) weight of each voxel in the loss, or None for equal weights.
        case_ids: Which case each sample was cut from.
    """

    image: torch.Tensor
    target: torch.Tensor | None
    weight: torch.Tensor | None = None
    case_ids: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""

        def move(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return Batch(self.image.to(device, non_blocking=True), move(self.target), move(self.weight), self.case_ids)
