"""EfficientNet as an encoder, named as torchvision names it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..encoders import WayDown, encoders
from ..layers import Style
from .pyramid import Pyramid, conv_norm_act, keep, published_style, window

_STAGES = (
    (2, 1, 3, 16, 1),
    (2, 6, 3, 24, 2),
    (3, 6, 5, 40, 2),
    (4, 6, 3, 80, 3),
    (4, 6, 5, 112, 3),
    (5, 6, 5, 192, 4),
    (5, 6, 3, 320, 1),
)
"""Level, expansion, kernel, width, blocks of B0: table 1 of the paper."""

SCALES = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
}
"""Factors of width and depth."""


def scaled(width: float) -> int:
    """A width as a multiple of 8 that is not much smaller."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def level_channels(factor: float) -> tuple[int, ...]:
    """Widths of the maps from the entrance on."""
    return tuple(scaled(width * factor) for width in (32, 24, 40, 112, 320))


class SqueezeExcitation(nn.Module):
    """Channels times weights from their means; convolutions of one voxel called fc1 and fc2."""

    def __init__(self, style: Style, channels: int, narrow: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = style.pointwise(channels, narrow), style.pointwise(narrow, channels)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
        return x * torch.sigmoid(self.fc2(self.activation(self.fc1(mean))))


class MBConv(nn.Module):
    """Widen, convolve each channel on its own, weigh channels, narrow; the input is added where shapes agree.

    Public trainings drop whole blocks at random; here blocks are always there.

    Reference:
        tan2019efficientnet.
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        expansion: int,
    ) -> None:
        super().__init__()
        wide, one = in_channels * expansion, keep(style.dims)
        layers: list[nn.Module] = [] if expansion == 1 else [conv_norm_act(style, in_channels, wide, one)]
        layers.append(conv_norm_act(style, wide, wide, kernel, stride, groups=wide))
        layers.append(SqueezeExcitation(style, wide, max(1, in_channels // 4)))
        layers.append(conv_norm_act(style, wide, out_channels, one)[:2])
        self.block = nn.Sequential(*layers)
        self.adds = in_channels == out_channels and all(step == 1 for step in stride)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.adds else self.block(x)


@encoders.register("efficientnet", papers="tan2019efficientnet")
class EfficientNet(Pyramid):
    """EfficientNet: inverted residuals with squeeze and excitation, scaled in width and depth.

    Maps are those of the entrance and of the last stage at each size. Levels of the spec set their widths; what lies
    between is as published. The convolution before the classifier is left out, whose 412,160 numbers (B0) other
    packages keep and never use.
    """

    unused = (*Pyramid.unused, "features.8.")
    stem = "features.0.0.weight"

    def __init__(self, way: WayDown, scale: str = "b0", eps: float = 1e-5) -> None:
        style, levels = published_style("efficientnet", way, act="silu"), way.levels
        if style.norm == "batch":
            style = replace(style, norm={"name": "batch", "eps": eps})
        super().__init__(levels, (0, *[level.channels for level in levels[1:]]))
        wider, deeper = SCALES[scale]
        width = levels[1].channels
        layers: list[nn.Module] = [conv_norm_act(style, way.in_channels, width, window(levels[1], 3), levels[1].stride)]
        ends = {1: 1}
        stages = [stage for stage in _STAGES if stage[0] < len(levels)]
        for number, (index, expansion, size, published, count) in enumerate(stages):
            level = levels[index]
            last_of_level = number + 1 == len(stages) or stages[number + 1][0] > index
            asked = level.channels if last_of_level else scaled(published * wider)
            kernel, units = window(level, size), []
            for unit in range(math.ceil(count * deeper)):
                # the first stage stays on the grid of the entrance
                enters = unit == 0 and number > 0 and (index not in ends)
                step = level.stride if enters else keep(style.dims)
                units.append(MBConv(style, width, asked, kernel, step, expansion))
                width = asked
            layers.append(nn.Sequential(*units))
            if number > 0:
                ends[index] = len(layers)
        self.features, self.ends = nn.Sequential(*layers), frozenset(ends.values())
