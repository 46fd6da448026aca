"""Gates and attention against published counts, MONAI and their formulas."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from hyoid.nets import build_spec
from hyoid.nets.blocks.attention import attentions, look
from hyoid.nets.blocks.conv import blocks
from hyoid.nets.layers import Style, Unit, build_part
from hyoid.nets.resample import Resampling, downs, ups
from hyoid.nets.skips import skips
from oracles import assert_equal_nets, build_block, count

ONE_GATE = ("identity", {"name": "attention_gate_grid", "gates": 1})
SHARED = {"name": "recurrent_residual", "weights": "shared"}


@pytest.mark.parametrize(
    ("name", "dims", "channels", "changes", "published"),
    [
        ("attention_unet", 2, (3, 1), {}, 34_878_573),
        ("r2_attention_unet", 2, (3, 1), {"block": SHARED}, 39_442_925),
        ("attention_unet_grid", 3, (1, 2), {}, 6_472_784),
        ("attention_unet_grid", 3, (1, 2), {"skip": ONE_GATE}, 6_213_613),
        ("attention_unet_grid", 3, (1, 2), {"skip": "identity"}, 5_887_466),
    ],
)
def test_parameters_are_the_published_ones(name, dims, channels, changes, published):
    assert count(name, dims, *channels, **changes) == published


def test_squeeze_and_excitation_adds_two_small_layers_to_every_block():
    plain = count("use_net", 2, 1, 2, block="plain")
    levels = [64, 128, 256, 512, 1024, 512, 256, 128, 64]
    added = sum(2 * width * (width // 16) + width // 16 + width for width in levels)
    assert count("use_net", 2, 1, 2) == plain + added


@pytest.fixture
def monai_parts():
    """The ways up and the blocks by which MONAI's net differs from the gate's other homes."""

    @ups.register("monai_up")
    def up(style, in_channels, out_channels, stride, bias):
        conv = ups.build(
            "transposed_wide",
            style=style,
            in_channels=in_channels,
            out_channels=out_channels,
            stride=stride,
            bias=bias,
            act=False,
        )
        return Resampling(out_channels, conv, style.norm_layer(out_channels), nn.ReLU())

    @blocks.register("monai_merge")
    def merge(style, in_channels, out_channels, kernel, stride, depth):
        norm = {"name": "instance", "affine": False}
        return Unit(Style(style.dims, norm=norm, act="prelu1", bias=True), in_channels, out_channels, kernel)

    from hyoid.nets.layers import acts

    @acts.register("prelu1")
    def prelu(channels, inplace):
        return nn.PReLU(1)

    yield
    for shelf, name in ((ups, "monai_up"), (blocks, "monai_merge"), (acts, "prelu1")):
        del shelf._entries[name]


@pytest.mark.parametrize("dims", [2, 3])
def test_attention_unet_equals_monai(dims, monai_parts):
    from monai.networks.nets import AttentionUnet

    theirs = AttentionUnet(dims, 2, 3, channels=(4, 6, 8), strides=(2, 2))
    changes = {"down": "strided", "up": "monai_up", "block": "plain", "block_decoder": "monai_merge"}
    ours = build_spec("attention_unet", dims, 2, 3, channels=(4, 6, 8), **changes).build()
    assert_equal_nets(theirs, ours, torch.randn(2, 2, *[16] * dims))


def test_grid_gate_follows_the_formula_of_the_paper():
    torch.manual_seed(0)
    given = {"in_channels": 4, "gate_channels": 6, "level": 1, "stride": (2, 2), "bottom": False}
    gates = skips.build("attention_gate_grid", style=Style(2, norm="none", act="relu"), gates=1, **given)
    skip, coarse = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)
    (gate,) = gates.gates
    theta = functional.conv2d(skip, gate.theta.weight, stride=2)
    phi = functional.conv2d(coarse, gate.phi.weight, gate.phi.bias)
    weights = functional.conv2d((theta + phi).relu(), gate.psi.weight, gate.psi.bias).sigmoid()
    weights = functional.interpolate(weights, scale_factor=2, mode="bilinear")
    expected = gates.combine(gate.out(skip * weights))
    torch.testing.assert_close(gates(skip, coarse), expected)


@pytest.mark.parametrize("name", attentions)
@pytest.mark.parametrize("dims", [2, 3])
def test_attention_keeps_the_shape_of_any_map(name, dims):
    attention = attentions.build(name, style=Style(dims), channels=12)
    for shape in [(1,) * dims, (4, 5, 3)[:dims]]:
        x = torch.randn(2, 12, *shape)
        y = attention.eval()(x)
        assert y.shape == x.shape and y.isfinite().all()


@pytest.mark.parametrize("name", ["squeeze_excitation", "cbam", "cspam"])
def test_attention_only_weakens(name):
    x = torch.randn(2, 16, 6, 6)
    y = attentions.build(name, style=Style(2), channels=16)(x)
    assert (y.abs() <= x.abs()).all() and (y.sign() * x.sign() >= 0).all()


def test_squeeze_and_excitation_equals_monai():
    from monai.networks.blocks import ChannelSELayer

    theirs = ChannelSELayer(2, 16, r=4, acti_type_1="relu", acti_type_2="sigmoid")
    ours = attentions.build("squeeze_excitation", style=Style(2), channels=16, ratio=4)
    for layer, linear in zip((ours.excite[0], ours.excite[2]), (theirs.fc[0], theirs.fc[2]), strict=True):
        layer.weight.data, layer.bias.data = linear.weight.data[..., None, None], linear.bias.data
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_position_attention_tells_places_apart_where_channels_cannot():
    attention = attentions.build("cspam", style=Style(2), channels=8)[2]
    x = torch.zeros(1, 8, 6, 6)
    x[..., 0, :], x[..., 1:, :] = 5.0, 1.0
    shares = attention(x) / x
    assert not torch.allclose(shares[..., 0, 0], shares[..., 3, 0])


def test_looking_equals_torchs_attention():
    q, k, v = torch.randn(2, 8, 3, 4), torch.randn(2, 8, 2, 2), torch.randn(2, 8, 2, 2)
    expected = functional.scaled_dot_product_attention(
        *(maps.flatten(2).unflatten(1, (2, 4)).transpose(2, 3) for maps in (q, k, v))
    )
    found = look(q, k, v, 2, nn.Identity())
    torch.testing.assert_close(found, expected.transpose(2, 3).reshape(2, 8, 3, 4))


def test_every_voxel_of_the_non_local_unet_sees_the_whole_image():
    net = build_spec("non_local_unet", 2, 1, 1, channels=(4, 6, 8)).build().double().eval()
    x = torch.randn(1, 1, 64, 64, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[0][0, 0, 0, 0], x)
    assert gradient[0, 0, -4:, -4:].abs().max() > 0


def test_any_block_takes_any_attention():
    part = {"name": "attended", "block": "residual", "attention": {"name": "scse", "ratio": 2}}
    block = build_block(part, Style(2), 4, 8, stride=2)
    assert block.out_channels == 8
    assert block(torch.randn(1, 4, 8, 8)).shape == (1, 8, 4, 4)


def test_merged_logits_are_one_answer_also_while_training():
    net = build_spec("attention_unet_grid", 2, 1, 2, channels=(4, 6, 8)).build()
    x = torch.randn(2, 1, 8, 8)
    assert [logits.shape for logits in net(x)] == [(2, 2, 8, 8)]
    assert [logits.shape for logits in net.eval()(x)] == [(2, 2, 8, 8)]


def shares(layers, x):
    """Two layers of single voxels with a ReLU between, then the sigmoid."""
    first, _, second = layers
    y = functional.conv2d(x, first.weight, first.bias).relu()
    return functional.conv2d(y, second.weight, second.bias)


def test_scse_adds_weighted_channels_and_weighted_voxels():
    x = torch.randn(2, 16, 5, 6)
    scse = attentions.build("scse", style=Style(2), channels=16, ratio=2)
    channel = shares(scse.channel.excite, x.mean((2, 3), keepdim=True)).sigmoid()
    voxel = functional.conv2d(x, scse.voxel.weight, scse.voxel.bias).sigmoid()
    assert channel.shape == (2, 16, 1, 1) and voxel.shape == (2, 1, 5, 6)
    torch.testing.assert_close(scse(x), x * channel + x * voxel)


@pytest.mark.parametrize("name", ["cbam", "cspam"])
def test_cbam_and_cspam_follow_their_formulas(name):
    x = torch.randn(2, 16, 5, 6)
    attention = attentions.build(name, style=Style(2), channels=16, ratio=2)
    bottleneck = attention[0].shared
    means, maxima = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    y = x * (shares(bottleneck, means) + shares(bottleneck, maxima)).sigmoid()
    seen = torch.stack((y.mean(1), y.amax(1)), 1)
    y = y * functional.conv2d(seen, attention[1].conv.weight, padding=3).sigmoid()
    if name == "cspam":
        (unit, _), (rows, columns) = attention[2].shared, attention[2].axes
        for axis, conv in ((3, rows), (2, columns)):  # the mean along one axis leaves places along the other
            narrow = functional.conv2d(y.mean(axis, keepdim=True), unit.weight, unit.bias).relu()
            y = y * functional.conv2d(narrow, conv.weight, conv.bias).sigmoid()
    torch.testing.assert_close(attention(x), y)


def test_weighted_skips_multiply_each_voxel_by_its_own_weight():
    x = torch.randn(1, 4, 5, 6)
    skip = skips.build("weighted", style=Style(2), in_channels=4, gate_channels=4, level=0)
    weights = functional.conv2d(x, skip.weight.weight, skip.weight.bias).sigmoid()
    torch.testing.assert_close(skip(x, x), x * weights)


def test_global_aggregation_looks_from_new_voxels_at_the_coarser_map():
    x = torch.randn(1, 4, 3, 3)
    style = Style(2, norm="none", act="relu")
    up = ups.build("global_aggregation", style=style, in_channels=4, out_channels=6, stride=(2, 2), bias=True).eval()
    y = x.relu()
    query, key, value = (part(y).flatten(2) for part in (up.query, up.key, up.value))
    weights = (query.mT @ key / 6**0.5).softmax(-1)
    found = (weights @ value.mT).mT.reshape(1, 6, 6, 6)
    torch.testing.assert_close(up(x), up.residual(y) + up.out(found))


def test_global_aggregation_down_has_a_voxel_for_each_stride_that_looks_at_all():
    style = Style(2, norm="none", act="relu")
    down = downs.build("global_aggregation", style=style, in_channels=4, out_channels=6, stride=(2, 1)).eval()
    x = torch.rand(1, 4, 6, 5, requires_grad=True)
    y = down(x)
    assert y.shape == (1, 6, 3, 5)
    (gradient,) = torch.autograd.grad(y[0, :, 0, 0].sum(), x)
    assert (gradient.abs().sum(1) > 0).all()


def test_activated_shortcuts_and_padding_at_the_end_follow_tensorflow():
    block = build_block({"name": "preactivated", "activated": True}, Style(2, bias=False), 4, 6, stride=2)[0]
    x = torch.randn(1, 4, 6, 8)
    y = functional.leaky_relu(functional.instance_norm(x), 0.01)
    first = functional.conv2d(functional.pad(y, (0, 1, 0, 1)), block.first.conv.weight, stride=2)
    shortcut = functional.conv2d(y, block.shortcut.conv.weight, stride=2)
    torch.testing.assert_close(block(x), block.second(first) + shortcut)


def test_use_net_in_its_encoder_form_weighs_five_blocks():
    plain = count("use_net", 2, 1, 2, block="plain")
    added = sum(2 * width * (width // 16) + width // 16 + width for width in (64, 128, 256, 512, 1024))
    assert count("use_net", 2, 1, 2, block_decoder="plain") == plain + added


def test_scse_adds_or_takes_the_larger_and_may_stand_before_a_block_too():
    build = partial(build_part, attentions, style=Style(2), channels=8)
    torch.manual_seed(0)
    added, x = build("scse"), torch.randn(2, 8, 4, 4)
    larger = build({"name": "scse", "larger": True})
    larger.load_state_dict(added.state_dict())
    voxels = x * torch.sigmoid(added.voxel(x))
    torch.testing.assert_close(larger(x), torch.maximum(added.channel(x), voxels))
    torch.testing.assert_close(added(x), added.channel(x) + voxels)
    block = {"name": "attended", "attention": "scse", "before": True}
    net = build_spec("unet", 2, 1, 2, channels=(8, 16), block_decoder=block).build()
    decoded = net.decoder.levels[0].block
    assert decoded.first.voxel.weight.shape[1] == 16 and decoded.attention.voxel.weight.shape[1] == 8
