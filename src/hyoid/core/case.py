"""Image, Case and Batch: the things that flow from files to the net and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .errors import DataError
from .grid import Grid

if TYPE_CHECKING:
    import torch

Kind = Literal["intensities", "labels", "probabilities", "field"]

Truth = Literal["labels", "instances", "image", "field", "points", "class"]
"""What a case may be annotated with; a task names the one it learns from."""


@dataclass(frozen=True)
class Image:
    """An array and where its voxels lie.

    Attributes:
        array: Shape (C, *grid.shape). Labels have one channel of integers; a field has one channel for each axis of the
            body: displacements in RAS millimetres, which keep their values whatever grid they are put onto.
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
        truth: The annotation on the grid of the image: labels, object numbers, a target image or a field; None when the
            case has none.
        other: The second image of a pair, on the grid of the image; None when there is none or nobody asked for it.
        facts: What else is known: patient, group, source files, any column of the case table.
        annotated: Names of the structures that were annotated; None when all were. The others are unknown in this case,
            not absent.
    """

    id: str
    image: Image
    truth: Image | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    annotated: tuple[str, ...] | None = None
    other: Image | None = None


@dataclass
class Batch:
    """The tensors of one training step, of one stream.

    Attributes:
        image: (B, C, *S) float32.
        target: What the task's `encode` gave, or None when nothing is labelled.
        weight: (B, *S) weight of each voxel in the loss, or None for equal weights.
        case_ids: Which case each sample was cut from.
        labelled: (B,) bool, which samples have a target; None when all have.
        annotated: (B, K) bool, which structures were annotated in the case of a sample; None when all were.
        other: A second image (B, C, *S) of each sample: the other one of a pair, or another view of the same patch.
    """

    image: torch.Tensor
    target: torch.Tensor | None
    weight: torch.Tensor | None = None
    case_ids: tuple[str, ...] = ()
    labelled: torch.Tensor | None = None
    annotated: torch.Tensor | None = None
    other: torch.Tensor | None = None

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor by name."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "case_ids"}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return replace(self, **moved)
