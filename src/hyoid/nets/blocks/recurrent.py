"""Recurrent convolutions: a unit that sees its input and its own answer of the step before.

Public code reads the paper in three ways that differ in weights and counts; `weights` names them:

- `separate`: the paper's equation, one convolution of the input and one of the state, a norm for every step
- `shared`: one convolution (and norm) of input + state, used at every step; its count does not depend on `steps`
- `unrolled`: a convolution of its own at every step; the count grows with `steps`, as in the paper's table
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ...core.errors import ConfigError
from ..layers import Style, Unit
from .conv import Stack, blocks, require_same_grid

Weights = Literal["separate", "shared", "unrolled"]


class SeparateRecurrence(nn.Module):
    """y(t) = act(norm_t(w_f * x + w_r * y(t-1))), where y(-1) is nothing.

    Reference:
        liang2015recurrent; alom2018recurrent.
    """

    def __init__(self, style: Style, channels: int, kernel: Sequence[int], steps: int) -> None:
        super().__init__()
        bias = style.has_bias("CNA")
        self.forward_conv = style.conv(channels, channels, kernel, bias=bias)
        self.state_conv = style.conv(channels, channels, kernel, bias=False)
        self.norms = nn.ModuleList(style.norm_layer(channels) or nn.Identity() for _ in range(steps + 1))
        self.act = style.act_layer(channels, inplace=False) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        seen = self.forward_conv(x)
        y = self.act(self.norms[0](seen))
        for norm in list(self.norms)[1:]:
            y = self.act(norm(seen + self.state_conv(y)))
        return y


class SummedRecurrence(nn.Module):
    """y(t) = unit_t(x + y(t-1)), with one unit for all steps or one for each.

    Reference:
        alom2018recurrent.
    """

    def __init__(self, style: Style, channels: int, kernel: Sequence[int], steps: int, shared: bool) -> None:
        super().__init__()
        count = 1 if shared else steps + 1
        self.units = nn.ModuleList(Unit(style, channels, channels, kernel) for _ in range(count))
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        y = self.units[0](x)
        for step in range(1, self.steps + 1):
            y = self.units[step % len(self.units)](x + y)
        return y


def _recurrence(style: Style, channels: int, kernel: Sequence[int], steps: int, weights: Weights) -> nn.Module:
    if weights not in ("separate", "shared", "unrolled"):
        raise ConfigError(f"Weights of a recurrent block are separate, shared or unrolled; got {weights!r}.")
    if steps < 1:
        raise ConfigError(f"A recurrent block takes at least 1 step; got steps: {steps}.")
    if weights == "separate":
        return SeparateRecurrence(style, channels, kernel, steps)
    return SummedRecurrence(style, channels, kernel, steps, shared=weights == "shared")


class RecurrentBlock(nn.Module):
    """A convolution of single voxels to the width, then recurrent layers; residual when their input is added again.

    Reference:
        liang2015recurrent; alom2018recurrent (Fig. 4).
    """

    def __init__(self, style: Style, in_channels: int, out_channels: int, layers: nn.Module, residual: bool) -> None:
        super().__init__()
        self.out_channels, self.residual = out_channels, residual
        self.project = style.pointwise(in_channels, out_channels)
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        return x + self.layers(x) if self.residual else self.layers(x)


@blocks.register("recurrent", papers=("liang2015recurrent", "alom2018recurrent"))
def recurrent(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    steps: int = 2,
    weights: Weights = "separate",
    residual: bool = False,
) -> nn.Module:
    """Recurrent convolution layers in a row, after a projection to the width."""
    require_same_grid("recurrent", style, stride)
    if depth == 0:
        return Stack(in_channels, [])
    layers = nn.Sequential(*[_recurrence(style, out_channels, kernel, steps, weights) for _ in range(depth)])
    return RecurrentBlock(style, in_channels, out_channels, layers, residual)


@blocks.register("recurrent_residual", papers="alom2018recurrent")
def recurrent_residual(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    steps: int = 2,
    weights: Weights = "separate",
) -> nn.Module:
    """Recurrent layers to which their input is added: R2U-Net's block."""
    return recurrent(style, in_channels, out_channels, kernel, stride, depth, steps, weights, residual=True)
