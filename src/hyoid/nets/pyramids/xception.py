"""Xception, aligned and modified for dense answers, as an encoder; named as timm names it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from ..encoders import WayDown, encoders
from ..layers import Style
from .pyramid import Pyramid, keep, published_style, window

Shape = tuple[int, ...]


def _normed(style: Style, before: int, after: int, kernel: Shape, stride: Shape) -> nn.Module:
    conv = style.conv(before, after, kernel, stride, bias=style.norm == "none")
    return nn.Sequential(OrderedDict(conv=conv, bn=style.norm_layer(after) or nn.Identity()))


def _separable(
    style: Style, before: int, after: int, kernel: Shape, stride: Shape, rate: int, activated: bool
) -> nn.Module:
    """Each channel on its own, then each voxel, with a norm after both, and activations where they are `activated`."""
    bias, layers = style.norm == "none", OrderedDict[str, nn.Module]()
    layers["conv_dw"] = style.conv(before, before, kernel, stride, bias=bias, groups=before, dilation=rate)
    layers["bn_dw"] = style.norm_layer(before) or nn.Identity()
    layers["act_dw"] = nn.ReLU() if activated else nn.Identity()
    layers["conv_pw"] = style.pointwise(before, after, bias)
    layers["bn_pw"] = style.norm_layer(after) or nn.Identity()
    layers["act_pw"] = nn.ReLU() if activated else nn.Identity()
    return nn.Sequential(layers)


class XceptionUnit(nn.Module):
    """Three separable convolutions, of which the last strides, and a shortcut, projected where it has to be.

    Activations stand before the convolutions; in the `last` unit of the net behind them, and it has no shortcut.
    """

    def __init__(
        self, style: Style, widths: Sequence[int], kernel: Shape, stride: Shape, rate: int, last: bool = False
    ) -> None:
        super().__init__()
        one = keep(style.dims)
        ways = zip(pairwise(widths), (one, one, stride), strict=True)
        convs = [_separable(style, *ends, kernel, step, rate, last) for ends, step in ways]
        self.stack = nn.Sequential(OrderedDict(zip(("conv1", "conv2", "conv3"), convs, strict=True)))
        self.last = last
        self.shortcut: nn.Module = nn.Identity()
        if not last and (widths[0] != widths[-1] or stride != one):
            self.shortcut = _normed(style, widths[0], widths[-1], one, stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What leaves the unit, and the map before its last convolution, which has the grid of the input."""
        first, second, third = self.stack
        if self.last:
            return self.stack(x), x
        kept = second(relu(first(relu(x))))
        return third(relu(kept)) + self.shortcut(x), kept


@encoders.register("xception", papers=("chollet2017xception", "chen2018encoder"))
class Xception(Pyramid):
    """Xception-65 of DeepLab v3+: deeper, without pooling, a norm after each depthwise convolution.

    `blocks_encoder` counts the units of a level before the unit that strides: sixteen on the last level but one. Maps
    are taken inside the unit that strides, before its last convolution, as in the paper's code; `activated` takes them
    after the activation that follows, as timm does. There is no map on the grid of the image. The last `dilated` levels
    keep the grid and spread the kernels behind the unit that would stride.

    Reference:
        chollet2017xception, figure 5; chen2018encoder, figure 4.
    """

    stem = "entrance.0.conv.weight"

    def __init__(self, way: WayDown, activated: bool = False, dilated: int = 0) -> None:
        style, levels = published_style("xception", way, act="relu"), way.levels
        super().__init__(levels, (0, *[level.channels for level in levels[1:]]), dilated)
        if style.norm == "batch":
            style = replace(style, norm={"name": "batch", "eps": 1e-3})
        one, width, kernel = keep(style.dims), max(1, levels[1].channels // 2), window(levels[1], 3)
        narrow = max(1, width // 2)
        first = _normed(style, way.in_channels, narrow, kernel, levels[1].stride)
        self.entrance = nn.Sequential(first, _normed(style, narrow, width, kernel, one))
        units: list[XceptionUnit] = []
        taken: list[int] = []
        for index in range(1, len(levels) - 1):
            kernel, rate, wider = window(levels[index], 3), self.rates[index], levels[index].channels
            units += [XceptionUnit(style, [width] * 4, kernel, one, rate) for _ in range(levels[index].blocks_encoder)]
            taken.append(len(units))
            widths = (width, width if index == len(levels) - 2 else wider, wider, wider)
            units.append(XceptionUnit(style, widths, kernel, self.strides[index + 1], rate))
            width = wider
        last = levels[-1].channels
        wide = max(1, 3 * last // 4)
        units.append(
            XceptionUnit(style, (width, wide, wide, last), window(levels[-1], 3), one, self.rates[-1], last=True)
        )
        self.blocks, self.taken, self.activated = nn.Sequential(*units), frozenset(taken), activated

    def renamed(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Timm's names, whose entrance is its stem."""
        return {re.sub(r"^stem\.", "entrance.", name): value for name, value in weights.items()}

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for layer in self.entrance:
            x = relu(layer(x))
        for number, unit in enumerate(self.blocks):
            x, kept = unit(x)
            if number in self.taken:
                maps.append(relu(kept) if self.activated else kept)
        return [*maps, x]
