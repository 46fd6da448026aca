"""MobileNetV2 as an encoder, named as torchvision names it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..encoders import Level, WayDown, encoders
from ..layers import Style
from .pyramid import Pyramid, conv_norm_act, keep, published_style, window

_ROWS = ((1, 1, 16, 1), (2, 6, 24, 2), (3, 6, 32, 3), (4, 6, 64, 4), (4, 6, 96, 3), (5, 6, 160, 3), (5, 6, 320, 1))
"""Level, expansion, width, blocks: table 2 of the paper."""

_LAST = 5  # the level that ends with the convolution before the classifier


class InvertedResidual(nn.Module):
    """Widen, convolve each channel on its own, narrow without activation; the input is added where shapes agree.

    Reference:
        sandler2018mobilenetv2.
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, level: Level, stride: Sequence[int], expansion: int
    ) -> None:
        super().__init__()
        wide, one = in_channels * expansion, keep(style.dims)
        layers: list[nn.Module] = [] if expansion == 1 else [conv_norm_act(style, in_channels, wide, one)]
        layers.append(conv_norm_act(style, wide, wide, window(level, 3), stride, groups=wide))
        layers.append(style.conv(wide, out_channels, one, bias=style.norm == "none"))
        self.conv = nn.Sequential(*layers, style.norm_layer(out_channels) or nn.Identity())
        self.adds = in_channels == out_channels and all(step == 1 for step in stride)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


@encoders.register("mobilenet_v2", papers="sandler2018mobilenetv2")
class MobileNetV2(Pyramid):
    """MobileNetV2: inverted residuals with activations cut at 6; no map on the grid of the image.

    Levels of the spec set the widths of the maps; what lies between is as published. The last `dilated` levels keep the
    grid and spread their kernels.
    """

    stem = "features.0.0.weight"

    def __init__(self, way: WayDown, dilated: int = 0) -> None:
        style, levels = published_style("mobilenet_v2", way, act="relu6"), way.levels
        super().__init__(levels, (0, *[level.channels for level in levels[1:]]), dilated)
        width = 2 * levels[1].channels
        layers: list[nn.Module] = [conv_norm_act(style, way.in_channels, width, window(levels[1], 3), levels[1].stride)]
        ends: dict[int, int] = {}
        rows = [row for row in _ROWS if row[0] < len(levels)]
        for row, (index, expansion, published, count) in enumerate(rows):
            level = levels[index]
            last_of_level = row + 1 == len(rows) or rows[row + 1][0] > index
            asked = level.channels if last_of_level and index != _LAST else published
            for number in range(count):
                enters = number == 0 and index > 1 and index not in ends
                step = self.strides[index] if enters else keep(style.dims)
                layers.append(InvertedResidual(style, width, asked, level, step, expansion))
                width = asked
            ends[index] = len(layers)
        if _LAST in ends:
            layers.append(conv_norm_act(style, width, levels[_LAST].channels, keep(style.dims)))
            ends[_LAST] = len(layers)
        self.features, self.ends = nn.Sequential(*layers), frozenset(ends.values())
        self.spread()
