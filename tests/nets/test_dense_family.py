"""Dense, inception and multi-scale nets: published counts, and what each block computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.blocks.inception import InceptionBlock, spatial
from hyoid.nets.layers import Style
from hyoid.nets.resample import ups
from oracles import build_block as block
from oracles import count


@pytest.mark.parametrize(
    ("name", "dims", "channels", "published"),
    [
        ("fc_densenet103", 2, (3, 12), 9_322_348),
        ("multires_unet", 2, (3, 1), 7_262_750 - 24_522),  # Keras counts running statistics too
        ("multires_unet", 3, (4, 1), 18_657_689 - 24_522),
    ],
)
def test_parameters_are_the_published_ones(name, dims, channels, published):
    assert count(name, dims, *channels) == published


def test_multires_keeps_as_many_running_statistics_as_keras_but_those_of_its_last_norm():
    with torch.device("meta"):
        net = build_spec("multires_unet", 2, 3, 1).build()
    statistics = sum(value.numel() for name, value in net.named_buffers() if "running" in name)
    assert statistics == 24_522 - 2  # a norm of one channel; here a bias stands in its place


@pytest.mark.parametrize(("name", "parameters"), [("dense_unet", 8_886_882), ("inception_unet", 11_923_222)])
def test_parameters_without_a_published_count_stay(name, parameters):
    assert count(name, 2, 1, 2) == parameters


def test_every_dense_layer_sees_all_maps_before_it():
    torch.manual_seed(0)
    net, x = block("dense", Style(2), 5, 12, depth=3), torch.randn(1, 5, 6, 6)
    assert [layer.conv.in_channels for layer in net.layers] == [5, 9, 13]
    maps = net(x)
    assert maps.shape[1] == net.out_channels == 5 + 3 * 4
    assert torch.equal(maps[:, :5], x)
    assert torch.equal(maps[:, 9:13], net.layers[1](maps[:, :9]))


def test_dense_blocks_on_the_way_up_pass_only_new_maps():
    torch.manual_seed(0)
    whole = block("dense", Style(2), 5, 12, depth=3)
    new = block({"name": "dense", "new_only": True}, Style(2), 5, 12, depth=3)
    new.load_state_dict(whole.state_dict())
    x = torch.randn(1, 5, 6, 6)
    assert torch.equal(new(x), whole(x)[:, 5:]) and new.out_channels == 12


def test_tiramisu_widths_are_those_of_the_paper():
    with torch.device("meta"):
        net = build_spec("fc_densenet103", 2, 3, 12).build()
    assert net.encoder.channels == (112, 192, 304, 464, 656, 240)
    assert net.decoder.channels == (256, 80, 112, 160, 192)


@pytest.mark.parametrize("crop_last", [False, True])
def test_wide_ways_up_leave_out_the_first_voxel_or_the_last(crop_last):
    given = {"in_channels": 3, "out_channels": 4, "stride": (2, 1), "bias": False}
    up, x = ups.build("transposed_wide", style=Style(2), crop_last=crop_last, **given), torch.randn(1, 3, 5, 4)
    whole = functional.conv_transpose2d(x, up[0].weight, stride=(2, 1))
    torch.testing.assert_close(up(x), whole[:, :, :10] if crop_last else whole[:, :, 1:])
    assert build_spec("fc_densenet103", 2, 3, 12).up["crop_last"]  # as its public weights


def test_growth_may_differ_from_the_stem():
    assert block({"name": "dense", "growth": 4}, Style(2), 5, 48, depth=3).out_channels == 5 + 12


@pytest.mark.parametrize(("width", "depth"), [(64, 4), (15, 4), (9, 3)])
def test_dense_doubling_gives_exactly_the_asked_width(width, depth):
    net = block("dense_doubling", Style(2), 5, width, depth)
    assert net(torch.randn(2, 5, 4, 4)).shape[1] == net.out_channels == width


def test_dense_doubling_refuses_more_layers_than_maps():
    with pytest.raises(ConfigError, match="needs 8 channels or more; got 6"):
        block("dense_doubling", Style(2), 5, 6, depth=4)


def weights(kernel, factorised, dims=2):
    unit = spatial(Style(dims, bias=False, norm="none"), 8, 8, (kernel,) * dims, factorised)
    return sum(p.numel() for p in unit.parameters())


def test_factorised_convolutions_cost_what_the_papers_say():
    assert weights(5, False) / weights(3, False) == pytest.approx(25 / 9)
    assert weights(3, True) / weights(3, False) == pytest.approx(1 - 1 / 3)
    assert weights(5, True) == 2 * weights(3, True)
    assert weights(3, True, 3) / weights(3, False, 3) == pytest.approx(1 / 3)


@pytest.mark.parametrize("factorised", [False, True])
def test_inception_branches_have_googlenets_widths_and_sights(factorised):
    torch.manual_seed(0)
    net = block({"name": "inception", "factorised": factorised}, Style(2, norm="none", act="none"), 192, 256)[0]
    x = torch.zeros(1, 192, 9, 9)
    widths = [branch(x).shape[1] for branch in (net.one, net.three, net.large, net.pool)]
    assert widths == [64, 128, 32, 32]
    assert (net.three[0].out_channels, net.large[0].out_channels) == (96, 16)
    dot = x.clone()
    dot[..., 4, 4] = 1.0
    for branch, sight in ((net.one, 1), (net.three, 3), (net.large, 5), (net.pool, 3)):
        seen = (branch(dot) - branch(x)).abs().sum(1)[0] > 1e-9
        assert seen.any(0).sum() == seen.any(1).sum() == sight


def test_flat_kernels_stay_flat_in_every_branch():
    for factorised in (False, True):
        net = InceptionBlock(Style(3), 4, 16, (1, 3, 3), factorised)
        assert all(layer.kernel_size[0] == 1 for layer in net.modules() if isinstance(layer, torch.nn.Conv3d))
        assert net(torch.randn(1, 4, 2, 6, 6)).shape == (1, 16, 2, 6, 6)


def test_multires_block_joins_three_chained_convolutions():
    torch.manual_seed(0)
    (net,), x = block("multires", Style(2, norm="batch", act="relu"), 3, 32).eval(), torch.randn(1, 3, 9, 9)
    assert [unit.out_channels for unit in net.units] == [8, 17, 26] and net.out_channels == 51
    a = net.units[0](x)
    b = net.units[1](a)
    joined = net.norm(torch.cat((a, b, net.units[2](b)), 1))
    assert torch.allclose(net(x), net.last_norm((joined + net.shortcut(x)).relu()), atol=1e-6)


def test_res_paths_shorten_towards_the_bottom_and_never_use_a_norm_twice():
    with torch.device("meta"):
        net = build_spec("multires_unet", 2, 3, 1).build()
    skips = [level.skip for level in net.decoder.levels]
    assert [len(skip.units) for skip in skips] == [4, 3, 2, 1]
    assert [skip.out_channels for skip in skips] == [32, 64, 128, 256]
    assert all(len({id(norm) for norm in skip.norms}) == len(skip.units) for skip in skips)


def test_batch_norm_without_scale_has_a_shift_alone():
    style = Style(2, norm={"name": "batch", "scale": False})
    norm = style.norm_layer(3)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    x = torch.randn(4, 3, 5, 5)
    assert torch.allclose(norm(x).mean((0, 2, 3)), norm.bias, atol=1e-5)


def test_norms_of_joined_maps_keep_the_epsilon_of_the_style():
    net = build_spec(
        "multires_unet", 2, 1, 2, channels=(4, 8), norm={"name": "batch", "scale": False, "eps": 1e-3}
    ).build()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert {norm.weight is None for norm in norms} == {True, False}
