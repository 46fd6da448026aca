"""A ResNet for nets that are no U: fields that their specs share, and the encoder they ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field
from torch import nn

from ..encoders import WayDown, encoders
from ..layers import build_part
from ..net import NetSpec
from ..unet import UNetSpec

RESNET50 = (16, 64, 256, 512, 1024, 2048)
"""Width of each level of a ResNet-50, -101 or -152; the first is the image's and has no map."""


class BackboneSpec(NetSpec):
    """What specs of nets on a ResNet have in common."""

    kind: str = "backbone"
    channels: tuple[int, ...] = Field(
        RESNET50, min_length=3, description="Width of each level; the first plays no part."
    )
    blocks: tuple[int, ...] = Field((1, 1, 3, 4, 6, 3), min_length=1, description="Units of each; the last repeats.")
    bottleneck: bool = Field(True, description="Units of three convolutions, as in ResNet-50.")

    def backbone(self, dilated: int = 0) -> nn.Module:
        """The encoder, whose last `dilated` levels spread their kernels instead of stepping."""
        counts = (*self.blocks, *[self.blocks[-1]] * len(self.channels))[: len(self.channels)]
        given = {"dims": self.dims, "in_channels": self.in_channels, "out_channels": 1, "norm": "batch", "act": "relu"}
        levels = UNetSpec.parse({**given, "channels": self.channels, "blocks_encoder": counts}).levels()
        part = {"name": "resnet", "bottleneck": self.bottleneck, "dilated": dilated}
        return build_part(encoders, part, way=WayDown(self.in_channels, levels))


def step_of(strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Voxels of the image between voxels of the last of these levels."""
    return tuple(math.prod(axis) for axis in zip(*strides, strict=True))
