"""Nets that read all maps of an encoder at once: FPN."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..encoders import encoders
from ..layers import CHANNEL_DROPOUT, CONV, Style, Unit, build_part, channels_last
from ..net import Net, NetSpec
from ..resample import LINEAR, Enlarge
from ..rows import row
from ..unet import UNetSpec, initialise


class FPNSpec(NetSpec):
    """FPN on a ResNet: maps of all levels from a quarter on, brought to one width and added from coarse to fine."""

    kind: Literal["fpn"] = "fpn"
    channels: tuple[int, ...] = Field((16, 64, 64, 128, 256, 512), min_length=3, description="Width of each level.")
    blocks: tuple[int, ...] = Field((1, 1, 3, 4, 6, 3), min_length=1, description="Units of each; the last repeats.")
    bottleneck: bool = Field(False, description="Units of three convolutions, as in ResNet-50.")
    pyramid: int = Field(256, ge=1, description="Width that all maps are brought to.")
    merged: int = Field(128, ge=1, description="Width of the maps that are added at the end.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the last channels dropped.")

    def build(self) -> FPN:
        """The net, newly initialised."""
        return FPN(self)


class FPN(Net):
    """The net of `FPNSpec`.

    Trap: a review says that maps are concatenated on the way to finer grids; the paper, and this, adds them.

    Reference:
        lin2017fpn.
    """

    def __init__(self, spec: FPNSpec) -> None:
        depth, dims = len(spec.channels), spec.dims
        super().__init__((2 ** (depth - 1),) * dims)
        self.spec = spec
        counts = (*spec.blocks, *[spec.blocks[-1]] * depth)[:depth]
        given = {"dims": dims, "in_channels": spec.in_channels, "out_channels": 1, "norm": "batch", "act": "relu"}
        levels = UNetSpec.parse({**given, "channels": spec.channels, "blocks_encoder": counts}).levels()
        part = {"name": "resnet", "bottleneck": spec.bottleneck}
        self.encoder = build_part(
            encoders, part, in_channels=spec.in_channels, levels=levels, block="plain", down="strided", stem=None
        )
        self.laterals = nn.ModuleList(CONV[dims](width, spec.pyramid, 1) for width in spec.channels[2:])
        style = Style(dims, norm={"name": "group", "groups": 32}, act="relu")
        self.branches = nn.ModuleList(self._branch(style, steps) for steps in range(depth - 2))
        self.dropout = CHANNEL_DROPOUT[dims](spec.dropout)
        self.head = CONV[dims](spec.merged, spec.out_channels, 1)
        initialise(self)

    def _branch(self, style: Style, steps: int) -> nn.Module:
        """Convolutions that bring a map so many steps finer."""
        spec = self.spec
        layers: list[nn.Module] = []
        for number in range(max(1, steps)):
            width = spec.merged if number else spec.pyramid
            layers.append(Unit(style, width, spec.merged, (3,) * spec.dims))
            if steps:
                layers.append(Enlarge((2,) * spec.dims, LINEAR[spec.dims], True))
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits."""
        if not torch.compiler.is_compiling():
            self.output_shape(x.shape[2:])
        shape = x.shape[2:]
        maps = [lateral(m) for lateral, m in zip(self.laterals, self.encoder(channels_last(x))[2:], strict=True)]
        for level in reversed(range(len(maps) - 1)):
            maps[level] = maps[level] + functional.interpolate(maps[level + 1], scale_factor=2.0, mode="nearest")
        merged = torch.stack([branch(m) for branch, m in zip(self.branches, maps, strict=True)]).sum(0)
        logits = self.head(self.dropout(merged))
        return (functional.interpolate(logits, shape, mode=LINEAR[len(shape)]).contiguous(),)


row(
    FPNSpec,
    "fpn",
    papers=("lin2017fpn", "he2016deep"),
    about="FPN: a ResNet-34 whose maps are added from coarse to fine and merged on a quarter of the grid.",
)
