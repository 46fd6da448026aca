"""Attention in blocks: channels, voxels or positions are weighted by what the block itself has seen.

An attention builder takes (style, channels) and keeps the shape of its map; the block `attended` puts one after any
other block, so that `{name: attended, block: residual, attention: cbam}` is a net's block as data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.registry import Registry
from ..layers import Part, Style, acts, build_part
from ..resample import downs, ups
from .conv import PadLast, blocks

attentions: Registry[nn.Module] = Registry("attention")


@blocks.register("attended", papers="hu2018squeeze")
def attended(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    block: Part = "plain",
    attention: Part = "squeeze_excitation",
    before: bool = False,
) -> nn.Module:
    """Any block with an attention after it, and with `before` one in front of it too."""
    given = {"in_channels": in_channels, "out_channels": out_channels, "kernel": kernel, "stride": stride}
    body = build_part(blocks, block, style=style, depth=depth, **given)
    width = int(body.out_channels)  # type: ignore[arg-type]
    padded = replace(style, valid=False)
    after = build_part(attentions, attention, style=padded, channels=width)
    first = build_part(attentions, attention, style=padded, channels=in_channels) if before else None
    return Attended(body, after, style.dims, first)


class Attended(nn.Module):
    """A block and the attention after it; reports what the block gives."""

    def __init__(self, block: nn.Module, attention: nn.Module, dims: int, first: nn.Module | None = None) -> None:
        super().__init__()
        self.out_channels: int = block.out_channels  # type: ignore[assignment]
        self.shrink = getattr(block, "shrink", ()) or (0,) * dims
        self.first, self.block, self.attention = first, block, attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.block(x if self.first is None else self.first(x)))


def pooled(x: Tensor) -> Tensor:
    """The mean of each channel, (B, C) + ones."""
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def _bottleneck(style: Style, channels: int, ratio: int, bias: bool = True, act: Part = "relu") -> nn.Sequential:
    narrow = max(4, channels // ratio)  # a single one could fall silent for good
    first, second = style.pointwise(channels, narrow, bias), style.pointwise(narrow, channels, bias)
    return nn.Sequential(first, build_part(acts, act, channels=narrow, inplace=True), second)


@attentions.register("squeeze_excitation", papers="hu2018squeeze")
class SqueezeExcitation(nn.Module):
    """Each channel times a weight found from the means of all channels."""

    def __init__(self, style: Style, channels: int, ratio: int = 16, act: Part = "relu") -> None:
        super().__init__()
        self.excite = _bottleneck(style, channels, ratio, act=act)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(pooled(x)))


@attentions.register("scse", papers="roy2018scse")
class ConcurrentSqueezeExcitation(nn.Module):
    """Squeeze and excitation of channels, and of voxels by a convolution; the two are added.

    Trap: the paper takes the larger of the two in one place and their sum in another. Public 2D code adds; with
    `larger` the larger counts, as in public 3D code.
    """

    def __init__(self, style: Style, channels: int, ratio: int = 16, larger: bool = False) -> None:
        super().__init__()
        self.larger = larger
        self.channel = SqueezeExcitation(style, channels, ratio)
        self.voxel = style.pointwise(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        channels, voxels = self.channel(x), x * torch.sigmoid(self.voxel(x))
        return torch.maximum(channels, voxels) if self.larger else channels + voxels


class ChannelAttention(nn.Module):
    """Each channel times a weight from the means and the maxima of all channels, through one shared bottleneck."""

    def __init__(self, style: Style, channels: int, ratio: int) -> None:
        super().__init__()
        self.shared = _bottleneck(style, channels, ratio, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        maxima = x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)
        return x * torch.sigmoid(self.shared(pooled(x)) + self.shared(maxima))


class SpatialAttention(nn.Module):
    """Each voxel times a weight from the mean and the maximum over channels around it."""

    def __init__(self, style: Style, kernel: int) -> None:
        super().__init__()
        self.conv = style.conv(2, 1, (kernel,) * style.dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.conv(seen))


@attentions.register("cbam", papers="woo2018cbam")
def _cbam(style: Style, channels: int, ratio: int = 16, kernel: int = 7) -> nn.Module:
    """Attention to channels, then to voxels."""
    return nn.Sequential(ChannelAttention(style, channels, ratio), SpatialAttention(style, kernel))


class PositionAttention(nn.Module):
    """Each voxel times weights from the means of its row along every axis, so that it knows where it lies.

    The means along each axis share one narrow unit; one convolution for each axis then gives weights for each channel
    and position.

    Reference:
        hou2021coordinate, for any number of axes.
    """

    def __init__(self, style: Style, channels: int, ratio: int) -> None:
        super().__init__()
        narrow = max(4, channels // ratio)
        self.shared = nn.Sequential(style.pointwise(channels, narrow), nn.ReLU(inplace=True))
        self.axes = nn.ModuleList(style.pointwise(narrow, channels) for _ in range(style.dims))

    def forward(self, x: Tensor) -> Tensor:
        for axis, conv in enumerate(self.axes, start=2):
            others = [other for other in range(2, x.ndim) if other != axis]
            x = x * torch.sigmoid(conv(self.shared(x.mean(others, keepdim=True))))
        return x


@attentions.register("cspam", papers=("woo2018cbam", "hou2021coordinate"))
def _cspam(style: Style, channels: int, ratio: int = 16, kernel: int = 7) -> nn.Module:
    """Attention to channels, voxels and positions in turn.

    The name is that of a diffusion U-Net whose code is not public; the three parts here follow CBAM and coordinate
    attention and have not been checked against it.
    """
    return nn.Sequential(
        ChannelAttention(style, channels, ratio),
        SpatialAttention(style, kernel),
        PositionAttention(style, channels, ratio),
    )


@attentions.register("non_local", papers="wang2020nonlocal")
class GlobalAttention(nn.Module):
    """Every voxel looks at every other: scaled dot products with several heads, added to the map.

    Time grows with the square of the number of voxels, so it belongs to the bottom of a U. Trap: products are divided
    by the root of the width of a head, not of the whole.
    """

    def __init__(self, style: Style, channels: int, num_heads: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.before = nn.Sequential(*style.dress(channels, inplace=False))
        self.query, self.key, self.value, self.out = (style.pointwise(channels, channels) for _ in range(4))
        self.num_heads, self.dropout = _heads(channels, num_heads), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        return x + self.out(look(self.query(y), self.key(y), self.value(y), self.num_heads, self.dropout))


def look(query: Tensor, key: Tensor, value: Tensor, num_heads: int, dropout: nn.Module) -> Tensor:
    """Values of all voxels, averaged for each voxel of the query by how well keys fit.

    Args:
        query: Maps (B, C, *S); the answer has this grid.
        key: Maps (B, C, *T).
        value: Maps (B, C, *T).
        num_heads: Groups of channels that look on their own.
        dropout: What is dropped from the weights.
    """
    q, k, v = (maps.flatten(2).unflatten(1, (num_heads, -1)) for maps in (query, key, value))
    fit = torch.einsum("bhcs,bhct->bhst", q, k) * q.shape[2] ** -0.5
    found = torch.einsum("bhst,bhct->bhcs", dropout(functional.softmax(fit, dim=-1)), v)
    return found.reshape(len(query), -1, *query.shape[2:])


def _heads(channels: int, wanted: int) -> int:
    """As many heads as wanted, or the next fewer that divide the channels."""
    while channels % wanted:
        wanted -= 1
    return wanted


class GlobalAggregation(nn.Module):
    """A change of the grid in which every new voxel looks at the whole map; a plain change of the grid is added.

    Args:
        style: How layers are dressed.
        in_channels: Channels of the map.
        out_channels: Channels of the new one.
        regrid: A convolution onto the new grid, given `bias`.
        num_heads: Groups of channels that look on their own.
        dropout: What is dropped from the weights.

    Reference:
        wang2020nonlocal.
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        regrid: Callable[..., nn.Module],
        num_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.before = nn.Sequential(*style.dress(in_channels, inplace=False))
        self.residual, self.query = regrid(bias=False), regrid(bias=True)
        self.key, self.value = (style.pointwise(in_channels, out_channels) for _ in range(2))
        self.out = style.pointwise(out_channels, out_channels)
        self.num_heads, self.dropout = _heads(out_channels, num_heads), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        found = look(self.query(y), self.key(y), self.value(y), self.num_heads, self.dropout)
        return self.residual(y) + self.out(found)


@ups.register("global_aggregation", papers="wang2020nonlocal")
def _global_aggregation_up(
    style: Style,
    in_channels: int,
    out_channels: int,
    stride: Sequence[int],
    bias: bool,
    num_heads: int = 1,
    dropout: float = 0.5,
) -> nn.Module:
    """A way up in which every new voxel looks at the whole coarser map; biases are those of the authors."""
    ends = {"in_channels": in_channels, "out_channels": out_channels}
    wide = {"name": "transposed_wide", "crop_last": True}
    regrid = partial(build_part, ups, wide, style=style, stride=stride, **ends)
    return GlobalAggregation(style, in_channels, out_channels, regrid, num_heads, dropout)


@downs.register("global_aggregation", papers="wang2020nonlocal")
def _global_aggregation_down(
    style: Style,
    in_channels: int,
    out_channels: int,
    stride: Sequence[int],
    num_heads: int = 1,
    dropout: float = 0.5,
) -> nn.Module:
    """A way down in which every new voxel looks at the whole finer map, which takes much memory on a fine grid."""
    kernel = [3 if step > 1 else 1 for step in stride]
    conv = partial(replace(style, valid=True).conv, in_channels, out_channels, kernel, tuple(stride))

    def regrid(bias: bool) -> nn.Module:
        return nn.Sequential(PadLast(kernel, stride), conv(bias=bias))

    return GlobalAggregation(style, in_channels, out_channels, regrid, num_heads, dropout)
