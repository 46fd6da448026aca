"""Encoders: an image becomes maps, finest first.

An encoder builder takes (in_channels, levels, block, down, stem) and reports `.channels` of each level (0 where there is
no map to skip from), `.strides` of each level against the one before, and `.shrinks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..core.registry import Registry
from .blocks.conv import blocks
from .layers import Part, Style, build_part
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


class Stage(nn.Module):
    """The way down into a level and its block."""

    def __init__(self, in_channels: int, level: Level, block: Part, down: Part | None) -> None:
        super().__init__()
        one = (1,) * level.style.dims
        given = dict(style=level.style, in_channels=in_channels, out_channels=level.channels)
        # where there is no way down of its own, the block takes the stride
        own = build_part(downs, down, **given, stride=level.stride) if down is not None else None
        self.down = own or nn.Identity()
        given["in_channels"] = own.out_channels if own is not None else in_channels
        stride = level.stride if own is None and down is not None else one
        self.block = build_part(blocks, block, **given, kernel=level.kernel, stride=stride, depth=level.blocks_encoder)
        self.dropout = (None if "D" in level.style.order else level.style.dropout_layer()) or nn.Identity()
        self.out_channels: int = self.block.out_channels  # type: ignore[assignment]
        self.shrink: tuple[int, ...] = getattr(self.block, "shrink", ()) or (0,) * level.style.dims

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.block(self.down(x)))


class StagesEncoder(nn.Module):
    """One stage for each level, after an optional stem on the full grid."""

    def __init__(
        self, in_channels: int, levels: Sequence[Level], block: Part, down: Part, stem: Part | None = None
    ) -> None:
        super().__init__()
        first = levels[0]
        self.stem: nn.Module = nn.Identity()
        channels = in_channels
        if stem is not None:
            given = dict(style=first.style, in_channels=in_channels, out_channels=first.channels, depth=1)
            self.stem = build_part(blocks, stem, **given, kernel=first.kernel, stride=(1,) * first.style.dims)
            channels = self.stem.out_channels  # type: ignore[assignment]
        stages = []
        for index, level in enumerate(levels):
            stages.append(Stage(channels, level, block, down if index else None))
            channels = stages[-1].out_channels
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(stage.out_channels for stage in stages)
        self.strides = tuple(level.stride for level in levels)
        shrink = getattr(self.stem, "shrink", ()) or (0,) * first.style.dims
        entrance = tuple(a + b for a, b in zip(shrink, stages[0].shrink, strict=True))
        self.shrinks = (entrance, *(stage.shrink for stage in stages[1:]))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


@encoders.register("stages")
def _stages(in_channels: int, levels: Sequence[Level], block: Part, down: Part, stem: Part | None) -> nn.Module:
    """One stage of blocks for each level."""
    return StagesEncoder(in_channels, levels, block, down, stem)
