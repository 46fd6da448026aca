"""Heads: the last map becomes logits.

A head builder takes (style, in_channels, out_channels).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ..core.registry import Registry
from .layers import Style, Unit

heads: Registry[nn.Module] = Registry("head")


@heads.register("conv", papers="ronneberger2015unet")
def _conv(style: Style, in_channels: int, out_channels: int) -> nn.Module:
    """A convolution of single voxels."""
    return style.pointwise(in_channels, out_channels)


@heads.register("vnet", papers="milletari2016vnet")
def _vnet(style: Style, in_channels: int, out_channels: int, kernel: int = 5) -> nn.Module:
    """A unit that already has one channel for each output, then a convolution of single voxels."""
    unit = Unit(style, in_channels, out_channels, (kernel,) * style.dims)
    return nn.Sequential(OrderedDict(unit=unit, conv=style.pointwise(out_channels, out_channels)))
