"""Evidence: what a net gives for voxels, what of it is averaged over tiles, and how that becomes maps of a task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..nets.net import Net
from ..tasks.task import Task

TOGETHER = 2**20
"""Numbers that are activated at once, so few that they stay in the cache."""


@dataclass(frozen=True)
class Evidence:
    """Probabilities are averaged over tiles; of a net with more classes than last features, these features are.

    The last convolution of most nets is one of single voxels, and the weights w_i of overlapping tiles sum to one, so
    that it may as well come after averaging: sum_i w_i (A f_i + b) = A (sum_i w_i f_i) + b. That averages logits, as
    nnU-Net does, in the memory of the features, and convolves each voxel once. A task may ask for logits themselves.

    Attributes:
        channels: How many maps an engine gives, and how many are averaged.
        head: The convolution that makes logits of features; None where the engine gives logits.
        task: What makes maps of logits.

    Reference:
        isensee2021nnunet.
    """

    channels: int
    head: nn.Conv2d | nn.Conv3d | None
    task: Task

    @property
    def kind(self) -> str:
        """What an engine gives: logits or features."""
        return "logits" if self.head is None else "features"

    @property
    def activated(self) -> bool:
        """Whether the maps themselves are averaged, so that averages are maps already."""
        return self.head is None and self.task.averages != "logits"

    def averaged(self, said: Tensor) -> Tensor:
        """What is averaged (B, channels, *S), in 32 bits: the maps, or the logits or features as they are."""
        return self.task.activate(said) if self.activated else said.float()

    def maps(self, averaged: Tensor) -> Tensor:
        """The maps of the task (B, K, *S), of averages (B, channels, *S)."""
        if self.activated:
            return averaged
        if self.head is None:
            return self.task.activate(averaged)
        logits = self.head.weight.detach().float().flatten(1) @ averaged.flatten(2).float()
        if self.head.bias is not None:
            logits += self.head.bias.detach().float()[:, None]
        return self.task.activate(logits.unflatten(2, averaged.shape[2:]))

    def parts(self, averaged: Tensor) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Maps (K, *S) of parts of averages (channels, *S), and where they lie in S.

        Parts that have to be activated are so small that they stay in the cache.
        """
        shape = averaged.shape[1:]
        axis = next((axis for axis, size in enumerate(shape) if size > 1), 0)
        step = max(1, TOGETHER // max(1, self.task.channels * math.prod(shape[axis + 1 :])))
        step = shape[axis] if self.activated else step
        for start in range(0, shape[axis], step):
            some = averaged.narrow(axis + 1, start, min(step, shape[axis] - start))
            place = [slice(None)] * len(shape)
            place[axis] = slice(start, start + step)
            yield tuple(place), self.maps(some[None])[0]


def evidence_of(net: Net, task: Task) -> tuple[nn.Module, Evidence]:
    """The evidence of a net, and the net that gives it as the first of a tuple; it shares the weights.

    Features may only be averaged where a flip leaves the channels alone: a task that swaps or turns its maps in
    `mirrored` has its maps or logits averaged.
    """
    head = net.last_convolution()
    turned = type(task).mirrored is not Task.mirrored
    if head is None or head.in_channels >= head.out_channels or turned or task.averages == "logits":
        return net, Evidence(task.channels, None, task)
    return exchanged(net, {head: nn.Identity()}), Evidence(head.in_channels, head, task)


def exchanged(net: nn.Module, parts: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """A copy of a net that shares its weights, with others in the place of some parts."""
    shared: dict[int, Any] = {id(weight): weight for weight in (*net.parameters(), *net.buffers())}
    return deepcopy(net, shared | {id(old): new for old, new in parts.items()})
