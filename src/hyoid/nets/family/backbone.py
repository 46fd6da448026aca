"""An encoder for nets that are no U: fields that their specs share, and the encoder they ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..encoders import WayDown, encoders
from ..layers import Part, build_part
from ..net import NetSpec
from ..resample import LINEAR
from ..unet import UNetSpec

RESNET50 = (16, 64, 256, 512, 1024, 2048)
"""Width of each level of a ResNet-50, -101 or -152; the first is the image's and has no map."""


class BackboneSpec(NetSpec):
    """What specs of nets on a ResNet, or another encoder, have in common."""

    kind: str = "backbone"
    channels: tuple[int, ...] = Field(
        RESNET50, min_length=3, description="Width of each level; the first plays no part."
    )
    blocks: tuple[int, ...] = Field((1, 1, 3, 4, 6, 3), min_length=1, description="Units of each; the last repeats.")
    bottleneck: bool = Field(True, description="Units of three convolutions, as in ResNet-50.")

    encoder: Part | None = Field(None, description="What makes the maps; none: a ResNet of these units.")
    align_corners: bool = Field(False, description="Whether the last enlargements go from corner to corner.")

    def backbone(self, dilated: int = 0) -> nn.Module:
        """The encoder, whose last `dilated` levels spread their kernels instead of stepping; not all encoders can."""
        counts = (*self.blocks, *[self.blocks[-1]] * len(self.channels))[: len(self.channels)]
        given = {"dims": self.dims, "in_channels": self.in_channels, "out_channels": 1, "norm": "batch", "act": "relu"}
        levels = UNetSpec.parse({**given, "channels": self.channels, "blocks_encoder": counts}).levels()
        chosen = self.encoder or {"name": "resnet", "bottleneck": self.bottleneck}
        part = {"name": chosen} if isinstance(chosen, str) else chosen
        part = {**part, "dilated": dilated} if dilated else part
        return build_part(encoders, part, way=WayDown(self.in_channels, levels))

    def enlarged(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Maps linearly enlarged to a shape."""
        mode = LINEAR[self.dims]
        return functional.interpolate(x, tuple(shape), mode=mode, align_corners=self.align_corners).contiguous()


def step_of(strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Voxels of the image between voxels of the last of these levels."""
    return tuple(math.prod(axis) for axis in zip(*strides, strict=True))
