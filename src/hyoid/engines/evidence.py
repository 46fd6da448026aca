"""Evidence: what a net says of voxels, what of it is averaged over tiles, and how that becomes probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn

from ..nets.net import Net
from ..tasks.task import Task

TOGETHER = 2**20
"""Numbers that are made probabilities at once, so few that they stay in the cache."""


@dataclass(frozen=True)
class Evidence:
    """Probabilities are averaged over tiles; of a net with more classes than last features, these features are.

    The last convolution of most nets is one of single voxels, and the weights w_i of overlapping tiles sum to one, so
    that it may as well come after averaging: sum_i w_i (A f_i + b) = A (sum_i w_i f_i) + b. That averages logits, as
    nnU-Net does, in the memory of the features, and convolves each voxel once.

    Attributes:
        net: Gives what it says (B, channels, *S) as the first of a tuple: logits or features.
        channels: How many maps it says, and how many are averaged.
        head: The convolution that makes logits of features; None where the net gives logits.
        task: What makes probabilities of logits.

    Reference:
        isensee2021nnunet.
    """

    net: nn.Module
    channels: int
    head: nn.Conv2d | nn.Conv3d | None
    task: Task

    @classmethod
    def of(cls, net: Net, task: Task) -> Evidence:
        """The evidence of a net, whose weights it shares."""
        head = net.last_convolution()
        if head is None or head.in_channels >= head.out_channels:
            return cls(net, task.channels, None, task)
        shared = {id(weight): weight for weight in (*net.parameters(), *net.buffers())}
        features = deepcopy(net, {**shared, id(head): nn.Identity()})
        return cls(features, head.in_channels, head, task)

    @property
    def kind(self) -> str:
        """What the net says: logits or features."""
        return "logits" if self.head is None else "features"

    def averaged(self, said: Tensor) -> Tensor:
        """What is averaged of what the net says (B, channels, *S): probabilities, or the features, in 32 bits."""
        return self.task.activate(said) if self.head is None else said.float()

    def probabilities(self, averaged: Tensor) -> Tensor:
        """Probabilities (B, K, *S) of averages (B, channels, *S)."""
        if self.head is None:
            return averaged
        logits = self.head.weight.detach().float().flatten(1) @ averaged.flatten(2).float()
        if self.head.bias is not None:
            logits += self.head.bias.detach().float()[:, None]
        return self.task.activate(logits.unflatten(2, averaged.shape[2:]))

    def parts(self, averaged: Tensor) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Probabilities (K, *S) of parts of averages (channels, *S), and where they lie in S.

        Parts that have to be made of features are so small that they stay in the cache.
        """
        shape = averaged.shape[1:]
        axis = next((axis for axis, size in enumerate(shape) if size > 1), 0)
        step = max(1, TOGETHER // max(1, self.task.channels * math.prod(shape[axis + 1 :])))
        step = shape[axis] if self.head is None else step
        for start in range(0, shape[axis], step):
            some = averaged.narrow(axis + 1, start, min(step, shape[axis] - start))
            place = [slice(None)] * len(shape)
            place[axis] = slice(start, start + step)
            yield tuple(place), self.probabilities(some[None])[0]
