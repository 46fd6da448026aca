"""Decoders: the maps of an encoder become maps on finer grids, finest first.

A decoder is built with (channels, strides, levels, block, up, up_channels, up_bias, skip, fusion), where channels and
strides are what the encoder reports; it reports `.channels` of the maps it gives and `.shrinks` of its levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..core.registry import Registry
from .encoders import Level, blocked, shrink_of
from .layers import Parts, at_level, build_part, part_name
from .recompute import Recomputed
from .resample import ups
from .skips import crop_like, fuse, fused_channels, skips

decoders: Registry[nn.Module] = Registry("decoder")


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


def widened(up_channels: str | tuple[int, ...], level: int, skip: int, coarser: int) -> int:
    """Channels asked of the way up into a level."""
    if isinstance(up_channels, tuple):
        return up_channels[level]
    return {"skip": skip, "same": coarser, "half": coarser // 2}[up_channels]


@decoders.register("unet", papers="ronneberger2015unet")
class UNetDecoder(nn.Module):
    """The expansive path: one level after the other, from the coarsest to the finest."""

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[tuple[int, ...]],
        levels: Sequence[Level],
        block: Parts,
        up: Parts,
        up_channels: str | tuple[int, ...],
        up_bias: bool,
        skip: Parts,
        fusion: str,
    ) -> None:
        super().__init__()
        built: list[DecoderLevel] = []
        coarser = channels[-1]
        for index in reversed(range(len(channels) - 1)):
            level, width = levels[index], channels[index]
            asked = widened(up_channels, index, level.channels, coarser)
            given = {"in_channels": coarser, "out_channels": asked, "stride": strides[index + 1], "bias": up_bias}
            enlarge = build_part(ups, at_level(up, index), style=level.style, **given)
            carry, joined = None, int(enlarge.out_channels)  # type: ignore[arg-type]
            if width:
                part = at_level(skip, index)
                ends: dict[str, Any] = {"in_channels": width, "gate_channels": joined, "level": index}
                if getattr(skips[part_name(part)].build, "coarse", False):
                    ends |= {"gate_channels": coarser, "stride": strides[index + 1], "bottom": not built}
                carry = build_part(skips, part, style=level.style, **ends)
                joined = fused_channels(int(carry.out_channels), joined, fusion)  # type: ignore[arg-type]
            body = level.block(at_level(block, index), joined, level.decoder_channels, level.blocks_decoder)
            built.append(DecoderLevel(enlarge, carry, body, fusion))
            coarser = int(body.out_channels)  # type: ignore[arg-type]
        self.levels = nn.ModuleList(reversed(built))
        self.channels = tuple(int(level.block.out_channels) for level in reversed(built))  # type: ignore[arg-type]
        self.shrinks = tuple(shrink_of(level.block, len(strides[0])) for level in reversed(built))

    def forward(self, maps: Sequence[Tensor], condition: Tensor | None = None) -> list[Tensor]:
        x, finer = maps[-1], []
        for level, skip in zip(reversed(self.levels), reversed(maps[:-1]), strict=True):
            x = level(x, skip, condition)
            finer.append(x)
        return finer[::-1]
