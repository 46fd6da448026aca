"""Heads: the last map becomes logits.

A head builder takes (style, in_channels, out_channels).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from torch import nn

from ..core.registry import Registry
from .layers import Style, Unit

heads: Registry[nn.Module] = Registry("head")


@heads.register("conv", papers="ronneberger2015unet")
def _conv(style: Style, in_channels: int, out_channels: int, kernel: int = 1) -> nn.Module:
    """A convolution, of single voxels unless told otherwise."""
    return replace(style, valid=False).conv(in_channels, out_channels, (kernel,) * style.dims)


@heads.register("activated_conv", papers="wang2020nonlocal")
def _activated_conv(style: Style, in_channels: int, out_channels: int, dropout: float = 0.0) -> nn.Module:
    """Norm, activation and dropout, then a convolution of single voxels."""
    dressed = style.dress(in_channels, inplace=False)
    return nn.Sequential(*dressed, nn.Dropout(dropout), style.pointwise(in_channels, out_channels))


@heads.register("vnet", papers="milletari2016vnet")
def _vnet(style: Style, in_channels: int, out_channels: int, kernel: int = 5) -> nn.Module:
    """A unit that already has one channel for each output, then a convolution of single voxels."""
    unit = Unit(style, in_channels, out_channels, (kernel,) * style.dims)
    return nn.Sequential(OrderedDict(unit=unit, conv=style.pointwise(out_channels, out_channels)))
