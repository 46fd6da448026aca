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


class SeparableConv(nn.Module):
    """Each channel on its own, then each voxel, with a norm after both; activations too where `activated`."""

    def __init__(
        self,
        style: Style,
        ends: tuple[int, int],
        kernel: Sequence[int],
        stride: Sequence[int],
        rate: int,
        activated: bool,
    ) -> None:
        super().__init__()
        width, wider = ends
        bias = style.norm == "none"
        self.conv_dw = style.conv(width, width, kernel, tuple(stride), bias=bias, groups=width, dilation=rate)
        self.bn_dw = style.norm_layer(width) or nn.Identity()
        self.conv_pw = style.pointwise(width, wider, bias)
        self.bn_pw = style.norm_layer(wider) or nn.Identity()
        self.act = (style.act_layer(width) if activated else None) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn_pw(self.conv_pw(self.act(self.bn_dw(self.conv_dw(x))))))


class XceptionUnit(nn.Module):
    """Three separable convolutions, of which the last strides, and a shortcut, projected where it has to be.

    Activations stand before the convolutions; in the `last` unit of the net behind them, and it has no shortcut.
    """

    def __init__(
        self,
        style: Style,
        widths: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        rate: int,
        last: bool = False,
    ) -> None:
        super().__init__()
        steps = (keep(style.dims), keep(style.dims), tuple(stride))
        convs = [
            SeparableConv(style, ends, kernel, step, rate, last)
            for ends, step in zip(pairwise(widths), steps, strict=True)
        ]
        self.stack = nn.Sequential(OrderedDict((f"conv{number}", conv) for number, conv in enumerate(convs, start=1)))
        before = None if last else style.act_layer(widths[0], inplace=False)  # the shortcut and the taken map stay
        self.act, self.adds, self.shortcut = before or nn.Identity(), not last, None
        if not last and (widths[0] != widths[-1] or steps[-1] != steps[0]):
            conv = style.conv(widths[0], widths[-1], keep(style.dims), steps[-1], bias=style.norm == "none")
            norm = style.norm_layer(widths[-1]) or nn.Identity()
            self.shortcut = nn.Sequential(OrderedDict(conv=conv, bn=norm))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What leaves the unit, and the map before its last convolution, which has the grid of the input."""
        first, second, third = self.stack
        kept = second(self.act(first(self.act(x))))
        y = third(self.act(kept))
        return (y + (x if self.shortcut is None else self.shortcut(x)) if self.adds else y), kept


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
        one, width = keep(style.dims), max(1, levels[1].channels // 2)
        narrow, kernel = max(1, width // 2), window(levels[1], 3)
        first = _entrance(style, way.in_channels, narrow, kernel, levels[1].stride)
        self.entrance = nn.Sequential(first, _entrance(style, narrow, width, kernel, one))
        units: list[XceptionUnit] = []
        taken: list[int] = []
        for index in range(1, len(levels) - 1):
            kernel, rate, wider = window(levels[index], 3), self.rates[index], levels[index].channels
            for _ in range(levels[index].blocks_encoder):
                units.append(XceptionUnit(style, [width] * 4, kernel, one, rate))
            narrow = width if index == len(levels) - 2 else wider
            taken.append(len(units))
            units.append(XceptionUnit(style, (width, narrow, wider, wider), kernel, self.strides[index + 1], rate))
            width = wider
        last = levels[-1].channels
        widths = (width, *[max(1, 3 * last // 4)] * 2, last)
        units.append(XceptionUnit(style, widths, window(levels[-1], 3), one, self.rates[-1], last=True))
        self.blocks, self.taken, self.activated = nn.Sequential(*units), frozenset(taken), activated

    def renamed(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Timm's names, whose entrance is its stem."""
        return {re.sub(r"^stem\.", "entrance.", name): value for name, value in weights.items()}

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        x = self.entrance(x)
        for number, unit in enumerate(self.blocks):
            x, kept = unit(x)
            if number in self.taken:
                maps.append(relu(kept) if self.activated else kept)
        return [*maps, x]


def _entrance(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int]
) -> nn.Module:
    conv = style.conv(in_channels, out_channels, kernel, tuple(stride), bias=style.norm == "none")
    norm, act = style.norm_layer(out_channels) or nn.Identity(), style.act_layer(out_channels) or nn.Identity()
    return nn.Sequential(OrderedDict(conv=conv, bn=norm, act=act))
