"""Nets that attend: gated skips, squeezed channels, views of the whole image."""

from __future__ import annotations

from typing import Any

from ..variants import variant

# The gate as most 2D code has it. Trap: reviews draw the weights beside the map; the paper multiplies.
_GATED: dict[str, Any] = {
    "channels": (64, 128, 256, 512, 1024),
    "norm": "batch",
    "act": "relu",
    "bias": True,
    "down": "max",
    "up": "nearest_unit",
    "skip": "attention_gate",
}

variant(
    "attention_unet",
    papers=("oktay2018attention", "schlemper2019attention"),
    about="Attention U-Net: each skip is multiplied by weights that the decoder asks for.",
    **_GATED,
)

# No paper of its own: R2U-Net's block under the gate, as the most read public code joins them. That code shares one
# convolution over time, `block={name: recurrent_residual, weights: shared}`, where the paper has two.
variant(
    "r2_attention_unet",
    papers=("alom2018recurrent", "oktay2018attention"),
    about="R2-Attention U-Net: recurrent residual layers and gated skips.",
    block="recurrent_residual",
    **_GATED,
)

# Oktay's own 3D net: gates on the coarser grid at all skips but the finest, logits of all levels merged.
variant(
    "attention_unet_grid",
    papers=("oktay2018attention", "schlemper2019attention"),
    about="Attention U-Net as its authors built it: two gates on the coarser grid, logits of all levels merged.",
    channels=(16, 32, 64, 128, 256),
    norm="batch",
    act="relu",
    bias=True,
    down="max",
    up="linear",
    skip=("identity", "attention_gate_grid"),
    deep_supervision=True,
    answer="merged",
)

# The widths of the U-Net and a ratio of 16; neither has been checked against the paper. The form with squeeze and
# excitation in the encoder only is `block_decoder=plain`.
variant(
    "use_net",
    papers=("rundo2019usenet", "hu2018squeeze"),
    about="USE-Net: squeeze and excitation after every block of encoder and decoder.",
    channels=(64, 128, 256, 512, 1024),
    block="attended",
    norm="batch",
    act="relu",
    down="max",
)

# Graph, widths and answers of the authors' code, padded as in TensorFlow. There statistics of norms move by 0.003 a
# step, here by 0.1. The paper's form for the way down, which that code does not use, is `down: global_aggregation`.
_PROJECTED: dict[str, Any] = {"name": "preactivated", "activated": True}
variant(
    "non_local_unet",
    papers="wang2020nonlocal",
    about="Non-local U-Net: every voxel of the bottom, and of the first way up, looks at all others; skips are added.",
    channels=(32, 64, 128),
    stem="conv",
    block=(*[_PROJECTED] * 2, {"name": "attended", "block": _PROJECTED, "attention": "non_local"}),
    block_decoder="preactivated",
    blocks_encoder=1,
    blocks_decoder=1,
    up=({"name": "transposed_wide", "crop_last": True}, "global_aggregation"),
    up_bias=False,
    fuse="add",
    norm="batch",
    act="relu6",
    order="C",
    bias=False,
    head={"name": "activated_conv", "dropout": 0.5},
)
