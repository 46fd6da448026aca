"""Regions: structures that may overlap, each asked for on its own (sigmoid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.labels import Labels
from .task import Array, Task, ValueTable, file_dtype, tasks

if TYPE_CHECKING:
    from torch import Tensor


@tasks.register("regions", papers="isensee2021nnunet")
class Regions(Task):
    """Structures that may overlap.

    A voxel may lie in several, as in a tumour's core and the whole tumour. The target holds one mask for each. Answers
    have the value of exactly the structures that a voxel lies in; where no value says so, or `paint` gives others, they
    are painted in the order of the structures, so that a later one covers an earlier one.

    Reference:
        isensee2021nnunet.
    """

    default_loss = "dice_ce"

    def __init__(self, labels: Labels) -> None:
        count = len(labels.names)
        values = {0, *(value for group in labels.values for value in group)}
        columns = {value: [int(value in group) for group in labels.values] for value in sorted(values)}
        if labels.ignore is not None:
            columns[labels.ignore] = [-1] * count
        self.labels = labels
        self.structures = self.outputs = labels.names
        self.channels = count
        self._table = ValueTable(columns, labels)
        self._mixed = {} if labels.paint else _mixed(columns, labels)
        self._dtype = file_dtype(labels, self._mixed)

    def encode(self, labels: Tensor) -> Tensor:
        """Masks (B, R, *S), float32; -1 where ignored."""
        return self._table(labels).float().transpose(0, 1).contiguous()

    def activate(self, logits: Tensor) -> Tensor:
        """Probability of each structure by itself."""
        return logits.float().sigmoid()

    def logits(self, maps: Tensor) -> Tensor:
        """Logarithms of odds: their sigmoid is the probabilities."""
        return maps.logit(eps=1e-7)

    def decode(self, probabilities: Array) -> Array:
        """The value of the structures that are more probable than not, or of the last painted one, else 0."""
        if isinstance(probabilities, np.ndarray):
            painted = np.zeros(probabilities.shape[1:], self._dtype)
        else:
            import torch

            kind = torch.from_numpy(np.zeros(0, self._dtype)).dtype
            painted = torch.zeros(probabilities.shape[1:], dtype=kind, device=probabilities.device)
        inside = probabilities > 0.5
        for value, mask in zip(self.labels.written, inside, strict=True):
            painted[mask] = value
        for value, column in self._mixed.items():
            mask = inside[0] == bool(column[0])
            for found, wanted in zip(inside[1:], column[1:], strict=True):
                mask &= found == bool(wanted)
            painted[mask] = value
        return painted


def _mixed(columns: dict[int, list[int]], labels: Labels) -> dict[int, list[int]]:
    """Values of voxels in several structures that painting does not give, and which structures these are."""
    written = (0, *labels.written)
    missed: dict[int, list[int]] = {}
    for value, column in columns.items():
        last = max((place for place, inside in enumerate(column, 1) if inside > 0), default=0)
        if columns.get(written[last]) != column and column not in missed.values() and min(column) >= 0:
            missed[value] = column
    return missed
