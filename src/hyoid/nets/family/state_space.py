"""Nets with state spaces: U-Mamba, VM-UNet, PUNet; the selective scan is plain torch and runs anywhere.

VM-UNet and U-Mamba are their authors' nets, layer by layer. PUNet follows its paper's description; what is invented
stands with its row.

Trap: the public code of these nets runs only with one vendor's compiled scan, so that weights trained there cannot be
used on other machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..blocks.attention import SqueezeExcitation
from ..blocks.sequence import FourWays
from ..blocks.windows import PatchExpanding, PatchMerging
from ..half import LayerNorm
from ..layers import CONV, TRANSPOSED, Style, Unit, channels_last
from ..net import Net, NetSpec, TokenNet
from ..unet import initialise
from ..variants import variant


class PUNetSpec(NetSpec):
    """PUNet: a U with two paths at every level of the encoder, and skips whose channels are weighed."""

    kind: Literal["punet"] = "punet"
    channels: tuple[int, ...] = Field((16, 32, 48, 64, 96), min_length=2, description="Width of each level.")
    blocks: tuple[int, ...] = Field((1,), min_length=1, description="Blocks of each level; the last one repeats.")
    states: int = Field(8, ge=1, description="Numbers that the scan keeps for each channel.")


class VisualStateSpace(nn.Module):
    """Layer norm and scans in every direction, added; on tokens (B, *S, C).

    Reference:
        ruan2024vmunet.
    """

    def __init__(self, dims: int, channels: int, states: int) -> None:
        super().__init__()
        self.norm = LayerNorm(channels)
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


class PUNet(Net, spec=PUNetSpec):
    """The net of `PUNetSpec`.

    Reference:
        gu2024mamba; hu2018squeeze.
    """

    def __init__(self, spec: PUNetSpec) -> None:
        depth, dims, widths = len(spec.channels), spec.dims, spec.channels
        super().__init__((2 ** (depth - 1),) * dims, spec=spec)
        style = Style(dims)
        one, three = (1,) * dims, (3,) * dims
        counts = [spec.blocks[min(level, len(spec.blocks) - 1)] for level in range(depth)]
        self.stem = Unit(style, spec.in_channels, widths[0], three)
        self.encoder = nn.ModuleList(
            nn.Sequential(*[DualPath(style, width, spec.states) for _ in range(count)])
            for width, count in zip(widths, counts, strict=True)
        )
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(CONV[dims](a, b, 2, 2) for a, b in pairs)
        self.skips = nn.ModuleList(SqueezeExcitation(style, width, ratio=8, act="silu") for width in widths[:-1])
        self.ups = nn.ModuleList(TRANSPOSED[dims](b, a, 2, 2) for a, b in pairs)
        self.joins = nn.ModuleList(Unit(style, 2 * width, width, one) for width in widths[:-1])
        self.decoder = nn.ModuleList(Unit(style, width, width, three) for width in widths[:-1])
        self.head = CONV[dims](widths[0], spec.out_channels, 1)
        initialise(self)

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
        self.embed_norm = LayerNorm(width)
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


# Block by block the authors' nets in nnU-Net's widths. In 2D their code leaves out the finest skip and has Mamba at
# every other level only, from the bottom up; in 3D at every level. It scans channels in place of voxels where a map has
# no more voxels than channels, which ties a net to one size of images: `{name: mamba, voxels: 64}` at such a level.
_RESIDUAL: dict[str, Any] = {"name": "residual", "projected": True}
_SCANNED: dict[str, Any] = {"name": "attended", "block": _RESIDUAL, "attention": "mamba"}
_U_MAMBA: dict[str, Any] = {
    "papers": ("ma2024umamba", "gu2024mamba"),
    "stem": {**_RESIDUAL, "more": 1},
    "block_decoder": _RESIDUAL,
    # one block for two in the coarser half of the encoder and, as their code counts, the finer half of the decoder
    "blocks_encoder": lambda widths: [2] * -(-len(widths) // 2) + [1] * (len(widths) // 2),
    "blocks_decoder": lambda widths: [1] * (len(widths) // 2 - 1) + [2] * -(-len(widths) // 2),
    "up": "conv_nearest",
    "fuse": "concat_up_first",
    "bias": True,
    "deep_supervision": True,
}


def _every_other(channels: Sequence[int]) -> tuple[dict[str, Any], ...]:
    """Mamba at the bottom and at every other level above it."""
    return tuple((_SCANNED, _RESIDUAL)[(len(channels) - 1 - level) % 2] for level in range(len(channels)))


def _bottom(channels: Sequence[int]) -> tuple[dict[str, Any], ...]:
    """Mamba at the bottom alone."""
    return (*[_RESIDUAL] * (len(channels) - 1), _SCANNED)


_WIDTHS_2D = {"channels": (32, 64, 128, 256, 512, 512, 512, 512), "skip": ("none", "identity")}
_WIDTHS_3D = {"channels": (32, 64, 128, 256, 320, 320)}

variant(
    "u_mamba",
    about="U-Mamba_Enc: residual blocks, in the encoder with Mamba over all voxels after them.",
    in_2d={**_WIDTHS_2D, "block": _every_other},
    in_3d={**_WIDTHS_3D, "block": _SCANNED},
    **_U_MAMBA,
)

variant(
    "u_mamba_bot",
    about="U-Mamba_Bot: residual blocks, and Mamba over all voxels of the bottom.",
    in_2d=_WIDTHS_2D,
    in_3d=_WIDTHS_3D,
    block=_bottom,
    **_U_MAMBA,
)

variant(
    "vm_unet",
    of=VMUNetSpec,
    papers=("ruan2024vmunet", "liu2024vmamba"),
    about="VM-UNet: tokens of 4 voxels, scans along every axis both ways, added skips.",
)

# PUNet is not published as code. Its abstract names the two paths, the weighed skips and 0.26 million parameters, and
# nothing of widths: those here are chosen to have that many (3 channels, 1 class, 2D). Invented besides: halves of the
# channels for the paths, their mixing unit and sum, one unit a level on the way up, squeezing by 8.
variant(
    "punet",
    of=PUNetSpec,
    papers=("gu2024mamba", "hu2018squeeze"),
    about="PUNet: half of the channels convolved, half scanned; skips weighed by squeeze and excitation.",
)
