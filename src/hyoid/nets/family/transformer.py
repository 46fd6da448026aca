"""Nets in which tokens look at one another: UNETR."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ..blocks.conv import ResidualBlock
from ..blocks.sequence import as_map, tokens
from ..blocks.tokens import Positions, TransformerLayer
from ..half import LayerNorm
from ..layers import CONV, TRANSPOSED, Style, channels_last
from ..net import Net, NetSpec
from ..unet import initialise
from ..variants import variant


class UNETRSpec(NetSpec):
    """UNETR: a vision transformer whose layers are the levels of a U.

    One level above the bottom for each halving of the tokens' size; the layers whose tokens become skips lie at equal
    distances.
    """

    kind: Literal["unetr"] = "unetr"
    channels: tuple[int, ...] = Field((16, 32, 64, 128), min_length=2, description="Width of the levels above tokens.")
    hidden: int | None = Field(None, description="Width of tokens; none: six times the last of `channels`.")
    heads: int = Field(12, ge=1, description="Heads of attention.")
    layers: int = Field(12, ge=1, description="Layers of the transformer; a multiple of the levels.")
    expansion: int = Field(4, ge=1, description="Widening between the dense layers.")
    image: int = Field(96, ge=1, description="Size of the image whose positions are learnt; others interpolate.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the features of tokens dropped.")

    @model_validator(mode="after")
    def _fits(self) -> UNETRSpec:
        levels = len(self.channels)
        if self.layers % levels:
            raise ValueError(f"{self.layers} layers cannot be shared by {levels} levels at equal distances")
        if self.width % self.heads:
            raise ValueError(f"tokens of width {self.width} cannot be shared by {self.heads} heads")
        if self.image % 2**levels:
            raise ValueError(f"an image of {self.image} is no multiple of the tokens' {2**levels} voxels")
        return self

    @property
    def width(self) -> int:
        """Width of tokens."""
        return self.hidden or 6 * self.channels[-1]


class UNETR(Net, spec=UNETRSpec):
    """The net of `UNETRSpec`.

    Reference:
        hatamizadeh2022unetr.
    """

    def __init__(self, spec: UNETRSpec) -> None:
        dims, widths, hidden, depth = spec.dims, spec.channels, spec.width, len(spec.channels)
        size = 2**depth
        super().__init__((size,) * dims, spec=spec)
        style = Style(dims, norm={"name": "instance", "affine": False})
        three, one = (3,) * dims, (1,) * dims
        self.embed = CONV[dims](spec.in_channels, hidden, size, size)
        self.positions = Positions(hidden, (spec.image // size,) * dims)
        self.layers = nn.ModuleList(
            TransformerLayer(hidden, spec.heads, spec.expansion * hidden, False, spec.dropout)
            for _ in range(spec.layers)
        )
        self.norm = LayerNorm(hidden)
        self.first = ResidualBlock(style, spec.in_channels, widths[0], three, one)
        self.skips = nn.ModuleList(
            nn.Sequential(
                TRANSPOSED[dims](hidden, width, 2, 2, bias=False),
                *[
                    nn.Sequential(
                        TRANSPOSED[dims](width, width, 2, 2, bias=False),
                        ResidualBlock(style, width, width, three, one),
                    )
                    for _ in range(depth - 1 - level)
                ],
            )
            for level, width in enumerate(widths[1:], start=1)
        )
        below = (*widths[1:], hidden)
        self.ups = nn.ModuleList(TRANSPOSED[dims](b, a, 2, 2, bias=False) for a, b in zip(widths, below, strict=True))
        self.decoder = nn.ModuleList(ResidualBlock(style, 2 * width, width, three, one) for width in widths)
        self.head = CONV[dims](widths[0], spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self._tokens(self.checked(x))
        skips = [self.first(channels_last(x)), *[skip(m) for skip, m in zip(self.skips, maps, strict=False)]]
        y = maps[-1]
        for up, block, skip in reversed(list(zip(self.ups, self.decoder, skips, strict=True))):
            y = block(torch.cat((up(y), skip), 1))
        return (self.head(y).contiguous(),)

    def _tokens(self, x: Tensor) -> list[Tensor]:
        """Tokens as maps: of every level, early layers first, and the normed last ones."""
        embedded = self.positions(self.embed(x))
        grid, every = embedded.shape[2:], len(self.layers) // len(self.spec.channels)
        sequence = tokens(embedded)
        maps = []
        for number, layer in enumerate(self.layers):
            sequence = layer(sequence)
            # the code counts layers from 0: those numbered 3, 6 and 9
            if number % every == 0 and number:
                maps.append(as_map(sequence, grid))
        return [*maps, as_map(self.norm(sequence), grid)]


variant(
    "unetr",
    of=UNETRSpec,
    papers=("hatamizadeh2022unetr", "dosovitskiy2021vit"),
    about="UNETR: a vision transformer of tokens of 16 voxels, its layers brought to the levels of a U.",
)
