"""The classic nets: U-Net as published and as used today, 3D U-Net, V-Net."""

from __future__ import annotations

from typing import Any

from ..variants import variant

variant(
    "unet",
    papers="ronneberger2015unet",
    about="The U-Net as it is built today: padded, instance norm, leaky activations, strided convolutions.",
)

variant(
    "unet_original",
    papers="ronneberger2015unet",
    about="The U-Net as published: valid convolutions, no norm, max pooling, dropout at the bottom.",
    left_out="Gaps between touching objects weigh more with training.voxel_weights=touching only.",
    channels=(64, 128, 256, 512, 1024),
    padding="valid",
    order="CA",
    norm="none",
    act="relu",
    down="max",
    dropout=(0.0, 0.0, 0.0, 0.5, 0.5),
    drop="elements",
)

_UNET3D: dict[str, Any] = {
    "channels": (64, 128, 256, 512),
    "block": {"name": "plain", "first": 0.5},
    "block_decoder": "plain",
    "norm": {"name": "batch", "affine": False},
    "act": "relu",
    "bias": True,
    "down": "max",
    "up_channels": "same",
    "up_bias": False,
}

# Padded, so that it takes any image; `padding=valid` gives the 132x132x116 -> 44x44x28 of the paper.
variant(
    "unet3d",
    papers="cicek2016unet3d",
    about="3D U-Net: widths double before pooling, batch norm without scale, four levels.",
    **_UNET3D,
)

# The same net: what is sparse is the annotation. Voxels without one are -1 in the target, which every loss leaves out,
# so a few annotated slices of a volume teach the net to fill in the others. Batch norm still sees every voxel.
variant(
    "unet3d_sparse",
    papers="cicek2016unet3d",
    about="3D U-Net for volumes with a few annotated slices; voxels without annotation teach nothing.",
    **_UNET3D,
)

# A 2D net on a stack of adjacent slices is a volume's net whose first convolution alone reaches across them. In 2D the
# channels of the image are the slices. Han's net has residual blocks and long skips besides; this is the U-Net.
variant(
    "unet_25d",
    papers=("han2017liver", "ronneberger2015unet"),
    about="2.5D U-Net: each slice of a volume is segmented from five, its own and two on each side.",
    channels=(64, 128, 256, 512, 1024),
    stem="across_slices",
    blocks_encoder=(1, 2),
    norm="batch",
    act="relu",
    down="max",
    in_3d={"kernels": ((1, 3, 3),), "strides": ((1, 1, 1), (1, 2, 2))},
)

_VNET: dict[str, Any] = {
    "papers": "milletari2016vnet",
    "channels": (16, 32, 64, 128, 256),
    "decoder_channels": lambda channels: tuple(2 * width for width in channels[:-1]),
    "kernels": 5,
    "stem": "repeated_input",
    "down": "strided_unit",
    "up": "transposed_unit",
    "fuse": "concat_up_first",
}

# The figure of the paper: 1, 2, 3, 3, 3 convolutions down and 3, 3, 2, 1 up, no norm. Its authors' prototxt has fewer,
# `blocks_encoder=[0, 1, 2, 3, 3] blocks_decoder=[1, 1, 2, 3]`, and a unit before the last convolution, `head=vnet`.
variant(
    "vnet",
    about="V-Net as published: kernels of 5, PReLU, no norm, stages add their input, a decoder twice as wide.",
    block={"name": "vnet", "bare_last": True},
    blocks_encoder=(0, 2, 3, 3, 3),
    blocks_decoder=(1, 2, 3, 3),
    order="CA",
    norm="none",
    act="prelu",
    **_VNET,
)

# What MONAI and the most read port have: other stages than figure and prototxt, batch norm, ELU, every sum activated.
variant(
    "vnet_library",
    about="V-Net as libraries have it: batch norm, ELU and fewer convolutions.",
    block="vnet",
    blocks_encoder=(0, 1, 2, 3, 2),
    blocks_decoder=(1, 1, 2, 2),
    norm="batch",
    act="elu",
    bias=False,
    head="vnet",
    **_VNET,
)
