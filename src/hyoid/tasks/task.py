"""What every task is: the meaning of a net's channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np

from ..core.case import Kind, Truth
from ..core.errors import ConfigError, DataError, HyoidError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.registry import Registry
from ..ops.confusion import dice_of_labels

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def mean_known(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN when none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True)
class Deciding:
    """The score by which a net is judged while it learns; higher is better.

    Attributes:
        name: What `Task.score` calls it. Scores named `name` or `name:structure` are averaged.
        gain: A rise that is worth further training.
        begun: Below it a net has hardly begun to find what it should.
        saturated: From it on little is left to gain.
    """

    name: str
    gain: float = 0.002
    begun: float = 0.1
    saturated: float = 0.99

    def of(self, scores: Mapping[str, float]) -> float:
        """Mean of the scores that decide; NaN when none was measured."""
        return mean_known([value for key, value in scores.items() if f"{key}:".startswith(f"{self.name}:")])


class Task(Protocol):
    """What is asked of the net. A task names this class as its base, and so inherits the defaults.

    Attributes:
        labels: The structures and their file values; empty for a task that has none.
        channels: Channels of the logits.
        outputs: A name for each map that `activate` gives.
        structures: Names of what is answered and counted.
        truth: What the task learns from.
        default_loss: A name from the shelf of losses.
        default_metrics: Names from the shelves of metrics; empty for those of the settings.
        decides: The score that judges the net while it learns.
        assembles: Whether an answer needs the maps of the whole image (`assemble`), not each voxel alone (`decode`).
        averages: What overlapping tiles average: "features" where these are fewer than the logits, else
            "probabilities"; or always "logits".
        halo: Voxels around a patch whose truth `encode` must see.
        heads: How many of the net's logits are supervised, finest first; None for all.
        counts: Whether hits can be counted voxel by voxel in the target.
        ignores: What marks voxels that do not count: -1 in the "target", or 0 in the "weight".
    """

    labels: Labels
    channels: int
    outputs: tuple[str, ...]
    structures: tuple[str, ...]
    default_loss: str
    truth: ClassVar[Truth] = "labels"
    default_metrics: ClassVar[tuple[str, ...]] = ()
    decides: ClassVar[Deciding] = Deciding("dice")
    assembles: ClassVar[bool] = False
    averages: ClassVar[Literal["features", "logits"]] = "features"
    halo: ClassVar[int] = 0
    heads: ClassVar[int | None] = None
    counts: ClassVar[bool] = True
    ignores: ClassVar[Literal["target", "weight"]] = "target"

    @property
    def probable(self) -> bool:
        """Whether the last maps are probabilities of the structures, by whose names `outputs` then calls them."""
        named = self.structures if self.kind == "labels" else ()
        return bool(named) and self.outputs[-len(named) :] == named

    @property
    def kind(self) -> Kind:
        """What an answer is: labels or numbers of objects ("labels"), an image ("intensities"), or a field."""
        kinds: dict[Truth, Kind] = {"image": "intensities", "field": "field"}
        return kinds.get(self.truth, "labels")

    @property
    def dtype(self) -> np.dtype:
        """Type of an answer: the smallest integers that hold every label; int32 for objects, float32 for images."""
        if self.kind != "labels":
            return np.dtype(np.float32)
        return np.dtype(np.int32) if self.truth == "instances" else file_dtype(self.labels)

    def encode(self, truth: Tensor) -> Tensor:
        """The target of a truth, after it was warped with its image; called in the threads that cut patches.

        Args:
            truth: File values or object numbers (B, *S), or numbers (B, C', *S) of an image or a field.

        Raises:
            DataError: When a value is not declared.
        """
        raise NotImplementedError

    def activate(self, logits: Tensor) -> Tensor:
        """The maps of logits (B, C, *S), float32: probabilities, or what the channels stand for."""
        raise NotImplementedError

    def logits(self, maps: Tensor) -> Tensor:
        """Logits (B, C, *S) that `activate` turns into these maps, for an ensemble, which averages maps as a net."""
        raise HyoidError(f"{type(self).__name__} gives no logits for its maps; `unite: logits` averages logits.")

    def decode(self, maps: Array) -> Array:
        """The answer (*S) of maps (C, *S), voxel by voxel; of images (C', *S), scaled as targets, of fields in mm."""
        raise NotImplementedError

    def assemble(self, maps: np.ndarray, grid: Grid) -> np.ndarray:
        """The answer, as `decode`'s, of the maps (C, *S) of a whole image on its prepared grid, if a task `assembles`.

        The maps may be float16 and on disk.
        """
        raise HyoidError(f"{type(self).__name__} is answered voxel by voxel; nothing has to be assembled.")

    def mirrored(self, maps: Tensor, axes: Sequence[int]) -> Tensor:
        """The maps (B, C, *S) of an image as they are when it is mirrored along these spatial axes, 0 the first."""
        return maps.flip([axis + 2 for axis in axes])

    def score(self, answer: np.ndarray, truth: np.ndarray, grid: Grid) -> dict[str, float]:
        """Scores of the answer to a prepared case, each `name` or `name:structure`; NaN where nothing can be said.

        Args:
            answer: What `decode` or `assemble` gave.
            truth: The truth of the case (*S), or (C', *S) for images and fields.
            grid: Where both lie.

        Unless a task has its own, Dice of each structure.
        """
        return {f"dice:{name}": value for name, value in dice_of_labels(answer, truth, self.labels).items()}


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
        index = (values.clamp(max=1) if self.labels.objects else values).long() - self.low
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


def answered(task: Task, answer: Any) -> np.ndarray:
    """An answer of a task, looked at and in the type of its file.

    Args:
        answer: What `decode` or `assemble` gave: file values or object numbers, or numbers of an image or a field.

    Raises:
        ConfigError: When a value is none that the task may answer, or no finite number.
    """
    values = np.asarray(answer.cpu() if hasattr(answer, "cpu") else answer)
    if task.kind != "labels":
        strange, known = ~np.isfinite(values), "finite numbers"
    elif task.labels.objects or task.truth == "instances":
        strange = (values != np.rint(values)) | (values < 0) | (values > np.iinfo(np.int32).max)
        known = "numbers of objects from 1 on, and 0"
    else:
        allowed = sorted({0, *(value for _, value, _ in task.labels.named)})
        whole = values.dtype.kind in "iu"  # then a table is several times as quick
        strange = ~np.isin(values, allowed, kind="table" if whole else None)
        known = f"the values {', '.join(map(str, allowed))}"
    if strange.any():
        raise ConfigError(
            f"Task {type(task).__name__}: an answer holds {values[strange][0]}, but expected are {known}; look at its"
            " `decode` or `assemble`."
        )
    return values.astype(task.dtype, copy=False)


def file_dtype(labels: Labels) -> np.dtype:
    """The smallest integer type, of those that torch computes with, for every value a prediction writes.

    Objects, of which there may be any number, take int32.
    """
    if labels.objects:
        return np.dtype(np.int32)
    values = (0, *(value for _, value, _ in labels.named))
    low, high = min(values), max(values)
    kinds = (np.dtype(name) for name in ("uint8", "int16", "int32", "int64"))
    return next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
