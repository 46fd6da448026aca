"""Residual nets: the residual U-Net and nnU-Net's plain and residual nets."""

from __future__ import annotations

from ..variants import variant

variant(
    "residual_unet",
    papers="zhang2018road",
    about="Deep residual U-Net: norm and activation before each convolution, shortcuts around two of them.",
    channels=(64, 128, 256, 512),
    block="preactivated",
    blocks_encoder=1,
    blocks_decoder=1,
    norm="batch",
    act="relu",
    up="linear",
)

_WIDTHS_2D = {"channels": (32, 64, 128, 256, 512, 512, 512, 512)}
_WIDTHS_3D = {"channels": (32, 64, 128, 256, 320, 320)}

variant(
    "nnunet_plain",
    papers="isensee2021nnunet",
    about="nnU-Net's net: two convolutions a level, instance norm, deep supervision.",
    in_2d=_WIDTHS_2D,
    in_3d=_WIDTHS_3D,
    bias=True,
    deep_supervision=True,
)

# M and L are one shape; L is planned for larger patches (24 GB in place of 8).
for _size in ("m", "l"):
    variant(
        f"nnunet_residual_{_size}",
        papers="isensee2024revisited",
        about="nnU-Net's residual encoder: 1, 3, 4, 6, 6, 6 ResNet-D blocks, one convolution a level in the decoder.",
        in_2d=_WIDTHS_2D,
        in_3d=_WIDTHS_3D,
        stem="plain",
        block="residual",
        block_decoder="plain",
        blocks_encoder=(1, 3, 4, 6, 6, 6),
        blocks_decoder=1,
        bias=True,
        deep_supervision=True,
    )
