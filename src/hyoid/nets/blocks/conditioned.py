"""A residual block that is told something about the whole sample, such as how noisy it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError
from ..layers import Style
from .conv import Stack, blocks

CONDITION = 128
"""Numbers that tell about a sample."""


class ConditionedUnit(nn.Module):
    """Norm, activation, convolution, twice, with a shortcut; the condition scales and shifts the second norm.

    Reference:
        nichol2021improved; ho2020denoising.
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.norm1 = style.norm_layer(in_channels) or nn.Identity()
        self.conv1 = style.conv(in_channels, out_channels, kernel, tuple(stride))
        self.told = nn.Linear(CONDITION, 2 * out_channels)
        self.norm2 = style.norm_layer(out_channels) or nn.Identity()
        self.act = style.act_layer(out_channels, inplace=False) or nn.Identity()
        self.dropout = style.dropout_layer() or nn.Identity()
        self.conv2 = style.conv(out_channels, out_channels, kernel)
        same = in_channels == out_channels and max(stride) == 1
        one = (1,) * style.dims
        self.shortcut = nn.Identity() if same else style.conv(in_channels, out_channels, one, tuple(stride))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = self.conv1(self.act(self.norm1(x)))
        scale, shift = (t[(...,) + (None,) * (x.ndim - 2)] for t in self.told(self.act(condition)).chunk(2, 1))
        y = self.norm2(y) * (1 + scale) + shift
        return self.conv2(self.dropout(self.act(y))) + self.shortcut(x)


@blocks.register("conditioned", papers=("ho2020denoising", "nichol2021improved"))
class Conditioned(Stack):
    """Residual units that are told a condition (B, 128); they belong into nets that give one."""

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        depth: int,
    ) -> None:
        if style.valid:
            raise ConfigError('The block "conditioned" adds its input, so it needs padding "same".')
        one = (1,) * style.dims
        widths, steps = [in_channels, *[out_channels] * depth], [tuple(stride), *[one] * depth]
        pairs = zip(widths, widths[1:], steps, strict=False)
        super().__init__(in_channels, [ConditionedUnit(style, a, b, kernel, step) for a, b, step in pairs])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]
        for unit in self:
            x = unit(x, condition)
        return x


class TimeEmbedding(nn.Module):
    """A time for each sample as waves of many lengths, mixed by two dense layers.

    Reference:
        vaswani2017attention, section 3.5; ho2020denoising.
    """

    rates: Tensor

    def __init__(self, waves: int = 64, longest: float = 10_000.0) -> None:
        super().__init__()
        lengths = torch.exp(-math.log(longest) * torch.arange(waves // 2) / (waves // 2))
        self.register_buffer("rates", lengths, persistent=False)
        self.dense = nn.Sequential(nn.Linear(waves, CONDITION), nn.SiLU(), nn.Linear(CONDITION, CONDITION))

    def forward(self, time: Tensor) -> Tensor:
        """Conditions (B, 128) of times (B,), such as the number of the diffusion step."""
        angles = time.to(self.rates.dtype)[:, None] * self.rates
        return self.dense(torch.cat((angles.cos(), angles.sin()), 1))
