"""Separable convolutions: each channel on its own, then all channels of a voxel, at a fraction of the cost."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..layers import Style, Unit
from .conv import Stack, blocks


@blocks.register("separable", papers=("howard2017mobilenets", "ali2022edge"))
def separable(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    between: bool = True,
) -> nn.Module:
    """Pairs of units: one channel at a time, then one voxel at a time; the first strides.

    Without `between` the first of a pair has no norm and no activation.
    """
    one, parts, width, order = (1,) * style.dims, [], in_channels, "" if between else "C"
    for index in range(depth):
        step = tuple(stride) if index == 0 else one
        depthwise = Unit(style, width, width, kernel, step, order=order, groups=width)
        parts += [depthwise, Unit(style, width, out_channels, one)]
        width = out_channels
    return Stack(in_channels, parts)
