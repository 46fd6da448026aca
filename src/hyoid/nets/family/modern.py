"""Convolutional nets that learnt from transformers: MedNeXt."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from ..blocks.convnext import MedNeXtBlock
from ..layers import CONV, TRANSPOSED, channels_last
from ..net import Net, NetSpec
from ..unet import initialise
from ..variants import variant


class MedNeXtSpec(NetSpec):
    """MedNeXt: a U of residual ConvNeXt blocks that also change the grid.

    Levels beyond the entries of `blocks` and `expansions` repeat the last ones.
    """

    kind: Literal["mednext"] = "mednext"
    channels: tuple[int, ...] = Field((32, 64, 128, 256, 512), min_length=2, description="Width of each level.")
    blocks: tuple[int, ...] = Field((2,), min_length=1, description="Blocks at each level.")
    expansions: tuple[int, ...] = Field((2,), min_length=1, description="Widening inside the blocks of each level.")
    kernel: int = Field(3, ge=1, description="Kernel of the depthwise convolutions.")
    deep_supervision: bool = Field(True, description="Logits from every level while training.")

    @model_validator(mode="after")
    def _odd(self) -> MedNeXtSpec:
        if self.kernel % 2 == 0:
            raise ValueError("the kernel is odd, so that a convolution has a centre")
        return self


class MedNeXt(Net, spec=MedNeXtSpec):
    """The net of `MedNeXtSpec`.

    A block that changes the grid widens like the blocks it leads to. Trap: MONAI widens the ways down like the finer
    level, so that its B, M and L are smaller than the authors'; weights of the one do not fit the other.

    Reference:
        roy2023mednext.
    """

    def __init__(self, spec: MedNeXtSpec) -> None:
        depth = len(spec.channels)
        super().__init__((2 ** (depth - 1),) * spec.dims, spec=spec)
        widths = spec.channels

        def block(before: int, after: int, level: int, step: int = 1) -> nn.Module:
            expansion = spec.expansions[min(level, len(spec.expansions) - 1)]
            return MedNeXtBlock(spec.dims, before, after, spec.kernel, expansion, step)

        def stage(level: int) -> nn.Module:
            width, count = widths[level], spec.blocks[min(level, len(spec.blocks) - 1)]
            return nn.Sequential(*[block(width, width, level) for _ in range(count)])

        steps = range(depth - 1)
        self.stem = CONV[spec.dims](spec.in_channels, widths[0], 1)
        self.encoder = nn.ModuleList(stage(level) for level in range(depth))
        self.downs = nn.ModuleList(block(widths[level], widths[level + 1], level + 1, 2) for level in steps)
        self.ups = nn.ModuleList(block(widths[level + 1], widths[level], level, -2) for level in steps)
        self.decoder = nn.ModuleList(stage(level) for level in steps)
        supervised = depth if spec.deep_supervision else 1
        self.heads = nn.ModuleList(TRANSPOSED[spec.dims](width, spec.out_channels, 1) for width in widths[:supervised])
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits, finest first; of all levels in training with deep supervision."""
        x = self.encoder[0](self.stem(channels_last(self.checked(x))))
        skips = [x]
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            x = stage(down(x))
            skips.append(x)
        maps = [x]
        for level in reversed(range(len(self.ups))):
            x = self.decoder[level](self.ups[level](x) + skips[level])
            maps.insert(0, x)
        heads = self.heads if self.training else self.heads[:1]
        return tuple(head(features).contiguous() for head, features in zip(heads, maps, strict=False))


_SIZES: dict[str, dict[str, Any]] = {
    "s": {},
    "b": {"expansions": (2, 3, 4, 4, 4)},
    "m": {"expansions": (2, 3, 4, 4, 4), "blocks": (3, 4, 4, 4, 4)},
    "l": {"expansions": (3, 4, 8, 8, 8), "blocks": (3, 4, 8, 8, 8)},
}

for _size, _fields in _SIZES.items():
    variant(
        f"mednext_{_size}",
        of=MedNeXtSpec,
        papers="roy2023mednext",
        about=f"MedNeXt-{_size.upper()}: depthwise kernels of 3 (or `kernel: 5`), wide mixing, residual everywhere.",
        **_fields,
    )
