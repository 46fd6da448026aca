"""Nets that convolve first and look around the whole image then: TransUNet."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ..blocks.sequence import as_map, tokens
from ..blocks.tokens import Positions, TransformerLayer
from ..half import LayerNorm
from ..layers import CONV, Style, Unit
from ..net import NetSpec, TokenNet
from ..pyramids.resnet_v2 import ResNetV2
from ..resample import LINEAR, Enlarge
from ..unet import initialise
from ..variants import variant


class TransUNetSpec(NetSpec):
    """TransUNet: a ResNet, a transformer on its last map, and a decoder joined to the maps before."""

    kind: Literal["transunet"] = "transunet"
    channels: tuple[int, ...] = Field((64, 256, 512, 1024), min_length=2, description="Width of the ResNet's maps.")
    units: tuple[int, ...] = Field((3, 4, 9), min_length=1, description="Units of all but the first; the last repeats.")
    hidden: int = Field(768, ge=1, description="Width of tokens.")
    heads: int = Field(12, ge=1, description="Heads of attention.")
    layers: int = Field(12, ge=1, description="Layers of the transformer.")
    expansion: int = Field(4, ge=1, description="Widening between the dense layers.")
    image: int = Field(224, ge=1, description="Size of the image whose positions are learnt; others interpolate.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the features of tokens dropped.")
    decoder: tuple[int, ...] = Field((512, 256, 128, 64, 16), min_length=1, description="Widths from the tokens on.")

    @model_validator(mode="after")
    def _fits(self) -> TransUNetSpec:
        if self.hidden % self.heads:
            raise ValueError(f"tokens of width {self.hidden} cannot be shared by {self.heads} heads")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the decoder, one for each level and one for the grid of the image, coarsest first."""
        count = len(self.channels) + 1
        return (*self.decoder, *[self.decoder[-1]] * count)[:count]


class TransUNet(TokenNet, spec=TransUNetSpec):
    """The net of `TransUNetSpec`.

    Trap: the authors' evaluation gives a Dice of 1 where the reference is empty and something was predicted.

    Reference:
        chen2021transunet.
    """

    def __init__(self, spec: TransUNetSpec) -> None:
        dims, levels = spec.dims, len(spec.channels)
        super().__init__((2**levels,) * dims, spec=spec)
        units = (*spec.units, *[spec.units[-1]] * levels)[: levels - 1]
        self.encoder = ResNetV2(dims, spec.in_channels, spec.channels, units)
        self.embed = CONV[dims](spec.channels[-1], spec.hidden, 1)
        self.positions = Positions(spec.hidden, (max(1, spec.image // 2**levels),) * dims)
        self.dropout = nn.Dropout(spec.dropout)
        wide = spec.expansion * spec.hidden
        self.layers = nn.ModuleList(
            TransformerLayer(spec.hidden, spec.heads, wide, dropout=spec.dropout, eps=1e-6) for _ in range(spec.layers)
        )
        self.norm = LayerNorm(spec.hidden, eps=1e-6)
        style, three = Style(dims, norm="batch", act="relu"), (3,) * dims
        widths = spec.widths
        self.enter = Unit(style, spec.hidden, widths[0], three)
        self.up = Enlarge((2,) * dims, LINEAR[dims], True)
        joined = (*spec.channels[-2::-1], 0)
        self.decoder = nn.ModuleList(
            nn.Sequential(Unit(style, a + skip, b, three), Unit(style, b, b, three))
            for a, b, skip in zip(widths, widths[1:], joined, strict=False)
        )
        self.head = CONV[dims](widths[-1], spec.out_channels, 3, padding=1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        *skips, last = self.encoder(self.checked(x))
        y = self.enter(self._transformed(last))
        for block in self.decoder:
            y = self.up(y)
            y = block(torch.cat((y, skips.pop()), 1) if skips else y)
        return (self.head(y).contiguous(),)

    def _transformed(self, x: Tensor) -> Tensor:
        """The last map after the transformer, (B, hidden, *S)."""
        sequence = self.dropout(tokens(self.positions(self.embed(x))))
        for layer in self.layers:
            sequence = layer(sequence)
        return as_map(self.norm(sequence), x.shape[2:])


variant(
    "transunet",
    of=TransUNetSpec,
    papers=("chen2021transunet", "dosovitskiy2021vit", "kolesnikov2020bit"),
    about="TransUNet: a ResNet-50, the 12 layers of ViT-B on its last map, a decoder joined to the maps before.",
)
