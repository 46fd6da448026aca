"""TransUNet: the published count, its paper written out, and published weights by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import DataError
from hyoid.nets import build_spec
from hyoid.nets.pyramids.flax import load_flax
from hyoid.nets.pyramids.resnet_v2 import StandardisedConv2d
from oracles import count

SMALL = {
    "channels": (4, 8, 12),
    "units": (1, 2),
    "hidden": 12,
    "heads": 3,
    "layers": 2,
    "image": 32,
    "decoder": (8, 6, 5, 4),
    "dropout": 0.0,
}


def test_transunet_has_the_published_parameters():
    assert count("transunet", 2, 3, 9) == 105_277_081


def test_kernels_are_standardised_at_every_use():
    conv = StandardisedConv2d(2, 3, 3, bias=False)
    x = torch.randn(1, 2, 5, 5)
    answer = conv(x)
    kernel = conv.weight.detach()
    mean = kernel.mean((1, 2, 3), keepdim=True)
    standard = (kernel - mean) / torch.sqrt(((kernel - mean) ** 2).mean((1, 2, 3), keepdim=True) + 1e-5)
    torch.testing.assert_close(answer, functional.conv2d(x, standard))
    conv.weight.data = 7 * kernel + 3
    torch.testing.assert_close(conv(x), answer, rtol=1e-3, atol=1e-3)


def test_tokens_see_the_whole_image_and_skips_their_surroundings():
    net = build_spec("transunet", 2, 1, 2, **SMALL).build().eval()
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[0][0, 0, 0, 0], x)
    assert gradient[0, 0, -8:, -8:].abs().sum() > 0


def test_maps_of_the_resnet_lie_on_halves_quarters_and_eighths():
    net = build_spec("transunet", 2, 1, 2, **SMALL).build()
    maps = net.encoder(torch.randn(1, 1, 32, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 16, 24), (8, 8, 12), (12, 4, 6)]
    assert maps[1][..., -1, :].abs().max() == 0  # published weights saw a map one voxel short


def in_published_names(net) -> dict[str, np.ndarray]:
    """The weights of a net as their first library would have written them."""
    heads, named = net.spec.heads, {}
    for key, value in net.state_dict().items():
        array, path = value.numpy(), key.split(".")
        if path[0] in ("enter", "decoder", "head"):
            continue
        end = {"weight": "kernel" if array.ndim > 1 else "scale", "bias": "bias"}[path[-1]]
        if path[0] == "encoder":
            if array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
            elif "gn_proj" in path:
                array = array.reshape(1, 1, 1, -1)
            name = f"{path[2]}_root" if path[1] == "root" else "/".join(path[2:-1]).replace("downsample", "conv_proj")
            named[f"{name}/{end}"] = array
        elif path[0] == "embed":
            named[f"embedding/{end}"] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        elif path[0] == "positions":
            grid = array.reshape(1, array.shape[1], -1).transpose(0, 2, 1)
            named["Transformer/posembed_input/pos_embedding"] = np.concatenate([grid[:, :1] * 0, grid], 1)
        elif path[0] == "norm":
            named[f"Transformer/encoder_norm/{end}"] = array
        elif path[0] == "layers":
            block, part = f"Transformer/encoderblock_{path[1]}", ".".join(path[2:-1])
            names = {"norm1": "LayerNorm_0", "norm2": "LayerNorm_2"}
            names |= {"widen": "MlpBlock_3/Dense_0", "narrow": "MlpBlock_3/Dense_1"}
            if part in names:
                named[f"{block}/{names[part]}/{end}"] = array.T if array.ndim == 2 else array
            elif part == "attention.out":
                kernel = array.T.reshape(heads, -1, len(array)) if array.ndim == 2 else array
                named[f"{block}/MultiHeadDotProductAttention_1/out/{end}"] = kernel
            else:
                for name, third in zip(("query", "key", "value"), np.split(array, 3), strict=True):
                    shaped = third.T.reshape(len(third), heads, -1) if array.ndim == 2 else third.reshape(heads, -1)
                    named[f"{block}/MultiHeadDotProductAttention_1/{name}/{end}"] = shaped
    return {**named, "head/kernel": np.zeros((12, 3), np.float32), "cls": np.zeros((1, 1, 12), np.float32)}


def test_published_weights_load_by_name():
    torch.manual_seed(0)
    source = build_spec("transunet", 2, 3, 2, **SMALL).build().eval()
    target = build_spec("transunet", 2, 3, 4, **SMALL).build().eval()
    load_flax(target, in_published_names(source))
    x = torch.randn(1, 3, 32, 32)
    last = source.encoder(x)[-1]
    torch.testing.assert_close(target._transformed(target.encoder(x)[-1]), source._transformed(last))


def test_published_weights_fit_grey_images_other_grids_and_volumes():
    source = build_spec("transunet", 2, 3, 2, **SMALL).build().eval()
    weights = in_published_names(source)
    grey = build_spec("transunet", 2, 1, 2, **{**SMALL, "image": 64}).build().eval()
    load_flax(grey, weights)
    x = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(grey.encoder(x)[-1], source.encoder(x.expand(-1, 3, -1, -1))[-1], rtol=1e-3, atol=1e-4)
    load_flax(build_spec("transunet", 3, 1, 2, **SMALL).build(), weights)


def test_weights_of_another_net_are_refused():
    source = build_spec("transunet", 2, 3, 2, **SMALL).build()
    weights = in_published_names(source)
    with pytest.raises(DataError, match=r"file\.npz: 12 of .* are missing"):
        load_flax(build_spec("transunet", 2, 3, 2, **{**SMALL, "layers": 3}).build(), weights, "file.npz")
    with pytest.raises(DataError, match="has shape"):
        load_flax(build_spec("transunet", 2, 3, 2, **{**SMALL, "expansion": 2}).build(), weights, "file.npz")
