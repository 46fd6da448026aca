"""ResNet 18 to 152 as encoders, named as torchvision names them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ...core.errors import ConfigError
from ..encoders import Level, WayDown, encoders
from ..layers import MAX_POOL, Style
from .pyramid import Pyramid, keep, published_style, window


class ResidualUnit(nn.Module):
    """Two convolutions and a shortcut, or three with a narrow middle one.

    Trap: the second of three strides (V1.5), as all public weights have it; the paper strides the first.

    Reference:
        he2016deep.
    """

    def __init__(
        self, style: Style, in_channels: int, level: Level, stride: Sequence[int], bottleneck: bool, dilation: int = 1
    ) -> None:
        super().__init__()
        width, three, one = level.channels, window(level, 3), keep(style.dims)
        narrow = max(1, width // 4) if bottleneck else width
        kernels = (one, three, one) if bottleneck else (three, three)
        widths = (in_channels, *[narrow] * (len(kernels) - 1), width)
        strided = 1 if bottleneck else 0
        for index, kernel in enumerate(kernels):
            step = tuple(stride) if index == strided else one
            spread = dilation if kernel == three else 1
            before, after = widths[index : index + 2]
            conv = style.conv(before, after, kernel, step, bias=style.norm == "none", dilation=spread)
            self.add_module(f"conv{index + 1}", conv)
            self.add_module(f"bn{index + 1}", style.norm_layer(after) or nn.Identity())
        self.num_convs = len(kernels)
        self.relu = style.act_layer(width) or nn.Identity()
        self.downsample: nn.Module | None = None
        if in_channels != width or any(step > 1 for step in stride):
            conv = style.conv(in_channels, width, one, tuple(stride), bias=style.norm == "none")
            self.downsample = nn.Sequential(conv, style.norm_layer(width) or nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for index in range(1, self.num_convs + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            if index < self.num_convs:
                y = self.relu(y)
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


@encoders.register("resnet", papers="he2016deep")
class ResNet(Pyramid):
    """ResNet: a convolution of 7, a pooling of 3, then residual units; no map on the grid of the image.

    `blocks_encoder` counts the units of each level; the first two levels are the image's and the entrance's. The last
    `dilated` levels keep the grid of the level before and spread their kernels instead, twice as far at each; the first
    unit of such a level still spreads as those before it, as torchvision has it, or as the level with `spread_first`,
    as most code has it. `multi_grid` multiplies the rate of each unit of the last level, such as 1, 2, 4. With
    `deep_stem` three convolutions of 3 stand in place of the one of 7.

    Reference:
        he2016deep; chen2018deeplab (spread kernels); chen2017rethinking, section 3.2 (multi-grid); zhao2017pspnet (deep
        stem, in its code).
    """

    stem = "conv1.weight"

    def __init__(
        self,
        way: WayDown,
        bottleneck: bool = False,
        dilated: int = 0,
        spread_first: bool = False,
        deep_stem: bool = False,
        multi_grid: tuple[int, ...] = (),
    ) -> None:
        style, levels = published_style("resnet", way, act="relu"), way.levels
        width, kept, biased = levels[1].channels, keep(style.dims), style.norm == "none"
        entrance = 2 * width if deep_stem else width
        super().__init__(levels, (0, entrance, *[level.channels for level in levels[2:]]), dilated)
        self.stems = 3 if deep_stem else 1
        widths = (way.in_channels, width, width, entrance)
        kernel = window(levels[1], 3 if deep_stem else 7)
        for index in range(self.stems):
            name, step = str(index + 1), kept if index else levels[1].stride
            conv = style.conv(widths[index], widths[index + 1], kernel, step, bias=biased)
            self.add_module(f"conv{name}", conv)
            self.add_module(f"bn{name}", style.norm_layer(widths[index + 1]) or nn.Identity())
        self.relu = style.act_layer(width) or nn.Identity()
        self.num_layers = len(levels) - 2
        width = entrance
        last = max(1, levels[-1].blocks_encoder)
        if multi_grid and len(multi_grid) != last:
            raise ConfigError(f"multi_grid has {len(multi_grid)} rates where the last level has {last} units.")
        for number, level in enumerate(levels[2:], start=1):
            step, rate = kept if number == 1 else self.strides[number + 1], self.rates[number + 1]
            units = []
            for unit in range(max(1, level.blocks_encoder)):
                taps = rate if unit or spread_first else max(1, rate // 2)
                if multi_grid and number == self.num_layers:
                    taps = rate * multi_grid[unit]
                units.append(ResidualUnit(style, width, level, step, bottleneck, taps))
                width, step = level.channels, kept
            self.add_module(f"layer{number}", nn.Sequential(*units))
        if self.num_layers:
            kernel = window(levels[2], 3)
            padding = tuple(k // 2 for k in kernel)
            self.maxpool = MAX_POOL[style.dims](kernel, levels[2].stride, padding)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for index in range(1, self.stems + 1):
            x = self.relu(getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(x)))
        maps.append(x)
        for number in range(1, self.num_layers + 1):
            entering = self.maxpool(maps[-1]) if number == 1 else maps[-1]
            maps.append(getattr(self, f"layer{number}")(entering))
        return maps
