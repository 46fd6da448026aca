"""What every task is: the meaning of a net's channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from ..core.errors import DataError
from ..core.labels import Labels
from ..core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


class Task(Protocol):
    """What is asked of the net.

    Attributes:
        labels: The structures and their file values.
        channels: Channels of the logits.
        structures: Names of what is answered.
        default_loss: A name from the shelf of losses.
    """

    labels: Labels
    channels: int
    structures: tuple[str, ...]
    default_loss: str

    def encode(self, labels: Tensor) -> Tensor:
        """The target of labels (B, *S) that carry file values; -1 where ignored.

        Raises:
            DataError: When a value is not declared.
        """

    def activate(self, logits: Tensor) -> Tensor:
        """Probabilities of logits (B, C, *S)."""

    def decode(self, probabilities: Array) -> Array:
        """File values (*S) of probabilities (C, *S), voxel by voxel, so that slabs may be decoded alone."""


tasks: Registry[Task] = Registry("task")

_UNKNOWN = -2


class ValueTable:
    """Rows of numbers looked up by file value; values that are not in the table are refused by name.

    Args:
        columns: What each known file value becomes: numbers, one for each row of the table.
        labels: Named in the message when a value is unknown.
    """

    def __init__(self, columns: dict[int, list[int]], labels: Labels) -> None:
        self.labels = labels
        self.low = min(columns)
        table = np.full((len(next(iter(columns.values()))), max(columns) - self.low + 1), _UNKNOWN, np.int64)
        for value, column in columns.items():
            table[:, value - self.low] = column
        self.table = table

    def __call__(self, values: Tensor) -> Tensor:
        """The numbers (rows, *shape) of integers of any shape."""
        import torch

        table = torch.from_numpy(self.table).to(values.device, non_blocking=True)
        index = values.long() - self.low
        inside = (index >= 0) & (index < table.shape[1])
        found = table[:, index.clamp(0, table.shape[1] - 1)]
        if values.is_cuda:  # a GPU that is asked has to be waited for; who uses it has looked at the values before
            return found
        unknown = (found[0] == _UNKNOWN) | ~inside
        if unknown.any():
            raise DataError(_sentence(values[unknown], self.labels))
        return found


def _sentence(strangers: Tensor, labels: Labels) -> str:
    values = sorted({int(value) for value in strangers.unique()})
    shown = ", ".join(map(str, values[:5])) + (" and more" if len(values) > 5 else "")
    pairs = zip(labels.names, labels.values, strict=True)
    known = ["background 0", *(f"{name} {'+'.join(map(str, group))}" for name, group in pairs)]
    if labels.ignore is not None:
        known.append(f"ignored {labels.ignore}")
    return f"The labels contain {shown}, but known are {', '.join(known)}. Declare the value or correct the file."


def file_dtype(labels: Labels) -> np.dtype:
    """The smallest integer type, of those that torch computes with, for every value a prediction writes."""
    low, high = min(0, *labels.written), max(labels.written)
    kinds = (np.dtype(name) for name in ("uint8", "int16", "int32", "int64"))
    return next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
