"""Nets whose tokens look at one another in shifted windows: Swin UNETR and Swin-Unet."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..blocks.conv import ResidualBlock
from ..blocks.windows import PatchExpanding, PatchMerging, SwinLayer
from ..half import LayerNorm
from ..layers import CONV, TRANSPOSED, Style, channels_last
from ..net import NetSpec, TokenNet
from ..unet import initialise
from ..variants import variant


class SwinSpec(NetSpec):
    """What nets of shifted windows have in common."""

    kind: str = "swin"
    channels: tuple[int, ...] = Field((48, 96, 192, 384), min_length=2, description="Width of tokens of each level.")
    depths: tuple[int, ...] = Field(
        (2,), min_length=1, description="Layers of each; the last repeats, every other shifts."
    )
    head_width: int = Field(16, ge=1, description="Width of a head of attention.")
    window: int = Field(7, ge=2, description="Tokens of a window along each axis.")

    @model_validator(mode="after")
    def _fits(self) -> SwinSpec:
        for width in self.channels:
            if width % self.heads(width):
                raise ValueError(f"tokens of width {width} cannot be shared by {self.heads(width)} heads")
        return self

    def heads(self, width: int) -> int:
        """Heads of attention of tokens of this width."""
        return max(1, width // self.head_width)

    def stage(self, level: int) -> nn.Sequential:
        """The layers of a level."""
        width, depth = self.channels[level], self.depths[min(level, len(self.depths) - 1)]
        given = (width, self.heads(width), (self.window,) * self.dims)
        return nn.Sequential(*[SwinLayer(*given, shifted=number % 2 == 1) for number in range(depth)])


class SwinUNETRSpec(SwinSpec):
    """Swin UNETR: tokens of 2 voxels, levels of shifted windows, and residual convolutions on the way up."""

    kind: Literal["swin_unetr"] = "swin_unetr"


class SwinUNETR(TokenNet, spec=SwinUNETRSpec):
    """The net of `SwinUNETRSpec`.

    Reference:
        hatamizadeh2022swin; tang2022swin.
    """

    def __init__(self, spec: SwinUNETRSpec) -> None:
        dims, width, levels = spec.dims, spec.channels[0], len(spec.channels)
        super().__init__((2 ** (levels + 1),) * dims, spec=spec)
        style = Style(dims, norm={"name": "instance", "affine": False})
        three, one = (3,) * dims, (1,) * dims

        def residual(a: int, b: int) -> nn.Module:
            return ResidualBlock(style, a, b, three, one)

        self.embed = CONV[dims](spec.in_channels, width, 2, 2)
        widths = (*spec.channels, 2 * spec.channels[-1])
        self.stages = nn.ModuleList(
            nn.Sequential(spec.stage(level), PatchMerging(dims, a, b)) for level, (a, b) in enumerate(pairwise(widths))
        )
        # the map before the coarsest is joined as it is
        self.first = residual(spec.in_channels, width)
        self.skips = nn.ModuleList(residual(w, w) for w in widths[:-2])
        self.bottom = residual(widths[-1], widths[-1])
        self.ups = nn.ModuleList(
            TRANSPOSED[dims](b, a, 2, 2, bias=False) for a, b in zip((width, *widths), widths, strict=False)
        )
        self.decoder = nn.ModuleList(residual(2 * w, w) for w in (width, *widths[:-1]))
        self.head = CONV[dims](width, spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self._encoded(self.checked(x))
        skips = [self.first(channels_last(x)), *[block(m) for block, m in zip(self.skips, maps, strict=False)]]
        y = self.bottom(maps[-1])
        for up, block, skip in reversed(list(zip(self.ups, self.decoder, [*skips, maps[-2]], strict=True))):
            y = block(torch.cat((up(y), skip), 1))
        return (self.head(y).contiguous(),)

    def _encoded(self, x: Tensor) -> list[Tensor]:
        """Tokens as normed maps (B, C, *S), finest first."""
        tokens = self.embed(x).movedim(1, -1)
        maps = [_as_map(tokens)]
        for stage in self.stages:
            tokens = stage(tokens)
            maps.append(_as_map(tokens))
        return maps


def _as_map(tokens: Tensor) -> Tensor:
    """Tokens (B, *S, C), each normed, as a map (B, C, *S)."""
    return functional.layer_norm(tokens, tokens.shape[-1:]).movedim(-1, 1)


class SwinUNetSpec(SwinSpec):
    """Swin-Unet: tokens of 4 voxels and shifted windows on the way down and up, no convolution between."""

    kind: Literal["swin_unet"] = "swin_unet"
    channels: tuple[int, ...] = Field((96, 192, 384, 768), min_length=2, description="Width of tokens of each level.")
    head_width: int = Field(32, ge=1, description="Width of a head of attention.")
    token: int = Field(4, ge=1, description="Voxels of a token along each axis.")

    @property
    def undrawn(self) -> str:
        """Levels that are made by regrouping tokens."""
        deeper = self.channels[1:]
        grids = ", ".join(f"1/{self.token * 2 ** (k + 1)}" for k in range(len(deeper)))
        widths = ", ".join(map(str, deeper))
        return f"below, tokens are regrouped to {grids} with {widths} channels and back, joined at each level."


class SwinUNet(TokenNet, spec=SwinUNetSpec):
    """The net of `SwinUNetSpec`.

    Reference:
        cao2022swinunet.
    """

    def __init__(self, spec: SwinUNetSpec) -> None:
        dims, width, levels = spec.dims, spec.channels[0], len(spec.channels)
        super().__init__((spec.token * 2 ** (levels - 1),) * dims, spec=spec)
        pairs = list(pairwise(spec.channels))
        self.embed = CONV[dims](spec.in_channels, width, spec.token, spec.token)
        self.embed_norm = LayerNorm(width)
        self.encoder = nn.ModuleList(spec.stage(level) for level in range(levels))
        self.downs = nn.ModuleList(PatchMerging(dims, a, b) for a, b in pairs)
        self.norm = LayerNorm(spec.channels[-1])
        self.ups = nn.ModuleList(PatchExpanding(dims, b, a) for a, b in pairs)
        self.joins = nn.ModuleList(nn.Linear(2 * a, a) for a, _ in pairs)
        self.decoder = nn.ModuleList(spec.stage(level) for level in range(levels - 1))
        self.last_norm = LayerNorm(width)
        self.enlarge = PatchExpanding(dims, width, width, spec.token)
        self.head = CONV[dims](width, spec.out_channels, 1, bias=False)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        tokens = self.embed_norm(self.embed(self.checked(x)).movedim(1, -1))
        skips = []
        for stage, down in zip(self.encoder[:-1], self.downs, strict=True):
            skips.append(tokens)  # what enters a level is what joins it on the way up
            tokens = down(stage(tokens))
        tokens = self.norm(self.encoder[-1](tokens))
        levels = zip(self.ups, self.joins, self.decoder, skips, strict=True)
        for up, join, stage, skip in reversed(list(levels)):
            tokens = stage(join(torch.cat((up(tokens), skip), -1)))
        return (self.head(self.enlarge(self.last_norm(tokens)).movedim(-1, 1)).contiguous(),)


variant(
    "swin_unetr",
    of=SwinUNETRSpec,
    papers=("hatamizadeh2022swin", "tang2022swin", "liu2021swin"),
    about="Swin UNETR: levels of shifted windows on tokens of 2 voxels, residual convolutions on the way up.",
)
variant(
    "swin_unet",
    of=SwinUNetSpec,
    papers=("cao2022swinunet", "liu2021swin"),
    about="Swin-Unet: shifted windows on tokens of 4 voxels on the way down and up, no convolution between.",
)
