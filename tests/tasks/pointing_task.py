"""A whole task in an extension: every pixel of a cell points to the middle of its cell, and what points to one place is
one cell. Pixels that touch are told apart, since they point apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.metrics.instances import object_metrics
from hyoid.tasks.task import Deciding, Task, tasks

REACH = 8.0
"""Pixels that an arrow of length 1 spans."""


class Pointing(Task):
    """Maps: how likely a pixel is in any cell, and where the middle of its cell lies, down and to the right."""

    truth = "instances"
    default_loss = "l2"
    default_metrics = ("object_f1", "aji", "dice")
    decides = Deciding("f1", gain=0.005, begun=0.02, saturated=0.98)
    assembles = True
    averages = "logits"
    halo = 4
    heads = 1
    counts = False
    ignores = "weight"
    channels = 3
    outputs = ("inside", "down", "right")

    def __init__(self, labels: Labels) -> None:
        self.labels, self.structures = labels, labels.names

    def encode(self, truth: Tensor) -> Tensor:
        """Inside or not, and the arrow to the middle of the part of its cell that is seen, (B, 3, *S)."""
        places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in truth.shape[1:]), indexing="ij")).float()
        maps = []
        for numbers in truth:
            found, index, counts = numbers.unique(return_inverse=True, return_counts=True)
            sums = torch.zeros(2, len(found)).index_add_(1, index.flatten(), places.flatten(1))
            inside = (numbers > 0).float()[None]
            maps.append(torch.cat([inside, inside * ((sums / counts)[:, index] - places) / REACH]))
        return torch.stack(maps)

    def activate(self, logits: Tensor) -> Tensor:
        """A probability and two lengths."""
        return torch.cat([logits[:, :1].float().sigmoid(), logits[:, 1:].float()], 1)

    def mirrored(self, maps: Tensor, axes: Sequence[int]) -> Tensor:
        """Arrows along a mirrored axis point the other way."""
        signs = [-1.0 if channel - 1 in axes else 1.0 for channel in range(maps.shape[1])]
        return super().mirrored(maps, axes) * torch.tensor(signs, device=maps.device).view(-1, *(1,) * (maps.ndim - 2))

    def assemble(self, maps: np.ndarray, grid: Grid) -> np.ndarray:
        """Numbers of cells: pixels vote for a middle, and belong to the peak of votes that is nearest to their own."""
        inside = np.argwhere(maps[0] > 0.5)
        votes = np.round(inside + REACH * maps[1:][:, *inside.T].T).astype(int)
        votes = votes.clip(0, np.array(grid.shape) - 1)
        heat = np.zeros(grid.shape, np.float32)
        np.add.at(heat, tuple(votes.T), 1)
        heat = ndimage.gaussian_filter(heat, 1.5)
        peaks, _ = ndimage.label((heat == ndimage.maximum_filter(heat, 7)) & (heat > 0.5), np.ones((3, 3)))
        numbers = np.zeros(grid.shape, np.int32)
        if peaks.any():
            nearest = ndimage.distance_transform_edt(peaks == 0, return_distances=False, return_indices=True)
            numbers[tuple(inside.T)] = peaks[tuple(nearest)][tuple(votes.T)]
        return numbers

    def score(self, answer: np.ndarray, truth: np.ndarray, grid: Grid) -> dict[str, float]:
        """Share of cells that are found."""
        return {f"f1:{self.structures[0]}": object_metrics.build("object_f1")(answer, np.maximum(truth, 0))}


@tasks.register("pointing", papers="caicedo2019nucleus")
def pointing(labels: Labels) -> Pointing:
    """Cells by the place that their pixels point to."""
    return Pointing(labels)
