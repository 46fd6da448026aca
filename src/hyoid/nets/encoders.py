"""Encoders: an image becomes maps, finest first.

An encoder is built with a `WayDown` as `way`, and reports `.channels` of each level (0 where there
is no map to skip from), `.strides` of each level against the one before, and `.shrinks`, the voxels each level removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..core.registry import Registry
from .blocks.conv import blocks
from .layers import Part, Parts, Style, at_level, build_part
from .recompute import Recomputed
from .resample import downs

encoders: Registry[nn.Module] = Registry("encoder")


@dataclass(frozen=True)
class Level:
    """What one level of a U is made of; the coarsest has no decoder."""

    channels: int
    decoder_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    blocks_encoder: int
    blocks_decoder: int
    style: Style

    def block(
        self, part: Part, in_channels: int, out_channels: int, depth: int, stride: Sequence[int] | None = None
    ) -> nn.Module:
        """A block of this level's style and kernel; it keeps the grid unless given a stride."""
        one = (1,) * self.style.dims
        given = {"in_channels": in_channels, "out_channels": out_channels, "depth": depth, "stride": stride or one}
        return build_part(blocks, part, style=self.style, kernel=self.kernel, **given)


@dataclass(frozen=True)
class WayDown:
    """What an encoder is made of, as the spec of the U says."""

    in_channels: int
    levels: Sequence[Level]
    block: Parts = "plain"
    down: Part = "strided"
    stem: Part | None = None


def blocked(block: nn.Module, x: Tensor, condition: Tensor | None) -> Tensor:
    """What a block makes of a map; blocks that are told about the sample are given the condition."""
    return block(x) if condition is None else block(x, condition)


def shrink_of(block: nn.Module, dims: int) -> tuple[int, ...]:
    """Voxels a block removes from each axis; most remove none."""
    return getattr(block, "shrink", ()) or (0,) * dims


class Stage(Recomputed):
    """The way down into a level, where there is one, and the level's block."""

    def __init__(self, in_channels: int, level: Level, block: Part, down: Part | None) -> None:
        super().__init__()
        self.down: nn.Module | None = None
        stride = None
        if down is not None:
            given = {"in_channels": in_channels, "out_channels": level.channels, "stride": level.stride}
            self.down = build_part(downs, down, style=level.style, **given)
            # where there is no way down of its own, the block takes the stride
            stride = level.stride if self.down is None else None
        entering = in_channels if self.down is None else self.down.out_channels
        self.block = level.block(block, entering, level.channels, level.blocks_encoder, stride)  # type: ignore[arg-type]
        self.dropout = None if "D" in level.style.order else level.style.dropout_layer()
        self.out_channels: int = self.block.out_channels  # type: ignore[assignment]
        self.shrink = shrink_of(self.block, level.style.dims)

    def compute(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if self.down is not None:
            x = self.down(x)
        x = blocked(self.block, x, condition)
        return x if self.dropout is None else self.dropout(x)


@encoders.register("stages", papers="ronneberger2015unet")
class StagesEncoder(nn.Module):
    """One stage of blocks for each level, after an optional stem on the grid of the image."""

    def __init__(self, way: WayDown) -> None:
        super().__init__()
        first, dims = way.levels[0], way.levels[0].style.dims
        self.stem = None if way.stem is None else first.block(way.stem, way.in_channels, first.channels, 1)
        channels: int = way.in_channels if self.stem is None else self.stem.out_channels  # type: ignore[assignment]
        stages: list[Stage] = []
        for index, level in enumerate(way.levels):
            stages.append(Stage(channels, level, at_level(way.block, index), way.down if index else None))
            channels = stages[-1].out_channels
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(stage.out_channels for stage in stages)
        self.strides = tuple(level.stride for level in way.levels)
        entrance = (0,) * dims if self.stem is None else shrink_of(self.stem, dims)
        shrinks = [stage.shrink for stage in stages]
        self.shrinks = (tuple(map(sum, zip(entrance, shrinks[0], strict=True))), *shrinks[1:])

    def forward(self, x: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        if self.stem is not None:
            x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x, condition)
            maps.append(x)
        return maps
