"""EfficientNet as an encoder, named as torchvision names it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ...core.errors import DataError
from ..encoders import WayDown, encoders
from ..layers import Style
from .pyramid import Pyramid, conv_norm_act, keep, published_style, spread, window

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

SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600}
"""Pixels of the images they were trained on, to which smp's padding was fitted."""


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
        ends: Sequence[int] = (),
    ) -> None:
        super().__init__()
        wide, one = in_channels * expansion, keep(style.dims)
        layers: list[nn.Module] = [] if expansion == 1 else [conv_norm_act(style, in_channels, wide, one)]
        layers.append(conv_norm_act(style, wide, wide, kernel, stride, groups=wide, ends=ends))
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

    Two ports of the net differ where they stride. torchvision's pads all sides alike. That of
    segmentation_models.pytorch ("smp") pads as TensorFlow does for the image size of the paper: mostly one zero more at
    the end. It also has an epsilon of 1e-3, and for B0 takes the map of a sixteenth after the first unit of its stage.
    The last `dilated` levels keep the grid and spread their kernels.
    """

    unused = (*Pyramid.unused, "features.8.")
    stem = "features.0.0.weight"

    def __init__(
        self,
        way: WayDown,
        scale: str = "b0",
        eps: float = 1e-5,
        port: Literal["torchvision", "smp"] = "torchvision",
        dilated: int = 0,
    ) -> None:
        style, levels = published_style("efficientnet", way, act="silu"), way.levels
        size = SIZES[scale] if port == "smp" else 0
        if style.norm == "batch":
            style = replace(style, norm={"name": "batch", "eps": 1e-3 if size else eps})
        super().__init__(levels, (0, *[level.channels for level in levels[1:]]), dilated)
        self.scale, self.port = scale, port
        wider, deeper = SCALES[scale]
        width, entrance = levels[1].channels, window(levels[1], 3)
        ends = _tensorflow(entrance, levels[1].stride, size)
        layers: list[nn.Module] = [conv_norm_act(style, way.in_channels, width, entrance, levels[1].stride, ends=ends)]
        last: dict[int, int] = {1: 1}
        stages = [stage for stage in _STAGES if stage[0] < len(levels)]
        for number, (index, expansion, published_size, published, count) in enumerate(stages):
            level = levels[index]
            last_of_level = number + 1 == len(stages) or stages[number + 1][0] > index
            asked = level.channels if last_of_level else scaled(published * wider)
            kernel, units = window(level, published_size), []
            for unit in range(math.ceil(count * deeper)):
                # the first stage stays on the grid of the entrance
                enters = unit == 0 and number > 0 and (index not in last)
                step = self.strides[index] if enters else keep(style.dims)
                ends = _tensorflow(kernel, step, -(-size // 2 ** (index - 1)))
                units.append(MBConv(style, width, asked, kernel, step, expansion, ends))
                width = asked
            layers.append(nn.Sequential(*units))
            if number > 0:
                last[index] = len(layers)
        self.features, self.ends = nn.Sequential(*layers), frozenset(last.values())
        self.early = last.get(4) if size and scale == "b0" else None
        self.spread()
        if self.early and self.rates[-1] > 1:
            spread(self.features[self.early - 1][1:], self.rates[-1])  # type: ignore[index]

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image and its maps."""
        maps = [x]
        for number, layer in enumerate(self.features, start=1):
            if number == self.early:
                units = list(layer.children())
                maps.append(units[0](x))
                x = nn.Sequential(*units[1:])(maps[-1])
                continue
            x = layer(x)
            if number in self.ends:
                maps.append(x)
        return maps

    def renamed(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights in the names of the port that smp has (`_blocks.0._bn1.weight`) in ours."""
        theirs = "_conv_stem.weight" in weights
        if theirs != (self.port == "smp") and (theirs or self.stem in weights):
            whose, port = ("segmentation_models", "smp") if theirs else ("torchvision", "torchvision")
            raise DataError(
                f"These weights are those of {whose}'s port of EfficientNet, which strides otherwise; set "
                f"plan.net.encoder={{name: efficientnet, scale: {self.scale}, port: {port}}}."
            )
        if not theirs:
            return weights
        stages = list(enumerate(self.features.children()))[1:]
        blocks = [(f"features.{at}.{unit}.block.", block) for at, s in stages for unit, block in s.named_children()]
        found: dict[str, Tensor] = {}
        for key, value in weights.items():
            block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", key)
            if block and int(block[1]) < len(blocks):
                where, module = blocks[int(block[1])]
                place, _, layer = _PARTS[block[2]].partition(".")
                missing = 4 - len(list(module.get_submodule("block").children()))  # the first stage widens nothing
                found[f"{where}{int(place) - missing}.{layer}.{block[3]}"] = value
            elif key.startswith(("_conv_stem.", "_bn0.")):
                name, _, kind = key.partition(".")
                found[f"features.0.{int(name == '_bn0')}.{kind}"] = value
        return found


_PARTS = {
    "_expand_conv": "0.0",
    "_bn0": "0.1",
    "_depthwise_conv": "1.0",
    "_bn1": "1.1",
    "_se_reduce": "2.fc1",
    "_se_expand": "2.fc2",
    "_project_conv": "3.0",
    "_bn2": "3.1",
}
"""Where the layers of a block of that port are in ours."""


def _tensorflow(kernel: Sequence[int], stride: Sequence[int], size: int) -> tuple[int, ...]:
    """Zeros before and after each axis, last first, as TensorFlow pads maps of this size; none: as torch pads."""
    if not size or max(stride) == 1:
        return ()
    over = [max(0, (-(-size // step) - 1) * step + k - size) for k, step in zip(kernel, stride, strict=True)]
    return tuple(zeros for total in reversed(over) for zeros in (total // 2, total - total // 2))
