"""Decoders: the maps of an encoder become maps on finer grids, finest first.

A decoder builder takes (channels, strides, levels, block, up, up_channels, up_bias, skip, fusion), where channels and
strides are what the encoder reports; it reports `.channels` of the maps it gives and `.shrinks` of its levels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..core.registry import Registry
from .blocks.conv import blocks
from .encoders import Level
from .layers import Part, build_part
from .resample import ups
from .skips import crop_like, fuse, fused_channels, skips

decoders: Registry[nn.Module] = Registry("decoder")


class DecoderLevel(nn.Module):
    """Enlarge the coarser map, join the skip, convolve."""

    def __init__(self, up: nn.Module, skip: nn.Module | None, block: nn.Module, fusion: str) -> None:
        super().__init__()
        self.up, self.skip, self.block, self.fusion = up, skip, block, fusion

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        if self.skip is not None:
            x = fuse(self.skip(crop_like(skip, x), x), x, self.fusion)
        return self.block(x)


class UNetDecoder(nn.Module):
    """The expansive path: one level after the other, from the coarsest to the finest."""

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[tuple[int, ...]],
        levels: Sequence[Level],
        block: Part,
        up: Part,
        up_channels: str,
        up_bias: bool,
        skip: Part,
        fusion: str,
    ) -> None:
        super().__init__()
        built: list[DecoderLevel] = []
        coarser = channels[-1]
        for index in reversed(range(len(channels) - 1)):
            level, width = levels[index], channels[index]
            asked = {"skip": level.channels, "same": coarser, "half": coarser // 2}[up_channels]
            given = dict(style=level.style, in_channels=coarser, out_channels=asked, stride=strides[index + 1])
            enlarge = build_part(ups, up, **given, bias=up_bias)
            joined: int = enlarge.out_channels  # type: ignore[assignment]
            carried = None
            if width:
                given = dict(style=level.style, in_channels=width, gate_channels=joined, level=index)
                carried = build_part(skips, skip, **given)
                joined = fused_channels(carried.out_channels, joined, fusion)  # type: ignore[arg-type]
            given = dict(style=level.style, in_channels=joined, out_channels=level.decoder_channels)
            one = (1,) * level.style.dims
            body = build_part(blocks, block, **given, kernel=level.kernel, stride=one, depth=level.blocks_decoder)
            built.append(DecoderLevel(enlarge, carried, body, fusion))
            coarser = body.out_channels  # type: ignore[assignment]
        built.reverse()
        self.levels = nn.ModuleList(built)
        self.channels: tuple[int, ...] = tuple(level.block.out_channels for level in built)  # type: ignore[misc]
        none = (0,) * levels[0].style.dims
        self.shrinks = tuple(getattr(level.block, "shrink", ()) or none for level in built)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        x, finer = maps[-1], []
        for level, skip in zip(reversed(self.levels), reversed(maps[:-1]), strict=True):
            x = level(x, skip)
            finer.append(x)
        return finer[::-1]


@decoders.register("unet", papers="ronneberger2015unet")
def _unet(
    channels: Sequence[int],
    strides: Sequence[tuple[int, ...]],
    levels: Sequence[Level],
    block: Part,
    up: Part,
    up_channels: str,
    up_bias: bool,
    skip: Part,
    fusion: str,
) -> nn.Module:
    """The expansive path of the U-Net."""
    return UNetDecoder(channels, strides, levels, block, up, up_channels, up_bias, skip, fusion)
