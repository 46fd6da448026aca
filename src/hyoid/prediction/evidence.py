"""Evidence: what a net says of voxels that is blended before it becomes probabilities."""

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
    """The logits of a net, or the features they are made of where those are fewer.

    Blending is a weighted mean whose weights w_i sum to one at every voxel, and the last convolution of most nets is
    one of single voxels, so that it may as well come after: sum_i w_i (A f_i + b) = A (sum_i w_i f_i) + b. Of a net of
    105 classes and 32 features a third is blended, and the convolution is done once at each voxel.

    Attributes:
        net: Gives the evidence (B, channels, *S) as the first of a tuple.
        channels: How many maps it has.
        head: The convolution that makes logits of it; None when it is the logits.
        task: What makes probabilities of logits.
    """

    net: nn.Module
    channels: int
    head: nn.Conv2d | nn.Conv3d | None
    task: Task

    @classmethod
    def of(cls, net: Net, task: Task) -> Evidence:
        """What is blended of a net; it shares the weights of the net."""
        head = net.last_convolution()
        if head is None or head.in_channels >= head.out_channels:
            return cls(net, task.channels, None, task)
        shared = {id(weight): weight for weight in (*net.parameters(), *net.buffers())}
        features = deepcopy(net, {**shared, id(head): nn.Identity()})
        return cls(features, head.in_channels, head, task)

    @property
    def kind(self) -> str:
        """What it is: logits or features."""
        return "logits" if self.head is None else "features"

    def probabilities(self, evidence: Tensor) -> Tensor:
        """Probabilities (B, K, *S) of evidence (B, channels, *S)."""
        if self.head is None:
            return self.task.activate(evidence)
        logits = self.head.weight.float().flatten(1) @ evidence.flatten(2).float()
        if self.head.bias is not None:
            logits += self.head.bias.float()[:, None]
        return self.task.activate(logits.unflatten(2, evidence.shape[2:]))

    def parts(self, evidence: Tensor) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Probabilities (K, *S) of parts of evidence (channels, *S) that stay in the cache, and where they lie in S."""
        shape = evidence.shape[1:]
        axis = next((axis for axis, size in enumerate(shape) if size > 1), 0)
        step = max(1, TOGETHER // max(1, self.task.channels * math.prod(shape[axis + 1 :])))
        for start in range(0, shape[axis], step):
            some = evidence.narrow(axis + 1, start, min(step, shape[axis] - start))
            place = [slice(None)] * len(shape)
            place[axis] = slice(start, start + step)
            yield tuple(place), self.probabilities(some[None])[0]
