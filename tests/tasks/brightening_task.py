"""Tasks in an extension that learn images and a field from images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.tasks.task import Array, Deciding, Task, tasks


class Brightening(Task):
    """One map: the target image."""

    truth = "image"
    default_loss = "l2"
    default_metrics = ("psnr",)
    decides = Deciding("closeness")
    averages = "logits"
    heads = 1
    counts = False
    ignores = "weight"
    channels = 1
    outputs: ClassVar[tuple[str, ...]] = ("bright",)
    structures = ()

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def encode(self, truth: Tensor) -> Tensor:
        """The numbers of the target themselves."""
        return truth.float()

    def activate(self, logits: Tensor) -> Tensor:
        """The numbers of the net themselves."""
        return logits.float()

    def decode(self, maps: Array) -> Array:
        """The only map."""
        return maps[0]

    def score(self, answer: np.ndarray, truth: np.ndarray, grid: Grid) -> dict[str, float]:
        """1 where the answer is the target, less the further away it is."""
        assert answer.dtype == np.float32
        return {"closeness": 1 - float(np.abs(answer - truth).mean())}


class Twofold(Brightening):
    """Two maps: both channels of the target, in one image."""

    default_metrics = ()
    channels = 2
    outputs = ("bright", "dark")

    def decode(self, maps: Array) -> Array:
        """Both maps."""
        return maps


class Moving(Twofold):
    """Three maps: how far each voxel moves; answered from the maps of the whole image."""

    truth = "field"
    channels = 3
    outputs = ("right", "front", "up")
    assembles = True

    def assemble(self, maps: np.ndarray, grid: Grid) -> np.ndarray:
        """All maps, exactly."""
        assert maps.dtype == np.float32
        return np.array(maps)


tasks.register("brightening", papers="ronneberger2015unet")(Brightening)
tasks.register("twofold")(Twofold)
tasks.register("moving")(Moving)
