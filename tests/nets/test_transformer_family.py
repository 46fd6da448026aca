"""Transformers: published counts, and positions on other grids."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hyoid.nets import build_spec
from hyoid.nets.blocks.tokens import Positions
from hyoid.nets.blocks.windows import PatchExpanding, PatchMerging, SwinLayer, WindowAttention, from_windows, to_windows
from oracles import assert_equal_nets, count


def test_unetr_has_the_parameters_of_monai_without_its_spare_norms():
    """MONAI's 92,802,478 include a norm for cross-attention in each of 12 layers, which no input ever meets."""
    assert count("unetr", 3, 1, 14) == 92_802_478 - 12 * 2 * 768


def test_positions_of_another_size_are_interpolated():
    positions = Positions(3, (4, 4))
    assert positions(torch.zeros(1, 3, 4, 4)).allclose(positions.weight)
    assert positions(torch.zeros(1, 3, 6, 8)).shape == (1, 3, 6, 8)


@pytest.mark.parametrize("dims", [2, 3])
def test_equals_monai_unetr(dims):
    from monai.networks.nets import UNETR

    fields = {"hidden": 24, "heads": 3, "layers": 4, "image": 32}
    theirs = UNETR(2, 3, 32, feature_size=4, hidden_size=24, mlp_dim=96, num_heads=3, spatial_dims=dims)
    theirs.vit.blocks = theirs.vit.blocks[:4]
    for block in theirs.vit.blocks:
        del block.norm_cross_attn, block.cross_attn
    theirs.forward = lambda x: unetr_of_few_layers(theirs, x)  # theirs counts on 12 layers
    ours = build_spec("unetr", dims, 2, 3, channels=(4, 8, 16, 32), **fields).build()
    positions = torch.randn(1, 24, *[2] * dims, generator=torch.Generator().manual_seed(0))
    theirs.vit.patch_embedding.position_embeddings.data = positions.flatten(2).transpose(1, 2)
    ours.positions.weight.data = positions
    assert_equal_nets(theirs, ours, torch.randn(1, 2, *[32] * dims))


def unetr_of_few_layers(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """MONAI's forward pass with skips from layers 1, 2 and 3 in place of 3, 6 and 9."""
    last, hidden = net.vit(x)
    first = net.encoder1(x)
    encoders = (net.encoder2, net.encoder3, net.encoder4)
    second, third, fourth = (e(net.proj_feat(h)) for e, h in zip(encoders, hidden[1:4], strict=True))
    y = net.decoder5(net.proj_feat(last), fourth)
    return net.out(net.decoder2(net.decoder3(net.decoder4(y, third), second), first))


def copy_places(theirs: nn.Module, ours: nn.Module) -> None:
    """Random biases of relative places, the same in both."""
    tables = [module for module in theirs.modules() if hasattr(module, "relative_position_bias_table")]
    layers = [module for module in ours.modules() if isinstance(module, WindowAttention)]
    for number, (one, other) in enumerate(zip(tables, layers, strict=True)):
        values = torch.randn(other.places.shape, generator=torch.Generator().manual_seed(number))
        one.relative_position_bias_table.data, other.places.data = values, values.clone()


@pytest.mark.parametrize(("dims", "size"), [(2, (64, 96)), (3, (64, 64, 64))])
def test_equals_monai_swin_unetr(dims, size):
    """Windows of 2 divide every map; theirs reads the wrong biases where a window is larger than the map."""
    from monai.networks.nets import SwinUNETR

    fields = {"window_size": 2, "feature_size": 12, "spatial_dims": dims, "downsample": "mergingv2"}
    theirs = SwinUNETR(2, 3, num_heads=(1, 2, 4, 8), **fields)
    ours = build_spec("swin_unetr", dims, 2, 3, channels=(12, 24, 48, 96), head_width=12, window=2).build()
    copy_places(theirs, ours)
    assert_equal_nets(theirs, ours, torch.randn(1, 2, *size))


def test_swin_unetr_has_the_parameters_of_monai():
    assert count("swin_unetr", 3, 1, 14) == 62_187_296


def test_swin_unet_has_27_million_parameters():
    assert round(count("swin_unet", 2, 3, 9) / 1e6, 2) == 27.17


@pytest.mark.parametrize("shape", [(6, 4), (4, 6, 2)])
def test_windows_and_back(shape):
    x = torch.randn(2, *shape, 3)
    parts = to_windows(x, [2] * len(shape))
    assert torch.equal(parts[0].flatten(), x[(0, *[slice(2)] * len(shape))].flatten())
    assert torch.equal(from_windows(parts, [2] * len(shape), shape), x)


def test_shifted_windows_do_not_join_opposite_ends():
    layer = SwinLayer(4, 1, (4,) * 2, shifted=True).eval()
    nn.init.zeros_(layer.attention.places)
    x = torch.randn(1, 8, 8, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 0, 0].sum(), x)
    assert gradient[0, :2, :2].abs().sum() > 0
    assert gradient[0, 4:].abs().max() < 1e-6 and gradient[0, :, 4:].abs().max() < 1e-6


def test_a_window_larger_than_the_map_keeps_the_places_of_its_tokens():
    attention = WindowAttention(2, 1, (4, 4))
    nn.init.zeros_(attention.qkv.weight), nn.init.zeros_(attention.qkv.bias)
    attention.places.data = torch.full((49, 1), -1e4)
    attention.places.data[24 - 7] = 0.0  # the place one row above
    attention.qkv.bias.data[4:] = 0.0
    attention.qkv.weight.data[4:] = torch.eye(2)
    attention.out.weight.data, attention.out.bias.data = torch.eye(2), torch.zeros(2)
    tokens = torch.randn(1, 4, 2)  # a map of 2 x 2
    seen = attention(tokens, (2, 2), None)
    torch.testing.assert_close(seen[0, :2], tokens[0, 2:])


def test_merging_and_expanding_keep_places():
    merging, x = PatchMerging(2, 1, 2), torch.arange(16.0).reshape(1, 4, 4, 1)
    merging.norm = nn.Identity()
    merging.reduction = nn.Identity()
    assert merging(x)[0, 0, 0].tolist() == [0, 4, 1, 5]
    expanding = PatchExpanding(2, 4, 1)
    expanding.widen, expanding.norm = nn.Identity(), nn.Identity()
    y = expanding(torch.arange(8.0).reshape(1, 1, 2, 4))
    assert y[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
