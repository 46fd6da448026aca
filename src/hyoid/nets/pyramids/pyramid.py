"""What pyramids share: sizes they report, kernels that follow the levels, norms of the published nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ..encoders import Level, WayDown
from ..layers import Style

LEVELS = 6
"""Levels of a whole published encoder."""


class Pyramid(nn.Module):
    """An encoder with a published layout.

    Attributes:
        channels: Width of each map, finest first; 0 where there is none.
        strides: Step into each level.
        rates: Voxels between the taps of each level's kernels.
        shrinks: Voxels lost at each level: none, as all is padded.
        unused: Beginnings of published names that an encoder has no use for: the classifier.
        own: Beginnings of names that the published net does not have.
        stem: Name of the weight that sees the image.
        features: Its layers, where they lie in one row, and
        ends: The numbers of those whose maps it gives beside the image.
    """

    unused: tuple[str, ...] = ("fc.", "classifier.", "head.", "pre_logits.")
    own: tuple[str, ...] = ()
    stem: str
    features: nn.Sequential
    ends: frozenset[int]

    def __init__(self, levels: Sequence[Level], channels: Sequence[int], dilated: int = 0) -> None:
        """The last `dilated` levels keep the grid of the level before and spread their kernels, each twice as far."""
        super().__init__()
        self.channels = tuple(channels)
        kept = keep(levels[0].style.dims)
        fixed = len(levels) - min(dilated, max(0, len(levels) - 3))
        self.strides = tuple(kept if index >= fixed else level.stride for index, level in enumerate(levels))
        self.rates = tuple(2 ** max(0, index - fixed + 1) for index in range(len(levels)))
        self.shrinks = ((0,) * levels[0].style.dims,) * len(levels)

    def spread(self) -> None:
        """Spread the kernels of the layers of levels that keep the grid."""
        ends = [0, *sorted(self.ends)]
        for index, rate in enumerate(self.rates[1:]):
            if rate > 1:
                spread(self.features[ends[index] : ends[index + 1]], rate)

    def renamed(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Published weights in the names that this encoder has."""
        return weights

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for number, layer in enumerate(self.features, start=1):
            x = layer(x)
            if number in self.ends:
                maps.append(x)
        return maps


def published_style(name: str, way: WayDown, **changes: Any) -> Style:
    """The style of the levels, dressed as the published net; convolutions have no bias where a norm follows.

    Args:
        name: The encoder, for messages.
        way: What the spec asks for.
        **changes: What the published net dresses differently.

    Raises:
        ConfigError: When the spec asks for what the layout does not have.
    """
    style = replace(way.levels[0].style, order="CNA", dropout=0.0, **{"bias": None, **changes})
    if way.stem is not None:
        raise ConfigError(f"Encoder {name!r} has an entrance of its own, so it takes no stem; got {way.stem!r}.")
    if style.valid:
        raise ConfigError(f'Encoder {name!r} has a published layout with padding, so it needs padding "same".')
    if len(way.levels) > LEVELS:
        raise ConfigError(f"Encoder {name!r} has {LEVELS} levels; got channels for {len(way.levels)}.")
    return style


def window(level: Level, size: int) -> tuple[int, ...]:
    """A published kernel where the level has one, and 1 along axes where it has 1."""
    return tuple(size if k > 1 else 1 for k in level.kernel)


def keep(dims: int) -> tuple[int, ...]:
    """The stride that keeps the grid."""
    return (1,) * dims


def conv_norm_act(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int] | None = None,
    groups: int = 1,
    ends: Sequence[int] = (),
) -> nn.Sequential:
    """A convolution with its norm and activation, numbered 0, 1, 2; `ends` are other zeros around its map."""
    step = tuple(stride) if stride is not None else keep(style.dims)
    padded, biased = replace(style, valid=bool(ends)), style.norm == "none"
    conv = padded.conv(in_channels, out_channels, kernel, step, bias=biased, groups=groups)
    act = style.act_layer(out_channels) or nn.Identity()
    layers = (conv, style.norm_layer(out_channels) or nn.Identity(), act)
    return Padded(ends, *layers) if ends else nn.Sequential(*layers)


def spread(layers: nn.Module, rate: int) -> None:
    """Set the taps of all kernels so many voxels apart."""
    for conv in layers.modules():
        if isinstance(conv, nn.Conv2d | nn.Conv3d):
            conv.dilation = tuple(rate for _ in conv.kernel_size)
            conv.padding = tuple(k // 2 * rate for k in conv.kernel_size)


class Padded(nn.Sequential):
    """Layers whose map first gets zeros at its ends, last axis first."""

    def __init__(self, ends: Sequence[int], *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.zeros = tuple(ends)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, self.zeros))
