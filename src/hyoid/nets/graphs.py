"""Decoder graphs that are no single path: nested (U-Net++) and full scale (UNet 3+).

They report `.channels` of the maps they give, finest and deepest first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from .decoders import WayUp, decoders
from .layers import MAX_POOL, Unit
from .resample import LINEAR, Enlarge

Shape = tuple[int, ...]


class Node(nn.Module):
    """A node of the nested graph: all maps of its level and the enlarged one from below, side by side, convolved."""

    def __init__(self, up: nn.Module, carry: nn.Module | None, block: nn.Module, up_first: bool) -> None:
        super().__init__()
        self.up, self.carry, self.block, self.up_first = up, carry, block, up_first

    def forward(self, same: Sequence[Tensor], coarser: Tensor) -> Tensor:
        x = self.up(coarser)
        if self.carry is None:
            return self.block(x)
        first, *others = same
        maps = [self.carry(first, x), *others, x]
        return self.block(torch.cat(maps[::-1] if self.up_first else maps, dim=1))


@decoders.register("nested", papers=("zhou2018unetplusplus", "zhou2020unetplusplus"))
class NestedDecoder(nn.Module):
    """X[i, j] = block([X[i, 0], ..., X[i, j - 1], up X[i + 1, j - 1]]): a U of every depth inside the deepest.

    Gives X[0, L - 1], ..., X[0, 1], all on the grid of the image; the heads on them are the four of the paper. Where
    the encoder has no map of the finest level, this level has one node, and the further maps are those of the next.
    With fuse "concat_up_first" maps stand side by side in the opposite order.

    Args:
        way: What it is made of.
        inner: Width of the nodes that are not the last of their level: as the spec's decoder, or as the encoder's map,
            as in segmentation_models.pytorch.

    Reference:
        zhou2018unetplusplus, equation 1.
    """

    def __init__(self, way: WayUp, inner: Literal["decoder", "encoder"] = "decoder") -> None:
        super().__init__()
        _check("nested", way, ("concat", "concat_up_first"), way.channels[1:])
        channels = way.channels
        depth, self.first = len(channels) - 1, 0 if channels[0] else 1
        self.nodes = nn.ModuleDict()
        widths = {(index, 0): width for index, width in enumerate(channels)}
        self.places = [(0, depth)] if self.first else []
        self.places[:0] = [(i, j) for j in range(1, depth + 1) for i in range(self.first, depth + 1 - j)]
        for index, column in self.places:
            enlarge = way.into(index, widths[index + 1, column - 1])
            entering = gate = int(enlarge.out_channels)  # type: ignore[arg-type]
            carry = way.carry(index, gate_channels=gate) if channels[index] else None
            if carry is not None:
                entering += int(carry.out_channels)  # type: ignore[arg-type]
                entering += sum(widths[index, before] for before in range(1, column))
            elif channels[index]:
                raise ConfigError('Decoder "nested" joins every level, so it needs skips; got skip "none".')
            as_encoder = inner == "encoder" and index + column < depth
            body = way.join(index, entering, channels[index] if as_encoder else None)
            self.nodes[f"{index}_{column}"] = Node(enlarge, carry, body, way.fusion == "concat_up_first")
            widths[index, column] = int(body.out_channels)  # type: ignore[arg-type]
        self.given = [place for place in self.places[::-1] if place[0] <= self.first]
        self.channels = tuple(widths[place] for place in self.given)
        self.shrinks = ((0,) * len(way.strides[0]),) * depth

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        rows = [[x] for x in maps]
        for index, column in self.places:
            rows[index].append(self.nodes[f"{index}_{column}"](rows[index], rows[index + 1][column - 1]))
        return [rows[index][-1 if index < self.first else column] for index, column in self.given]


class FullScaleNode(nn.Module):
    """A node that sees every level: finer encoder maps pooled, coarser decoder maps enlarged, each through one unit."""

    def __init__(self, fits: Sequence[nn.Module], units: Sequence[nn.Module], block: nn.Module) -> None:
        super().__init__()
        self.fits, self.units, self.block = nn.ModuleList(fits), nn.ModuleList(units), block

    def forward(self, sources: Sequence[Tensor]) -> Tensor:
        narrowed = [unit(fit(x)) for fit, unit, x in zip(self.fits, self.units, sources, strict=True)]
        return self.block(torch.cat(narrowed, dim=1))


@decoders.register("full_scale", papers="huang2020unet3plus")
class FullScaleDecoder(nn.Module):
    """Every level joins all levels: `width` channels from each, then one unit as wide as their sum.

    Ways up and skips of the spec play no part. The map of the bottom comes last, so that deep supervision reaches it.

    Reference:
        huang2020unet3plus, equation 1.
    """

    def __init__(self, way: WayUp, width: int = 64) -> None:
        super().__init__()
        _check("full_scale", way, ("concat",), way.channels)
        channels, strides = way.channels, way.strides
        count, dims = len(channels), len(strides[0])
        joined = width * count
        built: list[FullScaleNode] = []
        for index in reversed(range(count - 1)):
            level = way.levels[index]
            entering = [*channels[: index + 1], *[joined] * (count - 2 - index), channels[-1]]
            units = [Unit(level.style, each, width, level.kernel) for each in entering]
            fits = [_fit(strides, source, index) for source in range(count)]
            built.append(FullScaleNode(fits, units, Unit(level.style, joined, joined, level.kernel)))
        self.levels = nn.ModuleList(reversed(built))
        self.channels = (*[joined] * (count - 1), channels[-1])
        self.shrinks = ((0,) * dims,) * (count - 1)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        decoded = [maps[-1]]
        for index in reversed(range(len(self.levels))):
            decoded.insert(0, self.levels[index]([*maps[: index + 1], *decoded]))
        return decoded


def _fit(strides: Sequence[Shape], source: int, target: int) -> nn.Module:
    """From the grid of one level to that of another: the largest value of a cell, or linear enlargement."""
    between = strides[min(source, target) + 1 : max(source, target) + 1]
    factors = tuple(math.prod(axis) for axis in zip(*between, strict=True))
    if source == target:
        return nn.Identity()
    if source < target:
        return MAX_POOL[len(factors)](factors, factors)
    return Enlarge(factors, LINEAR[len(factors)], False)


def _check(name: str, way: WayUp, fusions: Sequence[str], channels: Sequence[int]) -> None:
    """Refuse what this graph cannot join.

    Raises:
        ConfigError: For valid padding, other fusions, or a level without a map among these channels.
    """
    if way.levels[0].style.valid:
        raise ConfigError(f'Decoder {name!r} joins maps of one size, so it needs padding "same"; got "valid".')
    if way.fusion not in fusions:
        known = " or ".join(f'"{fusion}"' for fusion in fusions)
        raise ConfigError(f"Decoder {name!r} joins maps side by side, so it needs fuse {known}; got {way.fusion!r}.")
    if not all(channels):
        raise ConfigError(f"Decoder {name!r} needs a map of every level; this encoder gives none on the finest grid.")
