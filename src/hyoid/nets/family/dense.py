"""Dense, inception and multi-scale nets: every layer sees many maps, or every map many scales."""

from __future__ import annotations

from ..variants import variant

# Not compared: dense U-Nets have many recipes and no one code. The idea is that of the fully dense U-Net, a narrow unit
# and dense layers that fill the level up; leaky activations, widths and four layers a level are ours.
variant(
    "dense_unet",
    papers=("huang2017densenet", "guan2020fully"),
    about="Dense U-Net: each level narrows to half its width and fills it up with dense layers of 3x3.",
    channels=(64, 128, 256, 512, 1024),
    block="dense_doubling",
    blocks_encoder=4,
    blocks_decoder=4,
    down="max",
    norm="batch",
)

# `channels` are three times the growth, which is the width of the stem; levels are as wide as their layers add up to.
# On the way up only new maps pass on, otherwise their number would grow beyond memory; the last block keeps all (256).
variant(
    "fc_densenet103",
    papers=("jegou2017tiramisu", "huang2017densenet"),
    about="The one hundred layers tiramisu: dense blocks of growth 16, only new maps on the way up.",
    channels=(48, 48, 48, 48, 48, 48),
    stem="conv",
    block=(*["dense"] * 5, {"name": "dense", "new_only": True}),
    block_decoder=("dense", {"name": "dense", "new_only": True}),
    blocks_encoder=(4, 5, 7, 10, 12, 15),
    blocks_decoder=(4, 5, 7, 10, 12),
    down="dense_transition",
    up={"name": "transposed_wide", "crop_last": True},
    up_channels="same",
    fuse="concat_up_first",
    order="NACD",
    dropout=0.2,
    norm="batch",
    act="relu",
    bias=True,
)

# Not compared: an idea with many recipes. Branches have GoogLeNet's shares; widths, two blocks a level, one norm for
# each convolution and plain ways up are ours.
variant(
    "inception_unet",
    papers=("szegedy2015going", "szegedy2016rethinking"),
    about="Inception blocks of GoogLeNet's shares; `block: {name: inception, factorised: true}` is the second version.",
    channels=(64, 128, 256, 512, 1024),
    block="inception",
    down="max",
    norm="batch",
)

# The published net is the Keras one: 7,262,750 numbers with 24,522 running statistics, so 7,238,228 trained. Its last
# batch norm without scale would hold logits to a variance of 1; a bias, of the same count, stands here instead.
variant(
    "multires_unet",
    papers="ibtehaz2020multiresunet",
    about="MultiResUNet: chained convolutions side by side in a level, convolutions with shortcuts on the skips.",
    channels=(32, 64, 128, 256, 512),
    block="multires",
    blocks_encoder=1,
    blocks_decoder=1,
    skip="res_path",
    fuse="concat_up_first",
    down="max",
    norm={"name": "batch", "scale": False},
    act="relu",
)
