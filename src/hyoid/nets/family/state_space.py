"""Nets with state spaces: U-Mamba, VM-UNet, PUNet; the selective scan is plain torch and runs anywhere.

The nets follow the papers' descriptions; neither counts nor outputs were checked against published code.

Trap: the public code of these nets runs only with one vendor's compiled scan, so that weights trained there cannot be
used on other machines.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..blocks.conv import ResidualBlock
from ..blocks.sequence import FourWays, Mamba, as_map, tokens
from ..layers import CONV, TRANSPOSED, Style, Unit, channels_last
from ..net import Net, NetSpec
from ..resample import LINEAR
from ..rows import row
from ..unet import initialise


class StateSpaceSpec(NetSpec):
    """A U whose levels scan their maps as sequences."""

    kind: Literal["state_space"] = "state_space"
    form: Literal["u_mamba_bot", "u_mamba_enc", "vm_unet", "punet"] = Field("u_mamba_enc", description="Which net.")
    channels: tuple[int, ...] = Field((32, 64, 128, 256, 320), min_length=2, description="Width of each level.")
    blocks: tuple[int, ...] = Field((2,), min_length=1, description="Blocks of each level; the last one repeats.")
    states: int = Field(16, ge=1, description="Numbers that the scan keeps for each channel.")

    def build(self) -> StateSpaceNet:
        """The net, newly initialised."""
        return StateSpaceNet(self)


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
    """Layer norm and scans in every direction, added to the map.

    Reference:
        ruan2024vmunet.
    """

    def __init__(self, dims: int, channels: int, states: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.scan = FourWays(dims, channels, states)

    def forward(self, x: Tensor) -> Tensor:
        y = x.movedim(1, -1)
        return x + self.scan(self.norm(y)).movedim(-1, 1)


class DualPath(nn.Module):
    """A depthwise separable convolution beside a visual state space; squeeze and excitation weighs both.

    Reference:
        hu2018squeeze.
    """

    def __init__(self, style: Style, channels: int, states: int) -> None:
        super().__init__()
        half, one = channels // 2, (1,) * style.dims
        self.num_local = half
        self.local = nn.Sequential(style.conv(half, half, (3,) * style.dims, groups=half), Unit(style, half, half, one))
        self.distant = VisualStateSpace(style.dims, channels - half, states)
        narrow = max(1, channels // 8)
        self.squeeze = nn.Sequential(nn.Linear(channels, narrow), nn.SiLU(), nn.Linear(narrow, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat((self.local(x[:, : self.num_local]), self.distant(x[:, self.num_local :])), 1)
        weight = self.squeeze(y.flatten(2).mean(2))
        return x + y * weight.reshape(*weight.shape, *[1] * (x.ndim - 2))


class StateSpaceNet(Net):
    """The net of `StateSpaceSpec`: U-Mamba in its two forms, VM-UNet and PUNet.

    U-Mamba has residual blocks, and Mamba after those of every level or of the bottom alone. VM-UNet has visual state
    spaces on a grid of a quarter, added skips. PUNet has two paths at every level.

    Reference:
        ma2024umamba; ruan2024vmunet.
    """

    def __init__(self, spec: StateSpaceSpec) -> None:
        depth, dims, widths = len(spec.channels), spec.dims, spec.channels
        entry = 4 if spec.form == "vm_unet" else 1
        super().__init__((entry * 2 ** (depth - 1),) * dims)
        self.spec = spec
        self.style = Style(dims)
        one = (1,) * dims
        if spec.form == "vm_unet":
            self.stem: nn.Module = CONV[dims](spec.in_channels, widths[0], 4, 4)
        else:
            self.stem = Unit(self.style, spec.in_channels, widths[0], (3,) * dims)
        self.encoder = nn.ModuleList(self._stage(level, True) for level in range(depth))
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(CONV[dims](a, b, 2, 2) for a, b in pairs)
        self.ups = nn.ModuleList(TRANSPOSED[dims](b, a, 2, 2) for a, b in pairs)
        self.added = spec.form == "vm_unet"
        self.joins = nn.ModuleList(
            nn.Identity() if self.added else Unit(self.style, 2 * width, width, one) for width in widths[:-1]
        )
        self.decoder = nn.ModuleList(self._stage(level, False) for level in range(depth - 1))
        self.head = CONV[dims](widths[0], spec.out_channels, 1)
        initialise(self)

    def smallest_input(self) -> tuple[int, ...]:
        """The smallest shape it accepts; VM-UNet needs two voxels along each axis of its bottom to scan."""
        return tuple(step * (2 if self.added else 1) for step in self.divisor)

    def _stage(self, level: int, down: bool) -> nn.Module:
        """The blocks of a level."""
        spec, width = self.spec, self.spec.channels[level]
        count = spec.blocks[min(level, len(spec.blocks) - 1)]
        if spec.form == "vm_unet":
            return nn.Sequential(*[VisualStateSpace(spec.dims, width, spec.states) for _ in range(count)])
        if spec.form == "punet":
            return nn.Sequential(*[DualPath(self.style, width, spec.states) for _ in range(count)])
        three, one = (3,) * spec.dims, (1,) * spec.dims
        if not down:
            return Unit(self.style, width, width, three)
        convolutions = [ResidualBlock(self.style, width, width, three, one) for _ in range(count)]
        scans = spec.form == "u_mamba_enc" or level == len(spec.channels) - 1
        return nn.Sequential(*convolutions, *[MambaLayer(width, spec.states)] * scans)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits."""
        if not torch.compiler.is_compiling():
            self.output_shape(x.shape[2:])
        shape = x.shape[2:]
        x = self.encoder[0](self.stem(channels_last(x)))
        skips = [x]
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            x = stage(down(x))
            skips.append(x)
        for level in reversed(range(len(self.ups))):
            up = self.ups[level](x)
            joined = up + skips[level] if self.added else self.joins[level](torch.cat((skips[level], up), 1))
            x = self.decoder[level](joined)
        logits = self.head(x)
        if logits.shape[2:] != shape:
            logits = functional.interpolate(logits, shape, mode=LINEAR[len(shape)])
        return (logits.contiguous(),)


row(
    StateSpaceSpec,
    "u_mamba",
    papers=("ma2024umamba", "gu2024mamba"),
    about="U-Mamba: residual blocks, then Mamba over all voxels of the level (or of the bottom: form u_mamba_bot).",
)

row(
    StateSpaceSpec,
    "vm_unet",
    papers=("ruan2024vmunet", "liu2024vmamba"),
    about="VM-UNet: patches of 4, scans along every axis both ways, added skips.",
    form="vm_unet",
    channels=(96, 192, 384, 768),
    blocks=(2,),
)

# PUNet is not published as code: a reading of its description (a separable convolution beside a visual Mamba).
row(
    StateSpaceSpec,
    "punet",
    papers=("gu2024mamba", "hu2018squeeze"),
    about="PUNet: half of the channels convolved, half scanned, weighed by squeeze and excitation.",
    form="punet",
    channels=(16, 24, 32, 48, 64),
    blocks=(1,),
    states=8,
)
