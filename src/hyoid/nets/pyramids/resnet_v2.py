"""The ResNet of hybrid transformers: group norm, standardised weights, no map on the grid of the image.

Modules are named as in the public code of TransUNet and, but for letters, in Google's weights of R50+ViT-B/16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..half import Conv2d, Conv3d
from ..layers import MAX_POOL, GroupNorm

EPS = 1e-6
"""Of the group norms; those of projections have torch's own, as published."""


class _Standardised:
    """A convolution whose kernels have mean 0 and variance 1 at every use.

    Reference:
        qiao2019weight.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        axes = tuple(range(1, weight.ndim))
        variance, mean = torch.var_mean(weight, axes, correction=0, keepdim=True)
        standard = (weight - mean) / torch.sqrt(variance + 1e-5)
        return super()._conv_forward(x, standard, bias)  # type: ignore[misc]


class StandardisedConv2d(_Standardised, Conv2d):
    """In 2D."""


class StandardisedConv3d(_Standardised, Conv3d):
    """In 3D."""


STANDARDISED = {2: StandardisedConv2d, 3: StandardisedConv3d}


def _norm(channels: int, groups: int, eps: float = EPS) -> nn.Module:
    while channels % groups:
        groups -= 1
    return GroupNorm(groups, channels, eps)


class BottleneckV2(nn.Module):
    """Three convolutions and a shortcut, each with its group norm.

    Trap: the name says second version, but activations follow the sum as in the first.
    """

    def __init__(self, dims: int, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        conv, narrow = STANDARDISED[dims], max(1, out_channels // 4)
        self.conv1 = conv(in_channels, narrow, 1, bias=False)
        self.gn1 = _norm(narrow, 32)
        self.conv2 = conv(narrow, narrow, 3, stride, 1, bias=False)
        self.gn2 = _norm(narrow, 32)
        self.conv3 = conv(narrow, out_channels, 1, bias=False)
        self.gn3 = _norm(out_channels, 32)
        self.downsample: nn.Module | None = None
        if stride > 1 or in_channels != out_channels:
            self.downsample = conv(in_channels, out_channels, 1, stride, bias=False)
            self.gn_proj = _norm(out_channels, out_channels, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.gn_proj(self.downsample(x))
        y = functional.relu(self.gn1(self.conv1(x)))
        y = functional.relu(self.gn2(self.conv2(y)))
        return functional.relu(self.gn3(self.conv3(y)) + shortcut)


class ResNetV2(nn.Module):
    """Maps at a half, a quarter, an eighth and a sixteenth, finest first.

    Args:
        dims: 2 or 3.
        in_channels: Channels of the image.
        channels: Width of each map.
        units: Units of the second and further maps.

    Reference:
        chen2021transunet; kolesnikov2020bit.
    """

    def __init__(self, dims: int, in_channels: int, channels: Sequence[int], units: Sequence[int]) -> None:
        super().__init__()
        first = channels[0]
        self.root = nn.Sequential(
            OrderedDict(
                conv=STANDARDISED[dims](in_channels, first, 7, 2, 3, bias=False),
                gn=_norm(first, 32),
                relu=nn.ReLU(inplace=True),
            )
        )
        # Published weights were trained without padding here: the map is one voxel short of a quarter.
        self.pool = MAX_POOL[dims](3, 2)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        width = first
        for number, (wide, count) in enumerate(zip(channels[1:], units, strict=True), start=1):
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            for unit in range(1, count + 1):
                stage[f"unit{unit}"] = BottleneckV2(dims, width, wide, 2 if unit == 1 and number > 1 else 1)
                width = wide
            body[f"block{number}"] = nn.Sequential(stage)
        self.body = nn.Sequential(body)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.root(x)]
        y = self.pool(maps[0])
        for number, stage in enumerate(self.body):
            y = stage(y)
            size = [n // 2 ** (number + 2) for n in x.shape[2:]]
            missing = [n - m for n, m in zip(size, y.shape[2:], strict=True)]
            maps.append(functional.pad(y, [v for m in reversed(missing) for v in (0, m)]) if any(missing) else y)
        return maps
