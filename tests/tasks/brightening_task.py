"""A task in an extension that learns images from images."""

from __future__ import annotations

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
    outputs = ("bright",)
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
        return {"closeness": 1 - float(np.abs(answer - truth[0]).mean())}


@tasks.register("brightening", papers="ronneberger2015unet")
def brightening(labels: Labels) -> Brightening:
    """Brighter images."""
    return Brightening(labels)
