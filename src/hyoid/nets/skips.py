"""What happens to a skip connection on its way from encoder to decoder, and how it joins.

A skip builder takes (style, in_channels, gate_channels, level) and gives a module called with the encoder's map and the
enlarged decoder's map; it reports `.out_channels`. One with an attribute `coarse` that is true is given the decoder's
map before it is enlarged, its `stride`, and whether that map is the `bottom` of the U.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core.registry import Registry
from .layers import Style

skips: Registry[nn.Module | None] = Registry("skip")


class IdentitySkip(nn.Module):
    """The encoder's map as it is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        return skip


@skips.register("identity", papers="ronneberger2015unet")
def _identity(style: Style, in_channels: int, gate_channels: int, level: int) -> nn.Module:
    """The encoder's map as it is."""
    return IdentitySkip(in_channels)


@skips.register("none", papers="ma2024umamba")
def _none(style: Style, in_channels: int, gate_channels: int, level: int) -> None:
    """No skip: the level goes on from the enlarged map alone."""


def crop_like(x: Tensor, like: Tensor) -> Tensor:
    """The centre of `x` in the size of `like`; itself when they have one size."""
    if x.shape[2:] == like.shape[2:]:
        return x
    starts = [(n - m) // 2 for n, m in zip(x.shape[2:], like.shape[2:], strict=True)]
    for axis, (start, size) in enumerate(zip(starts, like.shape[2:], strict=True), start=2):
        x = x.narrow(axis, start, size)
    return x


def fuse(skip: Tensor, up: Tensor, how: str) -> Tensor:
    """One map of the skip and the enlarged decoder's map: side by side, or their sum."""
    if how == "add":
        return skip + up
    return torch.cat((skip, up) if how == "concat" else (up, skip), dim=1)


def fused_channels(skip: int, up: int, how: str) -> int:
    """Channels that `fuse` gives."""
    return up if how == "add" else skip + up
