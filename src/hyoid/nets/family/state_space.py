"""Nets with state spaces: U-Mamba, VM-UNet, PUNet; the selective scan is plain torch and runs anywhere.

VM-UNet is its authors' net, layer by layer. U-Mamba and PUNet follow the papers' descriptions; what is known to differ
stands with their rows.

Trap: the public code of these nets runs only with one vendor's compiled scan, so that weights trained there cannot be
used on other machines.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..blocks.attention import SqueezeExcitation
from ..blocks.conv import ResidualBlock
from ..blocks.sequence import FourWays, Mamba, as_map, tokens
from ..blocks.windows import PatchExpanding, PatchMerging
from ..layers import CONV, TRANSPOSED, Style, Unit, channels_last
from ..net import Net, NetSpec, TokenNet
from ..unet import initialise
from ..variants import variant


class StateSpaceSpec(NetSpec):
    """A U of convolutions whose levels scan their maps as sequences."""

    kind: Literal["state_space"] = "state_space"
    form: Literal["u_mamba_bot", "u_mamba_enc", "punet"] = Field("u_mamba_enc", description="Which net.")
    channels: tuple[int, ...] = Field((32, 64, 128, 256, 320), min_length=2, description="Width of each level.")
    blocks: tuple[int, ...] = Field((2,), min_length=1, description="Blocks of each level; the last one repeats.")
    states: int = Field(16, ge=1, description="Numbers that the scan keeps for each channel.")


class MambaLayer(nn.Module):
    """Layer norm and Mamba over all voxels as one sequence, added to the map.

    Reference:
        ma2024umamba, figure 1.
    """

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mamba = Mamba(channels, states)

    def forward(self, x: Tensor) -> Tensor:
        return x + as_map(self.mamba(self.norm(tokens(x))), x.shape[2:])


class VisualStateSpace(nn.Module):
    """Layer norm and scans in every direction, added; on tokens (B, *S, C).

    Reference:
        ruan2024vmunet.
    """

    def __init__(self, dims: int, channels: int, states: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.scan = FourWays(dims, channels, states)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scan(self.norm(x))


class DualPath(nn.Module):
    """A depthwise separable convolution of one half of the channels beside a visual state space of the other."""

    def __init__(self, style: Style, channels: int, states: int) -> None:
        super().__init__()
        half = channels // 2
        self.halves = (half, channels - half)
        three = (3,) * style.dims
        self.local = nn.Sequential(
            style.conv(half, half, three, groups=half), Unit(style, half, half, (1,) * style.dims)
        )
        self.distant = VisualStateSpace(style.dims, channels - half, states)
        self.mix = Unit(style, channels, channels, (1,) * style.dims)

    def forward(self, x: Tensor) -> Tensor:
        near, far = x.split(self.halves, 1)
        y = torch.cat((self.local(near), self.distant(far.movedim(1, -1)).movedim(-1, 1)), 1)
        return x + self.mix(y)


class StateSpaceNet(Net, spec=StateSpaceSpec):
    """The net of `StateSpaceSpec`: U-Mamba in its two forms, and PUNet.

    U-Mamba has residual blocks, and Mamba after those of every level or of the bottom alone. PUNet has two paths at
    every level of the encoder, and skips whose channels are weighed by squeeze and excitation.

    Reference:
        ma2024umamba; hu2018squeeze.
    """

    def __init__(self, spec: StateSpaceSpec) -> None:
        depth, dims, widths = len(spec.channels), spec.dims, spec.channels
        super().__init__((2 ** (depth - 1),) * dims, spec=spec)
        self.style = Style(dims)
        one, three = (1,) * dims, (3,) * dims
        self.stem = Unit(self.style, spec.in_channels, widths[0], three)
        self.encoder = nn.ModuleList(self._stage(level) for level in range(depth))
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(CONV[dims](a, b, 2, 2) for a, b in pairs)
        self.skips = nn.ModuleList(
            SqueezeExcitation(self.style, width, ratio=8, act="silu") if spec.form == "punet" else nn.Identity()
            for width in widths[:-1]
        )
        self.ups = nn.ModuleList(TRANSPOSED[dims](b, a, 2, 2) for a, b in pairs)
        self.joins = nn.ModuleList(Unit(self.style, 2 * width, width, one) for width in widths[:-1])
        self.decoder = nn.ModuleList(Unit(self.style, width, width, three) for width in widths[:-1])
        self.head = CONV[dims](widths[0], spec.out_channels, 1)
        initialise(self)

    def _stage(self, level: int) -> nn.Module:
        """The blocks of a level on the way down."""
        spec, width = self.spec, self.spec.channels[level]
        count = spec.blocks[min(level, len(spec.blocks) - 1)]
        if spec.form == "punet":
            return nn.Sequential(*[DualPath(self.style, width, spec.states) for _ in range(count)])
        three, one = (3,) * spec.dims, (1,) * spec.dims
        convolutions = [ResidualBlock(self.style, width, width, three, one) for _ in range(count)]
        scans = spec.form == "u_mamba_enc" or level == len(spec.channels) - 1
        return nn.Sequential(*convolutions, *[MambaLayer(width, spec.states)] * scans)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.encoder[0](self.stem(channels_last(self.checked(x))))
        maps = [x]
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            x = stage(down(x))
            maps.append(x)
        for level in reversed(range(len(self.ups))):
            joined = torch.cat((self.skips[level](maps[level]), self.ups[level](x)), 1)
            x = self.decoder[level](self.joins[level](joined))
        return (self.head(x).contiguous(),)


class VMUNetSpec(NetSpec):
    """VM-UNet: tokens of 4 voxels that are scanned along every axis both ways, down and up; skips are added."""

    kind: Literal["vm_unet"] = "vm_unet"
    channels: tuple[int, ...] = Field((96, 192, 384, 768), min_length=2, description="Width of tokens of each level.")
    blocks: tuple[int, ...] = Field((2,), min_length=1, description="Blocks of each level; the last one repeats.")
    blocks_decoder: tuple[int, ...] = Field((1, 2), min_length=1, description="The same on the way up, finest first.")
    states: int = Field(16, ge=1, description="Numbers that the scan keeps for each channel.")
    token: int = Field(4, ge=1, description="Voxels of a token along each axis.")

    def stage(self, level: int, blocks: tuple[int, ...]) -> nn.Sequential:
        """The blocks of a level."""
        count = blocks[min(level, len(blocks) - 1)]
        return nn.Sequential(*[VisualStateSpace(self.dims, self.channels[level], self.states) for _ in range(count)])


class VMUNet(TokenNet, spec=VMUNetSpec):
    """The net of `VMUNetSpec`.

    A skip is what enters a level on the way down, and joins what has passed the level on the way up before it is
    enlarged; the finest level has none, and the coarsest has blocks of both ways. The authors drop blocks at random
    in training, which is left out here. Trap: their net repeats a single channel three times, so that its stem is
    larger, and gives a probability where there is one class and logits where there are more.

    Reference:
        ruan2024vmunet.
    """

    def __init__(self, spec: VMUNetSpec) -> None:
        dims, width, levels = spec.dims, spec.channels[0], len(spec.channels)
        super().__init__((spec.token * 2 ** (levels - 1),) * dims, spec=spec)
        pairs = list(pairwise(spec.channels))
        self.embed = CONV[dims](spec.in_channels, width, spec.token, spec.token)
        self.embed_norm = nn.LayerNorm(width)
        self.encoder = nn.ModuleList(spec.stage(level, spec.blocks) for level in range(levels))
        self.downs = nn.ModuleList(PatchMerging(dims, a, b) for a, b in pairs)
        self.ups = nn.ModuleList(PatchExpanding(dims, b, a) for a, b in pairs)
        self.decoder = nn.ModuleList(spec.stage(level, spec.blocks_decoder) for level in range(levels))
        narrow = max(1, width // 4)
        self.enlarge = PatchExpanding(dims, width, narrow, spec.token)
        self.head = CONV[dims](narrow, spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        tokens = self.encoder[0](self.embed_norm(self.embed(self.checked(x)).movedim(1, -1)))
        skips = []
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            tokens = down(tokens)
            skips.append(tokens)
            tokens = stage(tokens)
        tokens = self.decoder[-1](tokens)
        for up, stage, skip in reversed(list(zip(self.ups, self.decoder[:-1], skips, strict=True))):
            tokens = stage(up(tokens + skip))
        return (self.head(self.enlarge(tokens).movedim(-1, 1)).contiguous(),)


# The authors' code adds no sum around Mamba, enlarges by repeating voxels, and scans channels in place of voxels where
# a map has fewer voxels than channels, which ties it to one size of images. Its count depends on a plan of nnU-Net.
variant(
    "u_mamba",
    of=StateSpaceSpec,
    papers=("ma2024umamba", "gu2024mamba"),
    about="U-Mamba: residual blocks, then Mamba over all voxels of the level (or of the bottom: form u_mamba_bot).",
)

variant(
    "vm_unet",
    of=VMUNetSpec,
    papers=("ruan2024vmunet", "liu2024vmamba"),
    about="VM-UNet: tokens of 4 voxels, scans along every axis both ways, added skips.",
)

# PUNet is not published as code. Its abstract names the two paths, the weighed skips and 0.26 million parameters, and
# says nothing of widths; those here are chosen to have that many (3 channels, 1 class, 2D).
variant(
    "punet",
    of=StateSpaceSpec,
    papers=("gu2024mamba", "hu2018squeeze"),
    about="PUNet: half of the channels convolved, half scanned; skips weighed by squeeze and excitation.",
    form="punet",
    channels=(16, 32, 48, 64, 96),
    blocks=(1,),
    states=8,
)
