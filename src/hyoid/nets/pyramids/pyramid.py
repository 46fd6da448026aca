"""What pyramids share: sizes they report, kernels that follow the levels, norms of the published nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

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

    def __init__(self, levels: Sequence[Level], channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.strides = tuple(level.stride for level in levels)
        self.shrinks = ((0,) * levels[0].style.dims,) * len(levels)

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
) -> nn.Sequential:
    """A convolution with its norm and activation, numbered 0, 1, 2."""
    step = tuple(stride) if stride is not None else keep(style.dims)
    conv = style.conv(in_channels, out_channels, kernel, step, bias=style.norm == "none", groups=groups)
    act = style.act_layer(out_channels) or nn.Identity()
    return nn.Sequential(conv, style.norm_layer(out_channels) or nn.Identity(), act)
