"""Residual and recurrent nets: published counts, equality with MONAI, and what each block computes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.nets import UNetSpec, build_spec
from hyoid.nets.autoencoder import AutoencoderBranch
from hyoid.nets.layers import Style
from oracles import assert_equal_nets, copy_weights, count
from oracles import build_block as block


@pytest.mark.parametrize(
    ("name", "dims", "channels", "changes", "published"),
    [
        ("unet3d_sparse", 3, (3, 3), {}, 19_069_955),
        ("segresnet", 3, (4, 3), {}, 4_702_227),
        ("r2u_net", 2, (3, 1), {"block": {"name": "recurrent_residual", "weights": "shared"}}, 39_091_393),
    ],
)
def test_parameters_are_the_published_ones(name, dims, channels, changes, published):
    assert count(name, dims, *channels, **changes) == published


@pytest.mark.parametrize(
    ("name", "dims", "parameters"),
    [
        ("weighted_res_unet", 2, 8_046_469),
        ("recurrent_unet", 2, 70_523_010),
        ("r2u_net", 2, 70_523_010),
        ("unet_asymmetric", 2, 12_727_106),
        ("myronenko", 3, 18_796_002),
        ("isensee_unet", 3, 9_463_206),
        ("kid_net", 3, 10_200_200),
        ("all_conv_unet", 2, 34_165_058),
        ("inverted_net", 2, 3_706_754),
    ],
)
def test_parameters_without_a_published_count_stay(name, dims, parameters):
    """From one channel to two; no figure to check them with was found."""
    assert count(name, dims, 1, 2) == parameters


@pytest.mark.parametrize("dims", [2, 3])
def test_equals_monai_segresnet(dims):
    from monai.networks.nets import SegResNet

    ours = build_spec("segresnet", dims, 2, 3, channels=(8, 16, 32, 64)).build()
    assert_equal_nets(SegResNet(dims, 8, 2, 3), ours, torch.randn(2, 2, *[16] * dims))


def test_autoencoder_branch_equals_monais_when_it_shares_the_decoder():
    from monai.networks.nets import SegResNetVAE

    theirs = SegResNetVAE((16, 16), True, vae_nz=6, spatial_dims=2, init_filters=8, in_channels=2, out_channels=3)
    net = build_spec("segresnet", 2, 2, 3, channels=(8, 16, 32, 64)).build()
    ours, x = AutoencoderBranch(net, (16, 16), latent=6, shared=True), torch.randn(2, 2, 16, 16)
    theirs.train(), ours.train()
    with torch.no_grad():
        theirs(x)  # their layers run in another order, so weights go over by name below
        copy_branch(theirs, ours, x)
        torch.manual_seed(5)
        logits, expected = theirs(x)
        torch.manual_seed(5)
        restored = ours(x)
    assert torch.allclose(restored.logits[0], logits, atol=1e-4)
    assert sum(restored.terms(x).values()).item() == pytest.approx(expected.item(), rel=1e-4)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_autoencoder_branch_has_as_many_parameters_as_monais():
    with torch.device("meta"):
        branch = AutoencoderBranch(build_spec("myronenko", 3, 4, 3).build(), (160, 192, 128), latent=256, shared=True)
    assert sum(p.numel() for p in branch.parameters()) == 30_726_935


def copy_branch(theirs, ours, x):
    """The weights of MONAI's net into ours, its branch by the names of its parts."""
    shell, branch = type(theirs).__mro__[1](2, 8, 2, 3), theirs
    shell.load_state_dict({key: value for key, value in theirs.state_dict().items() if "vae" not in key})
    shell.eval(), ours.net.eval()
    copy_weights(shell, ours.net, x)
    theirs.load_state_dict(shell.state_dict(), strict=False)
    ours.net.train()
    pairs = [
        (branch.vae_down, ours.enter),
        (branch.vae_fc1, ours.mean),
        (branch.vae_fc2, ours.deviation),
        (branch.vae_fc3, ours.leave),
        (branch.vae_fc_up_sample, ours.enlarge),
        (branch.vae_conv_final, ours.head),
    ]
    for one, other in pairs:
        for source, target in zip(one.parameters(), other.parameters(), strict=True):
            target.copy_(source)


def test_autoencoder_branch_of_the_paper_has_a_decoder_of_its_own():
    net = build_spec("myronenko", 3, 2, 3, channels=(8, 16)).build()
    branch = AutoencoderBranch(net, (8, 4, 8), latent=5)
    x = torch.randn(2, 2, 8, 4, 8)
    restored = branch(x)
    assert restored.image.shape == x.shape and restored.mean.shape == (2, 5)
    sum(restored.terms(x).values()).backward()
    assert net.decoder.levels[0].up[0].weight.grad is None
    assert branch.decoder.levels[0].up[0].weight.grad.any()
    assert net.encoder.stem.conv.weight.grad.any()


def test_autoencoder_terms_by_hand():
    net = build_spec("segresnet", 2, 1, 2, channels=(8, 8)).build()
    restored = AutoencoderBranch(net, (4, 4), latent=2)(torch.zeros(1, 1, 4, 4))
    terms = restored.terms(torch.zeros(1, 1, 4, 4))
    mean, deviation = restored.mean, restored.deviation
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, deviation), torch.distributions.Normal(0.0, 1.0)
    )
    assert terms["latent"].item() == pytest.approx(divergence.mean().item(), rel=1e-4)
    assert terms["restoration"].item() == pytest.approx(restored.image.square().mean().item(), rel=1e-5)


def test_autoencoder_branch_says_what_it_needs():
    net = build_spec("segresnet", 2, 1, 2, channels=(8, 8)).build()
    with pytest.raises(ConfigError, match=r"multiples of \(4, 4\)"):
        AutoencoderBranch(net, (6, 8))
    with pytest.raises(ConfigError, match="add them"):
        AutoencoderBranch(build_spec("unet", 2, 1, 2, channels=(8, 8)).build(), (8, 8))
    with pytest.raises(ConfigError, match=r"patches of \(8, 8\)"):
        AutoencoderBranch(net, (8, 8))(torch.zeros(1, 1, 16, 8))


def recurrent(weights: str, steps: int):
    return block({"name": "recurrent", "weights": weights, "steps": steps}, Style(2, norm="none", act="relu"), 2, 3)


def test_separate_recurrence_is_the_papers_equation():
    torch.manual_seed(0)
    net, x = recurrent("separate", 2), torch.randn(1, 2, 5, 5)
    layer = net.layers[0]
    seen = layer.forward_conv(net.project(x))
    first = seen.relu()
    second = (seen + functional.conv2d(first, layer.state_conv.weight, padding=1)).relu()
    third = (seen + functional.conv2d(second, layer.state_conv.weight, padding=1)).relu()
    assert torch.allclose(net(x), third, atol=1e-6)


def test_shared_recurrence_sees_the_sum_of_input_and_state():
    torch.manual_seed(0)
    net, x = recurrent("shared", 1), torch.randn(1, 2, 5, 5)
    (unit,) = net.layers[0].units
    projected = net.project(x)
    assert torch.allclose(net(x), unit(projected + unit(projected)), atol=1e-6)


def test_only_unrolled_weights_grow_with_the_steps():
    def parameters(weights, steps):
        return sum(p.numel() for p in recurrent(weights, steps).parameters())

    for weights in ("separate", "shared"):
        assert parameters(weights, 2) == parameters(weights, 3)
    assert parameters("unrolled", 3) - parameters("unrolled", 2) == 3 * 3 * 9 + 3


def test_residual_recurrence_adds_the_projected_input():
    torch.manual_seed(0)
    net, x = block("recurrent_residual", Style(3, norm="none"), 2, 3), torch.randn(1, 2, 4, 4, 4)
    assert torch.allclose(net(x), net.project(x) + net.layers(net.project(x)))


def test_recurrent_block_names_its_three_readings():
    with pytest.raises(ConfigError, match="separate, shared or unrolled"):
        recurrent("tied", 2)
    with pytest.raises(ConfigError, match="at least 1 step"):
        recurrent("shared", 0)


@pytest.mark.parametrize("name", ["recurrent", "dense", "inception", "multires", "asymmetric", "context"])
def test_blocks_that_keep_the_grid_refuse_strides_and_valid_convolutions(name):
    with pytest.raises(ConfigError, match="down: max"):
        block(name, Style(2), 8, 8, stride=2)
    with pytest.raises(ConfigError, match='padding "same"'):
        block(name, Style(2, valid=True), 8, 8)


def test_asymmetric_unit_is_one_convolution_with_heavier_lines():
    torch.manual_seed(0)
    (unit,), x = block("asymmetric", Style(2, norm="none", act="none"), 2, 2).units, torch.randn(1, 2, 6, 7)
    square, down, across = (branch.conv.weight for branch in unit.branches)
    merged = square.clone()
    merged[..., :, 1:2] += down
    merged[..., 1:2, :] += across
    bias = sum(branch.conv.bias for branch in unit.branches)
    assert torch.allclose(unit(x), functional.conv2d(x, merged, bias, padding=1), atol=1e-5)


def test_weighted_skip_weighs_every_voxel_between_nothing_and_all():
    net = build_spec("weighted_res_unet", 2, 1, 2, channels=(8, 12)).build()
    skip = net.decoder.levels[0].skip
    with torch.no_grad():
        skip.weight.weight.zero_()
        skip.weight.bias.fill_(0.0)
    x = torch.randn(1, 8, 4, 4)
    assert torch.allclose(skip(x, x), 0.5 * x)


def test_isensee_adds_the_logits_of_its_three_finest_levels():
    torch.manual_seed(0)
    net = build_spec("isensee_unet", 2, 1, 2, channels=(4, 8, 8, 8, 8)).build().eval()
    assert len(net.heads) == 3
    x = torch.randn(1, 1, 32, 32)
    maps = net.decoder(net.encoder(x))
    expected = sum(
        functional.interpolate(head(one), (32, 32), mode="bilinear") for head, one in zip(net.heads, maps, strict=False)
    )
    assert torch.allclose(net(x)[0], expected, atol=1e-5)
    assert len(net.train()(x)) == 1


def test_context_module_adds_its_input():
    torch.manual_seed(0)
    stack, x = block("context", Style(2), 4, 4).eval(), torch.randn(1, 4, 6, 6)
    (module,) = stack
    assert torch.allclose(stack(x), module.second(module.first(x)) + x)
    assert module.first.dropout.p == 0.3


def test_strided_convolutions_may_keep_the_width():
    spec = {"dims": 2, "in_channels": 1, "out_channels": 2, "channels": (4, 8)}
    for widen, width in ((True, 8), (False, 4)):
        net = UNetSpec(**spec, down={"name": "strided_conv", "widen": widen}).build()
        assert net.encoder.stages[1].down(torch.zeros(1, 4, 8, 8)).shape == (1, width, 4, 4)


def test_an_entrance_brings_the_map_to_its_width_without_a_norm_and_odd_maps_are_stretched():
    """Both as in wolny/pytorch-3dunet, whose outputs `benchmarks/oracles unet3d` compares."""
    fields = {"channels": (4, 8), "norm": "batch", "down": "max", "up": "transposed_stretched", "fuse": "add"}
    net = build_spec("unet", 3, 1, 2, block={"name": "residual", "entrance": True}, **fields).build().eval()
    enter, block, _ = net.encoder.stages[0].block
    assert list(dict(enter.named_children())) == ["conv"] and not len(block.shortcut)
    up = net.decoder.levels[0].up
    odd, x = up[0].conv, torch.randn(1, 8, 2, 3, 2)
    assert odd(x).shape[2:] == (3, 5, 3)
    assert up(x).shape[2:] == (4, 6, 4)
    torch.testing.assert_close(up(x)[..., 0, 0, 0], odd(x)[..., 0, 0, 0])
