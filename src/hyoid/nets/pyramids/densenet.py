"""DenseNet as an encoder, named as torchvision names it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..encoders import Level, WayDown, encoders
from ..layers import AVERAGE_POOL, MAX_POOL, Style
from .pyramid import Pyramid, keep, published_style, window


class DenseLayer(nn.Module):
    """Norm, activation, convolution, twice: to four times the growth, then to the growth; the input stays beside it."""

    def __init__(self, style: Style, in_channels: int, growth: int, level: Level) -> None:
        super().__init__()
        self.norm1, self.relu1 = _dress(style, in_channels)
        self.conv1 = style.conv(in_channels, 4 * growth, keep(style.dims), bias=False)
        self.norm2, self.relu2 = _dress(style, 4 * growth)
        self.conv2 = style.conv(4 * growth, growth, window(level, 3), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
        return torch.cat((x, new), dim=1)


def _dress(style: Style, channels: int) -> tuple[nn.Module, nn.Module]:
    norm = style.norm_layer(channels) or nn.Identity()
    return norm, style.act_layer(channels, inplace=style.norm != "none") or nn.Identity()


class Transition(nn.Module):
    """What ends a block: norm and activation, whose map is kept, and the way into the next level, if there is one."""

    def __init__(self, style: Style, channels: int, stride: Sequence[int] | None) -> None:
        super().__init__()
        self.norm, self.relu = _dress(style, channels)
        self.lower: tuple[str, ...] = ()
        if stride is not None:
            self.conv = style.pointwise(channels, channels // 2, False)
            self.pool = AVERAGE_POOL[style.dims](tuple(stride), tuple(stride))
            self.lower = ("conv", "pool")

    def forward(self, x: Tensor) -> Tensor:
        """From the kept map to what enters the next level."""
        for name in self.lower:
            x = getattr(self, name)(x)
        return x


@encoders.register("densenet", papers="huang2017densenet")
class DenseNet(Pyramid):
    """DenseNet: every layer sees all before it; maps are taken after the norm that ends a block.

    `blocks_encoder` counts the dense layers of each level. Widths follow from that of the entrance and from `growth`:
    those of the spec are only asked for the entrance. Trap: old public files call a layer `norm.1`, newer ones `norm1`;
    `published` reads both.
    """

    stem = "features.conv0.weight"

    def __init__(self, way: WayDown, growth: int = 32) -> None:
        style, levels = published_style("densenet", way, act="relu"), way.levels
        dims, width = style.dims, levels[1].channels
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv0"] = style.conv(way.in_channels, width, window(levels[1], 7), levels[1].stride, bias=False)
        parts["norm0"], parts["relu0"] = _dress(style, width)
        channels = [0, width]
        for number, level in enumerate(levels[2:], start=1):
            if number == 1:
                kernel = window(level, 3)
                parts["pool0"] = MAX_POOL[dims](kernel, level.stride, tuple(k // 2 for k in kernel))
            count = max(1, level.blocks_encoder)
            layers = [DenseLayer(style, width + index * growth, growth, level) for index in range(count)]
            named = {f"denselayer{index}": layer for index, layer in enumerate(layers, start=1)}
            parts[f"denseblock{number}"] = nn.Sequential(OrderedDict(named))
            width += count * growth
            channels.append(width)
            if number < 4:
                below = levels[number + 2].stride if number + 2 < len(levels) else None
                parts[f"transition{number}"] = Transition(style, width, below)
                width //= 2
            else:
                parts["norm5"] = style.norm_layer(width) or nn.Identity()
        super().__init__(levels, channels)
        self.features = nn.Sequential(parts)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for name, layer in self.features.named_children():
            if isinstance(layer, Transition):
                maps.append(layer.relu(layer.norm(x)))
                x = layer(maps[-1])
            else:
                x = layer(x)
                if name in ("relu0", "norm5"):
                    maps.append(x)
        return maps
