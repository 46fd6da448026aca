"""Residual and recurrent nets: shortcuts around convolutions, layers that see their own answer, nnU-Net's nets."""

from __future__ import annotations

from typing import Any

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

# wolny/pytorch-3dunet, ResidualUNet3D. It goes back to lee2017superhuman, a net of flat kernels and ELU whose summed
# skips it keeps. ResidualUNetSE3D has this block inside `attended`, with `{name: scse, ratio: 1, larger: true}`.
variant(
    "residual_unet_3d",
    papers=("lee2017superhuman", "he2016deep"),
    about="ResidualUNet3D of pytorch-3dunet: a residual block a level, group norm first, skips added; also in 2D.",
    channels=(64, 128, 256, 512, 1024),
    block={"name": "residual", "entrance": True},
    blocks_encoder=1,
    blocks_decoder=1,
    norm="group",
    act="relu",
    order="NCA",
    bias=False,
    down="max",
    up="transposed_stretched",
    up_bias=False,
    fuse="add",
)

# Not published as code, and not compared: the paper names residual blocks, four levels and a map of weights that keeps
# the region of interest. Ours are widths, the ResNet-D block, and the weight: a convolution of the skip and a sigmoid.
variant(
    "weighted_res_unet",
    papers="xiao2018weighted",
    about="Weighted Res-UNet: a residual U-Net whose skips are weighted voxel by voxel.",
    channels=(64, 128, 256, 512),
    block="residual",
    blocks_encoder=1,
    blocks_decoder=1,
    norm="batch",
    act="relu",
    down="max",
    skip="weighted",
)

_RECURRENT: dict[str, Any] = {
    "channels": (64, 128, 256, 512, 1024),
    "down": "max",
    "up": "nearest_unit",
    "norm": "batch",
    "act": "relu",
    "bias": True,
}

variant(
    "recurrent_unet",
    papers=("alom2018recurrent", "liang2015recurrent"),
    about="RU-Net: recurrent convolution layers, without the residual of R2U-Net.",
    block="recurrent",
    **_RECURRENT,
)

# Three readings in public code: `block: {name: recurrent_residual, weights: separate | shared | unrolled}`.
variant(
    "r2u_net",
    papers="alom2018recurrent",
    about="R2U-Net: recurrent residual layers; weights separate (the paper), shared (39.1 million) or unrolled.",
    block="recurrent_residual",
    **_RECURRENT,
)

# S. Kalita and A. Saha's net is not published as code, and not compared: a review names sums of 1x3, 3x1 and 3x3 in
# residual blocks. The sums are those of ACNet, one norm for each; levels, widths and the projected shortcut are ours.
variant(
    "unet_asymmetric",
    papers="ding2019acnet",
    about="Sums of 3x3, 1x3 and 3x1 convolutions in residual blocks.",
    channels=(64, 128, 256, 512),
    block="asymmetric",
    norm="batch",
    act="relu",
    down="max",
)

_MYRONENKO: dict[str, Any] = {
    "stem": {"name": "conv"},
    "block": "preactivated",
    "blocks_encoder": (1, 2, 2, 4),
    "blocks_decoder": 1,
    "down": "strided_conv",
    "up": "conv_linear",
    "up_bias": False,
    "fuse": "add",
    "head": "activated_conv",
    "norm": "group",
    "act": "relu",
    "bias": False,
}

variant(
    "segresnet",
    papers="myronenko2018brain",
    about="SegResNet: group norm and ReLU before each convolution, skips added, a slim decoder.",
    channels=(16, 32, 64, 128),
    **_MYRONENKO,
)

# Its branch that restores the image in training is `hyoid.nets.autoencoder`.
variant(
    "myronenko",
    papers="myronenko2018brain",
    about="Winner of BraTS 2018: SegResNet of width 32 with dropout, in training beside an autoencoder.",
    left_out="Its second decoder, which restores the image while the paper's net learns, is not trained.",
    channels=(32, 64, 128, 256),
    **{**_MYRONENKO, "stem": {"name": "conv", "dropout": 0.2}},
)

# Ports differ in where the 1x1 stands and in what they give the skip; here the module as the paper words it. The last
# level keeps the joined width.
variant(
    "isensee_unet",
    papers="isensee2018brain",
    about="Isensee's BraTS 2017 net: context and localisation modules, logits of three levels added.",
    channels=(16, 32, 64, 128, 256),
    decoder_channels=lambda channels: (2 * channels[0], *channels[1:-1]),
    stem="conv",
    block="context",
    block_decoder="localisation",
    blocks_encoder=1,
    blocks_decoder=1,
    down="strided_conv",
    up="nearest_unit",
    deep_supervision=True,
    supervised=3,
    answer="sum",
)

# Not published as code, and not compared: a V-Net of patches whose levels all answer. Ours are widths, kernels of 3, a
# norm, and that logits are added; their mean is the same with other weights of the heads. What the paper is mainly
# about is training, and is not part of the net: weights of classes that follow each batch, and patches of background
# drawn at random. The planner's sampling and the losses' `class_weights` stand in their place.
variant(
    "kid_net",
    papers="taha2018kidnet",
    about="Kid-Net: a V-Net of small kernels in which every scale adds to the answer.",
    left_out=(
        "The paper weighs structures anew in each batch and draws patches by their share of background; "
        "neither is done."
    ),
    channels=(16, 32, 64, 128, 256),
    decoder_channels=lambda channels: tuple(2 * width for width in channels[:-1]),
    stem="plain",
    block="vnet",
    blocks_encoder=(1, 2, 2, 2, 2),
    blocks_decoder=2,
    down="strided_unit",
    up="transposed_unit",
    norm="batch",
    act="prelu",
    deep_supervision=True,
    answer="sum",
)

variant(
    "all_conv_unet",
    papers="novikov2018fully",
    about="All-convolutional U-Net: strided convolutions in place of pooling, ELU, dropout after every one.",
    channels=(64, 128, 256, 512, 1024),
    down={"name": "strided_conv", "order": "CA", "widen": False},
    order="CAD",
    dropout=0.1,
    norm="none",
    act="elu",
)

variant(
    "inverted_net",
    papers="novikov2018fully",
    about="InvertedNet: many maps where the grid is fine and few where it is coarse, a tenth of the U-Net's weights.",
    channels=(256, 128, 64, 32, 16),
    down="max",
    order="CAD",
    dropout=0.1,
    norm="none",
    act="elu",
)

_WIDTHS_2D = {"channels": (32, 64, 128, 256, 512, 512, 512, 512)}
_WIDTHS_3D = {"channels": (32, 64, 128, 256, 320, 320)}

variant(
    "nnunet_plain",
    papers="isensee2021nnunet",
    about="nnU-Net's net: two convolutions a level, instance norm, deep supervision.",
    in_2d=_WIDTHS_2D,
    in_3d=_WIDTHS_3D,
    fuse="concat_up_first",
    bias=True,
    deep_supervision=True,
)

# M, L and XL are one shape; they are planned for larger and larger patches (8, 24 and 40 GB).
for _size in ("m", "l", "xl"):
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
        fuse="concat_up_first",
        bias=True,
        deep_supervision=True,
    )
