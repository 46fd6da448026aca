"""What a net looks like: the levels that its maps lie on, their widths, and which maps are joined across the U.

Found by following maps through the net on the meta device, so that it holds for any net. A stage is what happens on one
grid between two changes of the grid; where a map of an earlier stage joins a later one of the same level lies a skip.

Grids are changed by convolutions, poolings and enlargements; levels that a transformer makes by regrouping its tokens
alone, as swin_unet does, are not told apart, nor are encoders that lie side by side. Maps that are joined across levels
are not drawn. A spec tells in `undrawn` what is missing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .cost import device_of, tensors_in
from .net import Net

Scale = tuple[Fraction, ...]


@dataclass(frozen=True)
class LevelView:
    """One level of a net.

    Attributes:
        scale: Size of its grid as a share of the image's, along each axis.
        shape: Shape of its first map.
        widths: Channels of its maps from the way down to the way up; those between are nodes of a nested decoder.
        skips: Whether an earlier map joins the last one.
    """

    scale: Scale
    shape: tuple[int, ...]
    widths: tuple[int, ...]
    skips: bool


def portrait(net: Net, in_channels: int, shape: Sequence[int]) -> tuple[LevelView, ...]:
    """The levels of a net of `cost.without_numbers` as it answers, finest first, for images of this shape."""
    net.eval()
    device = device_of(net)
    image = torch.zeros(1, in_channels, *shape, device=device)
    flow = _Flow(image)
    with device, torch.no_grad(), flow:
        logits = net(image)
    flow.leaves(logits[0])
    levels: dict[Scale, list[_Stage]] = {}
    for stage in flow.stages:
        levels.setdefault(stage.scale, []).append(stage)
    finest_first = sorted(levels, key=lambda scale: -max(scale))
    return tuple(_view(levels[scale]) for scale in finest_first)


@dataclass(eq=False)
class _Stage:
    """A row of maps on one grid.

    Attributes:
        scale: Of its grid.
        shape: Of the first map.
        now: Of the last map; unpadded convolutions shrink it.
        width: Channels of the map that leaves it.
        left: How one did, if one did: by a way down or up, or as a skip.
        joined: Earlier stages of the same level whose maps it takes in.
        next: Stages that begin with a map of this one: of each coarser scale one, of a finer one for each map.
    """

    scale: Scale
    shape: tuple[int, ...]
    now: tuple[int, ...]
    width: int
    left: Literal["", "way", "skip"] = ""
    joined: list[_Stage] = field(default_factory=list)
    next: dict[tuple[Scale, int], int] = field(default_factory=dict)

    def leave(self, channels: int, for_skip: bool = False) -> None:
        """A map of so many channels goes elsewhere; the widest skip tells the width, or else the first way."""
        if for_skip and self.left == "skip":
            self.width = max(self.width, channels)
        elif for_skip or not self.left:
            self.width, self.left = channels, "skip" if for_skip else "way"


def _view(stages: list[_Stage]) -> LevelView:
    """A level from its stages in the order in which they begin."""
    first, nodes = stages[0], [stage for stage in stages[1:] if stage.joined]
    if not nodes and len(stages) > 1:
        nodes = stages[-1:]
    widths = tuple(stage.width for stage in (first, *nodes))
    return LevelView(first.scale, first.shape, widths, bool(nodes and nodes[-1].joined))


class _Flow(TorchDispatchMode):
    """Knows the stage of every map."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        shape = tuple(image.shape[2:])
        self.stages = [_Stage((Fraction(1),) * len(shape), shape, shape, image.shape[1])]
        self._stage: dict[int, int] = {id(image): 0}
        self._made_from: dict[int, tuple[int, int]] = {}
        self._alive = [image]

    def leaves(self, logits: Tensor) -> None:
        """The stage of the logits is as wide as what they are made from there."""
        index = self._stage[id(logits)]
        channels, place = self._made_from.get(id(logits), (0, -1))
        if place == index:
            self.stages[index].leave(channels)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        sources = [leaf for leaf in tensors_in(args) if id(leaf) in self._stage]
        if sources:
            newest = max(self._stage[id(leaf)] for leaf in sources)
            moved = _moves(func.overloadpacket, args, out)
            index = newest if moved is None else self._after(newest, args[0], out, moved)
            if moved is None:
                self._join(newest, sources)
            convolved = func.overloadpacket is torch.ops.aten.convolution
            made_from = (args[0].shape[1], index) if convolved else self._made_from.get(id(sources[0]))
            for leaf in tensors_in((out,)):
                self._stage[id(leaf)] = index
                self._alive.append(leaf)
                if made_from:
                    self._made_from[id(leaf)] = made_from
        return out

    def _after(self, newest: int, x: Tensor, out: Any, moved: Scale) -> int:
        """The stage of a map that a convolution, pooling or enlargement gives."""
        stage, result = self.stages[newest], next(tensors_in((out,)))
        size = tuple(x.shape[2:])
        if all(n == 1 for n in size) and any(n > 1 for n in stage.now):
            return newest  # means of whole maps, by which channels are weighed
        cut = tuple(_factor(n, m) for n, m in zip(stage.now, size, strict=True))
        scale = tuple(s * c * m for s, c, m in zip(stage.scale, cut, moved, strict=True))
        if scale == stage.scale:
            stage.now = tuple(result.shape[2:])
            stage.width = stage.width if stage.left else result.shape[1]
            return newest
        stage.leave(x.shape[1])
        key = (scale, 0 if max(moved) < 1 else id(x))
        if key not in stage.next:
            stage.next[key] = len(self.stages)
            shape = tuple(result.shape[2:])
            self.stages.append(_Stage(scale, shape, shape, result.shape[1]))
        return stage.next[key]

    def _join(self, newest: int, sources: Sequence[Tensor]) -> None:
        last = self.stages[newest]
        for leaf in sources:
            stage = self.stages[self._stage[id(leaf)]]
            dims = len(last.scale)
            if stage is not last and stage.scale == last.scale and leaf.ndim >= dims + 2:
                # of capsules (B, kinds, atoms, *S) the width is that of one kind, as their convolutions have it
                stage.leave(leaf.shape[1] if leaf.ndim == dims + 2 else stage.width, for_skip=True)
                if stage not in last.joined:
                    last.joined.append(stage)


def _factor(before: int, after: int) -> Fraction:
    """The whole factor between two sizes that is nearest; what borders lose does not count."""
    return Fraction(max(1, round(after / before))) / max(1, round(before / after))


def _moves(kind: Any, args: tuple[Any, ...], out: Any) -> Scale | None:
    """By which factor an operation changes the grid; none when it is not of a kind that may."""
    aten = torch.ops.aten
    if kind is aten.convolution:
        strides = [Fraction(stride) for stride in args[3]]
        return tuple(strides if args[6] else (1 / stride for stride in strides))
    if kind in _RESIZES:
        after = next(tensors_in((out,))).shape[2:]
        return tuple(_factor(n, m) for n, m in zip(args[0].shape[2:], after, strict=True))
    return None


_RESIZES = {
    torch.ops.aten.max_pool2d_with_indices,
    torch.ops.aten.max_pool3d_with_indices,
    torch.ops.aten.avg_pool2d,
    torch.ops.aten.avg_pool3d,
    torch.ops.aten.upsample_bilinear2d,
    torch.ops.aten.upsample_trilinear3d,
    torch.ops.aten.upsample_nearest2d,
    torch.ops.aten.upsample_nearest3d,
}
