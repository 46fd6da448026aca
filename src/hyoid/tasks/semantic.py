"""Classes: every voxel is background or one structure (softmax)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import DataError
from ..core.labels import Labels
from .task import Array, Task, ValueTable, file_dtype, tasks

if TYPE_CHECKING:
    from torch import Tensor


@tasks.register("classes")
class Classes(Task):
    """Every voxel is background or one structure.

    The target holds class indices, 0 for background and i + 1 for structure i. A structure may have several values as
    long as no other shares them; it is written as the first of `Labels.written`.

    Raises:
        DataError: When structures share values.
    """

    default_loss = "dice_ce"

    def __init__(self, labels: Labels) -> None:
        columns = {0: [0]}
        for index, (name, group) in enumerate(zip(labels.names, labels.values, strict=True), start=1):
            for value in group:
                if value in columns:
                    raise DataError(f"Value {value} of {name!r} belongs to two structures; use the task `regions`.")
                columns[value] = [index]
        if labels.ignore is not None:
            columns[labels.ignore] = [-1]
        self.labels = labels
        self.structures = labels.names
        self.outputs = ("background", *labels.names)
        self.channels = len(self.outputs)
        self._table = ValueTable(columns, labels)
        self._written = np.array([0, *labels.written], file_dtype(labels))

    def encode(self, labels: Tensor) -> Tensor:
        """Class indices (B, *S), int64; -1 where ignored."""
        return self._table(labels)[0]

    def activate(self, logits: Tensor) -> Tensor:
        """Probabilities of the classes, which sum to 1."""
        return logits.float().softmax(1)

    def logits(self, maps: Tensor) -> Tensor:
        """Logarithms of probabilities: their softmax is the probabilities."""
        return maps.clamp(min=1e-30).log()

    def decode(self, probabilities: Array) -> Array:
        """The value of the most probable class at each voxel."""
        if isinstance(probabilities, np.ndarray):
            from ..ops.decoding import winner

            return self._written[winner(probabilities)]
        import torch

        from ..ops.decoding import winner_of

        return torch.from_numpy(self._written).to(probabilities.device)[winner_of(probabilities)]
