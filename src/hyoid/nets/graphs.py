"""Decoder graphs that are no single path: nested (U-Net++) and full scale (UNet 3+).

They report `.channels` of the maps they give, finest and deepest first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from .decoders import WayUp, decoders
from .layers import MAX_POOL, Unit
from .resample import LINEAR, Enlarge

Shape = tuple[int, ...]


class Node(nn.Module):
    """A node of the nested graph: all maps of its level and the enlarged one from below, side by side, convolved."""

    def __init__(self, up: nn.Module, carry: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.up, self.carry, self.block = up, carry, block

    def forward(self, same: Sequence[Tensor], coarser: Tensor) -> Tensor:
        x = self.up(coarser)
        first, *others = same
        return self.block(torch.cat([self.carry(first, x), *others, x], dim=1))


@decoders.register("nested", papers=("zhou2018unetplusplus", "zhou2020unetplusplus"))
class NestedDecoder(nn.Module):
    """X[i, j] = block([X[i, 0], ..., X[i, j - 1], up X[i + 1, j - 1]]): a U of every depth inside the deepest.

    Gives X[0, L - 1], ..., X[0, 1], all on the grid of the image; the heads on them are the four of the paper.

    Reference:
        zhou2018unetplusplus, equation 1.
    """

    def __init__(self, way: WayUp) -> None:
        super().__init__()
        _check("nested", way)
        channels = way.channels
        depth = len(channels) - 1
        self.nodes = nn.ModuleDict()
        widths = {(index, 0): width for index, width in enumerate(channels)}
        for column in range(1, len(channels)):
            for index in range(len(channels) - column):
                enlarge = way.into(index, widths[index + 1, column - 1])
                gate = int(enlarge.out_channels)  # type: ignore[arg-type]
                carry = way.carry(index, gate_channels=gate)
                if carry is None:
                    raise ConfigError('Decoder "nested" joins every level, so it needs skips; got skip "none".')
                entering = int(carry.out_channels) + gate  # type: ignore[arg-type]
                entering += sum(widths[index, before] for before in range(1, column))
                body = way.join(index, entering)
                self.nodes[f"{index}_{column}"] = Node(enlarge, carry, body)
                widths[index, column] = int(body.out_channels)  # type: ignore[arg-type]
        self.channels = tuple(widths[0, column] for column in range(depth, 0, -1))
        self.shrinks = ((0,) * len(way.strides[0]),) * depth

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        rows = [[x] for x in maps]
        for column in range(1, len(maps)):
            for index in range(len(maps) - column):
                rows[index].append(self.nodes[f"{index}_{column}"](rows[index], rows[index + 1][column - 1]))
        return rows[0][:0:-1]


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
        _check("full_scale", way)
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


def _check(name: str, way: WayUp) -> None:
    """Refuse what this graph cannot join.

    Raises:
        ConfigError: For valid padding, other fusions, or a level without a map.
    """
    if way.levels[0].style.valid:
        raise ConfigError(f'Decoder {name!r} joins maps of one size, so it needs padding "same"; got "valid".')
    if way.fusion != "concat":
        raise ConfigError(f'Decoder {name!r} joins maps side by side, so it needs fuse "concat"; got {way.fusion!r}.')
    if not all(way.channels):
        raise ConfigError(f"Decoder {name!r} needs a map of every level; this encoder gives none on the finest grid.")
