"""Residual relatives: context modules, asymmetric sums, a bare convolution as stem, weighted skips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..layers import Style, Unit
from ..resample import Resampling, downs
from ..skips import skips
from .conv import Stack, blocks, require_same_grid


@blocks.register("conv")
def bare_conv(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    dropout: float = 0.0,
) -> nn.Module:
    """One convolution without norm and activation, for stems before blocks that begin with them."""
    dressed = replace(style, dropout=dropout, drop="channels")
    return Unit(dressed, in_channels, out_channels, kernel, tuple(stride), order="CD")


class ContextBlock(nn.Module):
    """Norm, activation, convolution, twice, with dropout between; the input is added.

    Reference:
        isensee2018brain (context module).
    """

    def __init__(self, style: Style, channels: int, kernel: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.out_channels = channels
        dropping = replace(style, dropout=dropout, drop="channels")
        self.first = Unit(dropping, channels, channels, kernel, order="NACD")
        self.second = Unit(style, channels, channels, kernel, order="NAC")

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + x


@blocks.register("context", papers="isensee2018brain")
def context(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    dropout: float = 0.3,
) -> nn.Module:
    """Context modules in a row; a convolution brings the input to their width where it differs."""
    require_same_grid("context", style, stride)
    entrance = [] if in_channels == out_channels else [Unit(style, in_channels, out_channels, kernel, order="C")]
    return Stack(in_channels, [*entrance, *(ContextBlock(style, out_channels, kernel, dropout) for _ in range(depth))])


@blocks.register("localisation", papers="isensee2018brain")
def localisation(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int], depth: int
) -> nn.Module:
    """A unit over the joined maps, then one of single voxels to the width, where that is another."""
    require_same_grid("localisation", style, stride)
    units = [Unit(style, in_channels, in_channels, kernel)]
    if in_channels != out_channels:
        units.append(Unit(style, in_channels, out_channels, (1,) * style.dims))
    return Stack(in_channels, units)


class AsymmetricUnit(nn.Module):
    """The sum of a convolution and of one along each axis, each with its norm, then the activation.

    Sums of linear maps: in evaluation it equals a single convolution whose centre lines weigh more.

    Reference:
        ding2019acnet.
    """

    def __init__(self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = out_channels
        lines = [tuple(k if axis == other else 1 for other, k in enumerate(kernel)) for axis in range(style.dims)]
        shapes = list(dict.fromkeys([tuple(kernel), *lines]))
        self.branches = nn.ModuleList(Unit(style, in_channels, out_channels, shape, order="CN") for shape in shapes)
        self.act = style.act_layer(out_channels, inplace=False) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(torch.stack([branch(x) for branch in self.branches]).sum(0))


class AsymmetricBlock(nn.Module):
    """Asymmetric units in a row, to which the input is added, projected where the width changes."""

    def __init__(self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], depth: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        widths = [in_channels, *[out_channels] * depth]
        self.units = nn.Sequential(*[AsymmetricUnit(style, a, b, kernel) for a, b in pairwise(widths)])
        one, same = (1,) * style.dims, in_channels == out_channels
        self.shortcut = nn.Identity() if same else Unit(style, in_channels, out_channels, one, order="CN")

    def forward(self, x: Tensor) -> Tensor:
        return self.units(x) + self.shortcut(x)


@blocks.register("asymmetric", papers=("ding2019acnet", "he2016deep"))
def asymmetric(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int], depth: int
) -> nn.Module:
    """Sums of square and line convolutions with a shortcut around them."""
    require_same_grid("asymmetric", style, stride)
    if depth == 0:
        return Stack(in_channels, [])
    return AsymmetricBlock(style, in_channels, out_channels, kernel, depth)


class WeightedSkip(nn.Module):
    """The encoder's map times a weight between 0 and 1 for every voxel, learnt from the map itself.

    Reference:
        xiao2018weighted.
    """

    def __init__(self, style: Style, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.weight = style.pointwise(channels, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        return skip * self.weight(skip).sigmoid()


@skips.register("weighted", papers="xiao2018weighted")
def _weighted(style: Style, in_channels: int, gate_channels: int, level: int) -> nn.Module:
    """The encoder's map times a learnt map of weights."""
    return WeightedSkip(style, in_channels)


@downs.register("strided_conv", papers="myronenko2018brain")
def _strided_conv(
    style: Style, in_channels: int, out_channels: int, stride: Sequence[int], order: str = "C", widen: bool = True
) -> nn.Module:
    """A convolution with kernel 3 that strides, dressed by `order`; it changes the width unless told not to."""
    width = out_channels if widen else in_channels
    return Resampling(width, Unit(style, in_channels, width, (3,) * style.dims, stride, order=order))
