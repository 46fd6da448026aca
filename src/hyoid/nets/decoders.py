"""Decoders: the maps of an encoder become maps on finer grids, finest first.

A decoder is built with a `WayUp` as `way`; it reports `.channels` of the maps it gives and `.shrinks` of its levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..core.registry import Registry
from .encoders import Level, blocked, shrink_of
from .layers import Parts, at_level, build_part, part_name
from .recompute import Recomputed
from .resample import ups
from .skips import crop_like, fuse, fused_channels, skips

decoders: Registry[nn.Module] = Registry("decoder")


@dataclass(frozen=True)
class WayUp:
    """What a decoder is made of: channels and strides as the encoder reports them, and what the spec of the U says."""

    channels: Sequence[int]
    strides: Sequence[tuple[int, ...]]
    levels: Sequence[Level]
    block: Parts
    up: Parts
    up_channels: str | tuple[int, ...]
    up_bias: bool
    skip: Parts
    fusion: str

    def into(self, index: int, coarser: int) -> nn.Module:
        """The way up into a level from a map of `coarser` channels."""
        level, asked = self.levels[index], self.up_channels
        widths = {"skip": level.channels, "same": coarser, "half": coarser // 2}
        width = asked[index] if isinstance(asked, tuple) else widths[asked]
        given = {"in_channels": coarser, "out_channels": width, "stride": self.strides[index + 1], "bias": self.up_bias}
        return build_part(ups, at_level(self.up, index), style=level.style, **given)

    def carry(self, index: int, **ends: Any) -> nn.Module | None:
        """What the skip of a level goes through; None where there is no skip."""
        ends |= {"style": self.levels[index].style, "in_channels": self.channels[index], "level": index}
        return build_part(skips, at_level(self.skip, index), **ends)

    def join(self, index: int, channels: int, width: int | None = None) -> nn.Module:
        """The block of a level, for a joined map of as many channels; as wide as the level's decoder, or another."""
        level = self.levels[index]
        return level.block(at_level(self.block, index), channels, width or level.decoder_channels, level.blocks_decoder)


class DecoderLevel(Recomputed):
    """Enlarge the coarser map, join the skip where there is one, convolve."""

    def __init__(self, up: nn.Module, skip: nn.Module | None, block: nn.Module, fusion: str) -> None:
        super().__init__()
        self.up, self.skip, self.block, self.fusion = up, skip, block, fusion

    def compute(self, coarser: Tensor, skip: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.up(coarser)
        if self.skip is not None:
            gate = coarser if getattr(self.skip, "coarse", False) else x
            x = fuse(self.skip(crop_like(skip, x), gate), x, self.fusion)
        return blocked(self.block, x, condition)


@decoders.register("unet", papers="ronneberger2015unet")
class UNetDecoder(nn.Module):
    """The expansive path: one level after the other, from the coarsest to the finest."""

    def __init__(self, way: WayUp) -> None:
        super().__init__()
        built: list[DecoderLevel] = []
        coarser = way.channels[-1]
        for index in reversed(range(len(way.channels) - 1)):
            enlarge = way.into(index, coarser)
            carry, joined = None, int(enlarge.out_channels)  # type: ignore[arg-type]
            if way.channels[index]:
                ends: dict[str, Any] = {"gate_channels": joined}
                if getattr(skips[part_name(at_level(way.skip, index))].build, "coarse", False):
                    ends = {"gate_channels": coarser, "stride": way.strides[index + 1], "bottom": not built}
                carry = way.carry(index, **ends)
            if carry is not None:
                joined = fused_channels(int(carry.out_channels), joined, way.fusion)  # type: ignore[arg-type]
            body = way.join(index, joined)
            built.append(DecoderLevel(enlarge, carry, body, way.fusion))
            coarser = int(body.out_channels)  # type: ignore[arg-type]
        self.levels = nn.ModuleList(reversed(built))
        self.channels = tuple(int(level.block.out_channels) for level in reversed(built))  # type: ignore[arg-type]
        self.shrinks = tuple(shrink_of(level.block, len(way.strides[0])) for level in reversed(built))

    def forward(self, maps: Sequence[Tensor], condition: Tensor | None = None) -> list[Tensor]:
        x, finer = maps[-1], []
        for level, skip in zip(reversed(self.levels), reversed(maps[:-1]), strict=True):
            x = level(x, skip, condition)
            finer.append(x)
        return finer[::-1]
