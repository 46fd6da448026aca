"""Between levels: ways down and ways up.

A way down takes (style, in_channels, out_channels, stride); it may change the width, or leave both the stride and the
width to the block that follows (`strided` gives None). A way up takes the same and `bias`, and enlarges by the stride.
Both report `.out_channels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional

from ..core.registry import Registry
from .layers import AVERAGE_POOL, CONV, MAX_POOL, TRANSPOSED, Style, Unit

downs: Registry[nn.Module | None] = Registry("down")
ups: Registry[nn.Module] = Registry("up")


class Resampling(nn.Sequential):
    """Layers one after the other that report `.out_channels`."""

    def __init__(self, out_channels: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.out_channels = out_channels


@downs.register("strided")
def _strided(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> None:
    """The first convolution of the next block takes the stride."""


@downs.register("max")
def _max(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    """The largest value of each cell."""
    return Resampling(in_channels, MAX_POOL[style.dims](tuple(stride), tuple(stride)))


@downs.register("average")
def _average(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    """The mean of each cell."""
    return Resampling(in_channels, AVERAGE_POOL[style.dims](tuple(stride), tuple(stride)))


@downs.register("strided_unit", papers="milletari2016vnet")
def _strided_unit(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    """A convolution whose kernel is its stride, with norm and activation, that changes the width."""
    cells, bias = tuple(stride), style.has_bias("CNA")
    conv = CONV[style.dims](in_channels, out_channels, cells, cells, bias=bias)
    return Resampling(out_channels, conv, *style.dress(out_channels))


@ups.register("transposed", papers="ronneberger2015unet")
def _transposed(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """A learned enlargement: transposed convolution, kernel = stride."""
    return Resampling(out_channels, style.transposed(in_channels, out_channels, stride, bias))


@ups.register("transposed_unit", papers="milletari2016vnet")
def _transposed_unit(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """A transposed convolution with norm and activation."""
    conv = style.transposed(in_channels, out_channels, stride, bias)
    return Resampling(out_channels, conv, *style.dress(out_channels))


class Enlarge(nn.Module):
    """Interpolation by whole factors."""

    def __init__(self, stride: Sequence[int], mode: str, align_corners: bool | None = None) -> None:
        super().__init__()
        self.factors = tuple(float(step) for step in stride)
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=self.factors, mode=self.mode, align_corners=self.align_corners)


LINEAR = {2: "bilinear", 3: "trilinear"}


@ups.register("nearest")
def _nearest(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """Nearest neighbours; keeps the width of the coarser level."""
    return Resampling(in_channels, Enlarge(stride, "nearest"))


@ups.register("linear_units", papers="iglovikov2018ternausnet")
def _linear_units(
    style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool, middle: int
) -> nn.Module:
    """Linear interpolation, then two padded units with kernel 3, the first one `middle` wide."""
    padded, kernel = replace(style, valid=False), (3,) * style.dims
    units = Unit(padded, in_channels, middle, kernel), Unit(padded, middle, out_channels, kernel)
    return Resampling(out_channels, Enlarge(stride, LINEAR[style.dims], False), *units)


@ups.register("transposed_wide", papers=("jegou2017tiramisu", "iglovikov2018ternausnet"))
def _transposed_wide(
    style: Style,
    in_channels: int,
    out_channels: int,
    stride: Sequence[int],
    bias: bool,
    act: bool = False,
    crop_last: bool = False,
) -> nn.Module:
    """A transposed convolution whose kernel reaches a voxel beyond its stride, with an activation where asked.

    It makes a voxel too many along each axis that it enlarges. The first is left out, or the last with `crop_last`;
    either form is the mirror image of the other, so weights of one do not fit the other.
    """
    wide = tuple(int(step > 1) for step in stride)
    kernel = tuple(step + over for step, over in zip(stride, wide, strict=True))
    cut = (0,) * style.dims if crop_last else wide
    conv = TRANSPOSED[style.dims](in_channels, out_channels, kernel, tuple(stride), cut, cut, bias=bias)
    layers = [conv, CropLast(wide) if crop_last else None, style.act_layer(out_channels) if act else None]
    return Resampling(out_channels, *[layer for layer in layers if layer is not None])


class Stretched(nn.Module):
    """A transposed convolution that makes a voxel too few along each axis, stretched by its nearest voxels."""

    def __init__(self, conv: nn.Module, stride: Sequence[int]) -> None:
        super().__init__()
        self.conv, self.stride = conv, tuple(stride)

    def forward(self, x: Tensor) -> Tensor:
        shape = [n * step for n, step in zip(x.shape[2:], self.stride, strict=True)]
        return functional.interpolate(self.conv(x), shape, mode="nearest")


@ups.register("transposed_stretched")
def _transposed_stretched(
    style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool
) -> nn.Module:
    """A transposed convolution of 3 whose odd map is stretched to the even one, as in wolny/pytorch-3dunet."""
    kernel = tuple(3 if step > 1 else 1 for step in stride)
    padding = tuple(k // 2 for k in kernel)
    conv = TRANSPOSED[style.dims](in_channels, out_channels, kernel, tuple(stride), padding, bias=bias)
    return Resampling(out_channels, Stretched(conv, stride))


class CropLast(nn.Module):
    """The map without its last voxels along each axis."""

    def __init__(self, voxels: Sequence[int]) -> None:
        super().__init__()
        self.voxels = tuple(voxels)

    def forward(self, x: Tensor) -> Tensor:
        for axis, count in enumerate(self.voxels, start=2):
            x = x.narrow(axis, 0, x.shape[axis] - count)
        return x


@ups.register("linear")
def _linear(
    style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool, align_corners: bool = False
) -> nn.Module:
    """Linear interpolation; keeps the width of the coarser level."""
    return Resampling(in_channels, Enlarge(stride, LINEAR[style.dims], align_corners))


@ups.register("conv_linear", papers="myronenko2018brain")
def _conv_linear(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """A convolution of single voxels to the finer width, then linear interpolation."""
    narrow = style.pointwise(in_channels, out_channels, bias)
    return Resampling(out_channels, narrow, Enlarge(stride, LINEAR[style.dims], False))


@ups.register("conv_nearest", papers="ma2024umamba")
def _conv_nearest(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """A convolution of single voxels to the finer width, then nearest neighbours."""
    return Resampling(out_channels, style.pointwise(in_channels, out_channels, bias), Enlarge(stride, "nearest"))


@ups.register("nearest_unit")
def _nearest_unit(style: Style, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool) -> nn.Module:
    """Nearest neighbours, then a padded unit with kernel 3."""
    unit = Unit(replace(style, valid=False), in_channels, out_channels, (3,) * style.dims)
    return Resampling(out_channels, Enlarge(stride, "nearest"), unit)
