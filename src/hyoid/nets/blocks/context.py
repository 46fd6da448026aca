"""Views of much of a map at once: pooled parts, spread kernels, very large separable kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import CONV, Style, Unit
from ..resample import LINEAR


class PooledUnit(nn.Module):
    """The means of a map over `bins` parts along each axis, made `out_channels` wide, on the grid of the map again.

    Trap: a batch norm in training refuses a batch of one with a single part; its running statistics are then taken.
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, bins: int, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.bins, self.align_corners = bins, align_corners
        self.unit = Unit(style, in_channels, out_channels, (1,) * style.dims)

    def forward(self, x: Tensor) -> Tensor:
        dims = x.ndim - 2
        if self.bins == 1:
            pooled = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        else:
            pool = functional.adaptive_avg_pool2d if dims == 2 else functional.adaptive_avg_pool3d
            pooled = pool(x, self.bins)
        alone = self.training and len(x) == 1 and self.bins == 1
        if alone:
            self.unit.eval()
        pooled = self.unit(pooled)
        if alone:
            self.unit.train()
        return functional.interpolate(pooled, x.shape[2:], mode=LINEAR[dims], align_corners=self.align_corners)


class PyramidPooling(nn.Module):
    """A map beside its means over ever larger parts of the image; widths are shared among the parts.

    Reference:
        zhao2017pspnet, figure 3.
    """

    def __init__(self, style: Style, in_channels: int, bins: Sequence[int], align_corners: bool = False) -> None:
        super().__init__()
        width = max(1, in_channels // len(bins))
        self.parts = nn.ModuleList(PooledUnit(style, in_channels, width, count, align_corners) for count in bins)
        self.out_channels = in_channels + width * len(bins)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, *[part(x) for part in self.parts]], 1)


class SpreadUnit(nn.Sequential):
    """A convolution of 3 whose taps lie `rate` voxels apart, with norm and activation.

    With `separable` a depthwise convolution is spread and one of single voxels mixes the channels.
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, rate: int = 1, separable: bool = False
    ) -> None:
        three = (3,) * style.dims
        if separable:
            depthwise = style.conv(in_channels, in_channels, three, bias=False, groups=in_channels, dilation=rate)
            layers = [depthwise, style.pointwise(in_channels, out_channels, bias=False)]
        else:
            layers = [style.conv(in_channels, out_channels, three, bias=False, dilation=rate)]
        super().__init__(*layers, *style.dress(out_channels))


class SpatialPyramid(nn.Module):
    """ASPP: a map through kernels of 1 and of 3 spread by several rates, and its mean, joined and mixed.

    Reference:
        chen2017rethinking, figure 5; chen2018encoder (separable).
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        rates: Sequence[int],
        dropout: float,
        separable: bool = False,
    ) -> None:
        super().__init__()
        one = (1,) * style.dims
        self.branches = nn.ModuleList(
            [
                Unit(style, in_channels, out_channels, one),
                *[SpreadUnit(style, in_channels, out_channels, rate, separable) for rate in rates],
                PooledUnit(style, in_channels, out_channels, 1),
            ]
        )
        mixed = Unit(style, out_channels * len(self.branches), out_channels, one)
        self.mix = nn.Sequential(mixed, nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(torch.cat([branch(x) for branch in self.branches], 1))


class SpreadScores(nn.Module):
    """The first ASPP: scores by kernels of 3 spread by several rates, added.

    Reference:
        chen2018deeplab, figure 7.
    """

    def __init__(self, dims: int, in_channels: int, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        three = (3,) * dims
        self.branches = nn.ModuleList(
            CONV[dims](in_channels, classes, three, padding=rate, dilation=rate) for rate in rates
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


class GlobalConvolution(nn.Module):
    """A very large kernel as the sum of its separable forms, one axis after the other in both orders.

    Reference:
        peng2017large, figure 3.
    """

    def __init__(self, dims: int, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        orders = (range(dims), range(dims)[::-1])
        widths = (in_channels, *[out_channels] * dims)
        self.ways = nn.ModuleList(
            nn.Sequential(
                *[_along(dims, axis, *ends, kernel) for axis, ends in zip(order, pairwise(widths), strict=True)]
            )
            for order in orders
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.ways
        return first(x) + second(x)


def _along(dims: int, axis: int, in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    """A convolution along one axis."""
    size = tuple(kernel if a == axis else 1 for a in range(dims))
    return CONV[dims](in_channels, out_channels, size, padding=tuple(k // 2 for k in size))


class BoundaryRefinement(nn.Module):
    """Scores and what two convolutions add to them.

    Reference:
        peng2017large, figure 2C.
    """

    def __init__(self, dims: int, classes: int) -> None:
        super().__init__()
        three = (3,) * dims
        first, second = (CONV[dims](classes, classes, three, padding=1) for _ in range(2))
        self.residue = nn.Sequential(first, nn.ReLU(inplace=True), second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residue(x)
