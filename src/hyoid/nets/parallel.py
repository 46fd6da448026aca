"""Two encoders or two decoders side by side, as parts of a U."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from .decoders import WayUp, decoders
from .encoders import WayDown, encoders
from .heads import heads
from .layers import Part, Style, build_part


@encoders.register("parallel", papers="dolz2019ivdnet")
class ParallelEncoders(nn.Module):
    """An encoder for each group of the image's channels, such as modalities; their maps lie side by side.

    Reference:
        dolz2019ivdnet.
    """

    def __init__(self, way: WayDown, each: Part = "stages", groups: tuple[int, ...] = ()) -> None:
        """The encoders.

        Args:
            way: What each is made of.
            each: An encoder from the shelf.
            groups: How many channels each encoder sees; two halves when empty. An image of one channel is seen by both.
        """
        super().__init__()
        in_channels = way.in_channels
        groups = tuple(groups) or ((in_channels + 1) // 2, in_channels // 2)
        if in_channels > 1 and (min(groups) < 1 or sum(groups) != in_channels):
            raise ConfigError(
                f"Encoders for {groups} channels do not share an image of {in_channels}; say how they do."
            )
        self.groups = groups if in_channels > 1 else ()
        ways = [replace(way, in_channels=width) for width in self.groups or (1, 1)]
        self.encoders = nn.ModuleList(build_part(encoders, each, way=one) for one in ways)
        every = [encoder.channels for encoder in self.encoders]
        self.channels = tuple(map(sum, zip(*every, strict=True)))
        self.strides, self.shrinks = self.encoders[0].strides, self.encoders[0].shrinks

    def forward(self, x: Tensor) -> list[Tensor]:
        parts = x.split(self.groups, 1) if self.groups else (x,) * len(self.encoders)
        every = [encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)]
        return [torch.cat(maps, 1) for maps in zip(*every, strict=True)]


@decoders.register("parallel", papers="mahbod2022dual")
class ParallelDecoders(nn.Module):
    """Two decoders on one encoder, for answers of two kinds; their maps lie side by side, for the head `split`.

    Reference:
        mahbod2022dual.
    """

    def __init__(self, way: WayUp, each: Part = "unet") -> None:
        super().__init__()
        self.decoders = nn.ModuleList(build_part(decoders, each, way=way) for _ in range(2))
        first = self.decoders[0]
        self.channels = tuple(2 * width for width in first.channels)  # type: ignore[union-attr]
        self.shrinks = first.shrinks

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        every = [decoder(maps) for decoder in self.decoders]
        return [torch.cat(sides, 1) for sides in zip(*every, strict=True)]


@heads.register("split", papers="mahbod2022dual")
class SplitHead(nn.Module):
    """A head for each half of the map; the second answers the last `second` channels, such as distances."""

    def __init__(self, style: Style, in_channels: int, out_channels: int, second: int = 1, each: Part = "conv") -> None:
        super().__init__()
        if not 0 < second < out_channels:
            raise ConfigError(
                f"Two decoders share {out_channels} channels, of which the second answers {second}; "
                f"each needs at least one."
            )
        self.side = in_channels // 2
        widths = (out_channels - second, second)
        self.heads = nn.ModuleList(
            build_part(heads, each, style=style, in_channels=self.side, out_channels=width) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        sides = x.split(self.side, 1)
        return torch.cat([head(side) for head, side in zip(self.heads, sides, strict=True)], 1)
