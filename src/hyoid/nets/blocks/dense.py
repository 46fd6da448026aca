"""Dense blocks, in which every layer sees the maps of all layers before it, and the ways between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError
from ..layers import MAX_POOL, Style, Unit
from ..resample import Resampling, downs
from .conv import Stack, blocks, require_same_grid


class DenseBlock(nn.Module):
    """Layers whose new maps stand beside all that came before.

    Args:
        style: How layers are dressed.
        in_channels: Channels of the input.
        growths: New maps of each layer.
        kernel: Kernel of the layers.
        new_only: Give the new maps without the input, as on the way up of FC-DenseNet.

    Reference:
        huang2017densenet; jegou2017tiramisu.
    """

    def __init__(
        self, style: Style, in_channels: int, growths: Sequence[int], kernel: Sequence[int], new_only: bool = False
    ) -> None:
        super().__init__()
        self.new_only = new_only
        self.out_channels = sum(growths) + (0 if new_only else in_channels)
        seen = [in_channels + sum(growths[:index]) for index in range(len(growths))]
        self.layers = nn.ModuleList(Unit(style, a, b, kernel) for a, b in zip(seen, growths, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, dim=1)))
        return torch.cat(maps[1:] if self.new_only else maps, dim=1)


@blocks.register("dense", papers=("huang2017densenet", "jegou2017tiramisu"))
def dense(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    new_only: bool = False,
    growth: int | None = None,
) -> nn.Module:
    """Dense layers of `growth` maps each, or a third of the asked width; the block gives what they add up to.

    So 48 channels are layers of 16 maps, as in FC-DenseNet103, whose stem has three times the growth. With a growth the
    widths of the spec are only asked for the stem.
    """
    require_same_grid("dense", style, stride)
    if depth == 0:
        return Stack(in_channels, [])
    new = round(out_channels / 3) if growth is None else growth
    return DenseBlock(style, in_channels, [max(1, new)] * depth, kernel, new_only)


@blocks.register("dense_doubling", papers=("huang2017densenet", "guan2020fully"))
def dense_doubling(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int], depth: int
) -> nn.Module:
    """A unit of single voxels to half the width, then dense layers that fill it up to the width asked for."""
    require_same_grid("dense_doubling", style, stride)
    if depth == 0:
        return Stack(in_channels, [])
    half = out_channels // 2
    new = out_channels - half
    if half < 1 or new < depth:
        raise ConfigError(
            f"A dense_doubling block of {depth} layers adds at least one map in each, so it needs {2 * depth} channels "
            f"or more; got {out_channels}. Use fewer blocks_encoder and blocks_decoder, or wider channels."
        )
    growths = [new * (index + 1) // depth - new * index // depth for index in range(depth)]
    narrow = Unit(style, in_channels, half, (1,) * style.dims)
    return _Narrowed(narrow, DenseBlock(style, half, growths, kernel))


class _Narrowed(nn.Sequential):
    """A narrowing unit and the dense block after it."""

    def __init__(self, narrow: nn.Module, block: DenseBlock) -> None:
        super().__init__()
        self.narrow, self.block = narrow, block
        self.out_channels = block.out_channels


@downs.register("dense_transition", papers="jegou2017tiramisu")
def _dense_transition(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    """A unit of single voxels that keeps the width, then the largest value of each cell."""
    unit = Unit(style, in_channels, in_channels, (1,) * style.dims)
    return Resampling(in_channels, unit, MAX_POOL[style.dims](tuple(stride), tuple(stride)))
