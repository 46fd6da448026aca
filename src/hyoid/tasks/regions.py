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
        self._shared = {value: [name in names for name in labels.names] for value, names in labels.shared.items()}
        self._dtype = file_dtype(labels)

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
        for value, wanted in self._shared.items():
            mask = inside[0] == wanted[0]
            for found, one in zip(inside[1:], wanted[1:], strict=True):
                mask &= found == one
            painted[mask] = value
        return painted
