"""Blocks that look at several scales at once: Inception's branches, MultiRes, and its path for skips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError
from ..layers import MAX_POOL, Style, Unit
from ..skips import skips
from .conv import Stack, blocks, require_same_grid

# GoogLeNet 3a: of 256 maps, 64 from 1x1, 128 from 3x3 (over 96), 32 from 5x5 (over 16), 32 from the pool
_SHARES = {"one": 1 / 4, "large": 1 / 8, "pool": 1 / 8}
_NARROW = {"three": 3 / 8, "large": 1 / 16}


class InceptionBlock(nn.Module):
    """Four branches side by side: 1x1; 1x1 to 3x3; 1x1 to 5x5; pooling to 1x1.

    Shares of the width are those of GoogLeNet's first block (3a). Factorised, a convolution of size n is one along each
    axis after the other, and the 5x5 is two of 3x3.

    Reference:
        szegedy2015going; szegedy2016rethinking (factorised).
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], factorised: bool
    ) -> None:
        super().__init__()
        if out_channels < 4:
            raise ConfigError(
                f"An inception block has four branches, so it needs 4 channels or more; got {out_channels}."
            )
        self.out_channels = out_channels
        one = (1,) * style.dims
        widths = {name: max(1, int(out_channels * share)) for name, share in _SHARES.items()}
        three = out_channels - sum(widths.values())
        # never below 4, as in a level of 64: a branch through one map dies easily
        before = {name: max(4, int(out_channels * share)) for name, share in _NARROW.items()}
        larger = tuple(k + 2 if k > 1 else 1 for k in kernel)
        self.one = Unit(style, in_channels, widths["one"], one)
        self.three = nn.Sequential(
            Unit(style, in_channels, before["three"], one),
            spatial(style, before["three"], three, kernel, factorised),
        )
        self.large = nn.Sequential(
            Unit(style, in_channels, before["large"], one),
            spatial(style, before["large"], widths["large"], larger, factorised),
        )
        around = tuple(k // 2 for k in kernel)
        self.pool = nn.Sequential(
            MAX_POOL[style.dims](tuple(kernel), 1, around), Unit(style, in_channels, widths["pool"], one)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.three(x), self.large(x), self.pool(x)), dim=1)


def spatial(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], factorised: bool = False
) -> nn.Module:
    """A unit with this kernel, or in its place smaller ones that together see as much.

    Factorised, 5x5 becomes two of 3x3 (18/25 of the weights in 2D), and n x n becomes 1 x n and n x 1 (2/n of them).
    """
    if not factorised:
        return Unit(style, in_channels, out_channels, kernel)
    parts: list[nn.Module] = []
    channels, left = in_channels, tuple(kernel)
    while any(k > 1 for k in left):
        step = tuple(min(k, 3) for k in left)
        for axis in range(style.dims):
            if step[axis] > 1:
                along = tuple(step[axis] if other == axis else 1 for other in range(style.dims))
                parts.append(Unit(style, channels, out_channels, along))
                channels = out_channels
        left = tuple(max(1, k - 2) if k > 1 else 1 for k in left)
    return nn.Sequential(*parts) if parts else Unit(style, in_channels, out_channels, kernel)


@blocks.register("inception", papers=("szegedy2015going", "szegedy2016rethinking"))
def inception(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    factorised: bool = False,
) -> nn.Module:
    """Inception blocks in a row."""
    require_same_grid("inception", style, stride)
    widths = [in_channels, *[out_channels] * depth]
    made = [InceptionBlock(style, a, b, kernel, factorised) for a, b in pairwise(widths)]
    return Stack(in_channels, made)


class MultiResBlock(nn.Module):
    """Three chained convolutions whose maps stand side by side, as of 3x3, 5x5 and 7x7, and a shortcut.

    Widths are the whole parts of 0.167 W, 0.333 W and 0.5 W with W = 1.67 times the asked width, so it gives a few
    channels more or less than asked. Units follow the style, such as a batch norm without scale; the norm of the joined
    maps and the one after the last activation are whole. Ports to PyTorch normalise before they activate and carry a
    norm that they never use; the published net is the Keras one.

    Reference:
        ibtehaz2020multiresunet (Fig. 3).
    """

    def __init__(
        self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], alpha: float = 1.67
    ) -> None:
        super().__init__()
        widths = [max(1, int(out_channels * alpha * share)) for share in (0.167, 0.333, 0.5)]
        self.out_channels = sum(widths)
        self.shortcut = Unit(style, in_channels, self.out_channels, (1,) * style.dims, order="CN")
        pairs = zip([in_channels, *widths], widths, strict=False)
        self.units = nn.ModuleList(Unit(style, a, b, kernel) for a, b in pairs)
        whole = _whole_norm(style)
        self.norm = whole.norm_layer(self.out_channels) or nn.Identity()
        self.act = style.act_layer(self.out_channels, inplace=False) or nn.Identity()
        self.last_norm = whole.norm_layer(self.out_channels) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        short, maps = self.shortcut(x), []
        for unit in self.units:
            x = unit(x)
            maps.append(x)
        return self.last_norm(self.act(self.norm(torch.cat(maps, dim=1)) + short))


def _whole_norm(style: Style) -> Style:
    """The style with scale and shift in its norm."""
    if isinstance(style.norm, str):
        return style
    return replace(style, norm={key: value for key, value in style.norm.items() if key not in ("scale", "affine")})


@blocks.register("multires", papers="ibtehaz2020multiresunet")
def multires(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int], depth: int
) -> nn.Module:
    """MultiRes blocks in a row, each about as wide as asked."""
    require_same_grid("multires", style, stride)
    made: list[nn.Module] = []
    for _ in range(depth):
        made.append(MultiResBlock(style, in_channels, out_channels, kernel))
        in_channels = int(made[-1].out_channels)  # type: ignore[arg-type]
    return Stack(in_channels, made)


class ResPath(nn.Module):
    """A skip that convolves: units with shortcuts, so that the encoder's map comes closer to the decoder's.

    Every step has a norm of its own; the official port to PyTorch applies one norm twice in a step.

    Reference:
        ibtehaz2020multiresunet (Fig. 4).
    """

    def __init__(self, style: Style, in_channels: int, out_channels: int, length: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        widths = [in_channels, *[out_channels] * (length - 1)]
        one, three = (1,) * style.dims, (3,) * style.dims
        self.shortcuts = nn.ModuleList(Unit(style, width, out_channels, one, order="CN") for width in widths)
        self.units = nn.ModuleList(Unit(style, width, out_channels, three) for width in widths)
        whole = _whole_norm(style)
        self.norms = nn.ModuleList(whole.norm_layer(out_channels) or nn.Identity() for _ in widths)
        self.act = style.act_layer(out_channels, inplace=False) or nn.Identity()

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        for shortcut, unit, norm in zip(self.shortcuts, self.units, self.norms, strict=True):
            skip = norm(self.act(shortcut(skip) + unit(skip)))
        return skip


@skips.register("res_path", papers="ibtehaz2020multiresunet")
def _res_path(style: Style, in_channels: int, gate_channels: int, level: int, length: int = 4) -> nn.Module:
    """Convolutions with shortcuts, `length` of them at the finest level and one fewer at each coarser level."""
    return ResPath(style, in_channels, gate_channels, max(1, length - level))
