"""UNetSpec and UNet: composition, parts from elsewhere, messages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError
from hyoid.nets import UNetSpec, build_spec, nets, variant
from hyoid.nets.blocks.conv import blocks
from hyoid.nets.encoders import encoders
from hyoid.nets.skips import skips


def test_fields_per_level_take_one_value():
    spec = UNetSpec(
        dims=3, in_channels=1, out_channels=2, channels=(4, 8, 16), kernels=5, blocks_encoder=3, dropout=0.1
    )
    assert spec.kernels == ((5, 5, 5),) * 3
    assert spec.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2))
    assert spec.blocks_encoder == (3, 3, 3) and spec.blocks_decoder == (2, 2)
    assert spec.dropout == (0.1, 0.1, 0.1)


def test_a_row_is_cut_or_repeated_for_another_number_of_levels():
    assert build_spec("nnunet_residual_m", 3, 1, 2, channels=(8, 16, 32)).blocks_encoder == (1, 3, 4)
    assert build_spec("nnunet_residual_m", 3, 1, 2, channels=(8,) * 8).blocks_encoder == (1, 3, 4, 6, 6, 6, 6, 6)
    assert build_spec("vnet", 3, 1, 2, channels=(4, 8, 16)).decoder_channels == (8, 16)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"chanels": (8, 16)}, "there is no setting 'chanels'. Did you mean 'channels'?"),
        ({"channels": (8,)}, "a U has at least two levels"),
        ({"kernels": [[3, 3]]}, "kernels has 1 entries where 5 levels need 5"),
        ({"kernels": [[3]] * 5}, "kernels need 2 positive numbers for each level in 2D"),
        ({"kernels": 4}, "kernels are odd"),
        ({"strides": [2] * 5}, "the first level lies on the grid of the image"),
        ({"order": "NA"}, "order has exactly one C"),
        ({"padding": "valid"}, "valid padding needs a way down of its own"),
        ({"padding": "valid", "down": "max", "deep_supervision": True}, "deep_supervision needs same"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused_by_a_sentence(changes, sentence):
    with pytest.raises(ConfigError) as error:
        build_spec("unet", 2, 1, 2, **changes)
    assert sentence in str(error.value)
    assert str(error.value).startswith("net unet: ")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"block": "residal"}, "No block is called 'residal'. Did you mean 'residual'?"),
        ({"block": {"name": "plain", "firs": 1}}, "has no option 'firs'. Did you mean 'first'? Options: first."),
        ({"block": {"name": "plain", "depth": 1}}, "has no option 'depth'. Options: first."),
        ({"norm": {"groups": 4}}, "A norm with options needs a name"),
        ({"block": "vnet"}, "as many channels in as out"),
        ({"block": "residual", "padding": "valid", "down": "max"}, 'needs padding "same"'),
    ],
)
def test_parts_that_do_not_go_together_are_refused_by_a_sentence(changes, sentence):
    spec = UNetSpec(**{"dims": 2, "in_channels": 1, "out_channels": 2, **changes})
    with pytest.raises(ConfigError) as error:
        spec.build()
    assert sentence in str(error.value)


def test_deep_supervision_gives_every_level_while_training_and_one_in_evaluation():
    net = build_spec("unet", 2, 1, 2, channels=(4, 8, 16, 16), deep_supervision=True).build()
    x = torch.randn(1, 1, 16, 16)
    assert [level.shape[-1] for level in net(x)] == [16, 8, 4]
    assert [level.shape[-1] for level in net.eval()(x)] == [16]


def test_anisotropic_levels_keep_a_thick_axis():
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
    kernels = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]
    net = build_spec(
        "unet", 3, 1, 2, channels=(4, 8, 8), strides=strides, kernels=kernels, deep_supervision=True
    ).build()
    assert net.divisor == (2, 4, 4)
    assert [level.shape[2:] for level in net(torch.randn(1, 1, 4, 8, 12))] == [(4, 8, 12), (4, 4, 6)]
    assert net.encoder.stages[0].block[0].conv.weight.shape[2:] == (1, 3, 3)


@pytest.mark.parametrize("down", ["strided", "max", "average", "strided_unit"])
@pytest.mark.parametrize("up", ["transposed", "transposed_unit", "linear", "conv_linear", "nearest_unit"])
@pytest.mark.parametrize("dims", [2, 3])
def test_ways_down_and_up_go_together(down, up, dims):
    net = build_spec("unet", dims, 1, 2, channels=(4, 6, 8), down=down, up=up).build()
    x = torch.randn(1, 1, *[8] * dims)
    assert net(x)[0].shape == (1, 2, *[8] * dims)


@pytest.mark.parametrize("fuse", ["concat", "concat_up_first", "add"])
@pytest.mark.parametrize("block", ["plain", "residual", "preactivated"])
@pytest.mark.parametrize("norm", ["instance", "batch", "group", "none"])
def test_blocks_norms_and_fusions_go_together(fuse, block, norm):
    net = build_spec("unet", 2, 1, 2, channels=(4, 6, 8), fuse=fuse, block=block, norm=norm).build()
    assert net(torch.randn(2, 1, 8, 8))[0].isfinite().all()


def test_dropout_is_drawn_while_training_only_and_at_the_levels_asked_for():
    spec = build_spec("unet_original", 2, 1, 2, channels=(4, 4, 4), dropout=(0, 0, 0.9))
    net, x = spec.build(), torch.randn(1, 1, 44, 44)
    assert not torch.equal(net(x)[0], net(x)[0])
    assert torch.equal(net.eval()(x)[0], net(x)[0])
    assert [stage.dropout is not None for stage in net.encoder.stages] == [False, False, True]


def test_weights_start_by_hes_rule_with_zero_biases():
    torch.manual_seed(0)
    net = build_spec("nnunet_plain", 2, 1, 2, channels=(64, 64)).build()
    conv = net.encoder.stages[0].block[1].conv
    assert conv.weight.std().item() == pytest.approx((2 / (1 + 0.01**2) / (64 * 9)) ** 0.5, rel=0.03)
    assert not conv.bias.any()


@pytest.fixture
def own_parts():
    """A block, a skip and a net as a user's own file would register them, taken away again afterwards."""

    class Widening(nn.Module):
        def __init__(self, style, in_channels, out_channels, kernel, stride, depth):
            super().__init__()
            self.out_channels = out_channels + 1
            self.conv = style.conv(in_channels, out_channels + 1, kernel, stride)

        def forward(self, x):
            return self.conv(x)

    class Halved(nn.Module):
        def __init__(self, style, in_channels, gate_channels, level, factor=0.5):
            super().__init__()
            self.out_channels, self.factor = in_channels, factor

        def forward(self, skip, gate):
            return skip * self.factor

    blocks.register("widening")(Widening)
    skips.register("halved")(Halved)
    variant("own_net", about="Mine.", block="widening", skip={"name": "halved", "factor": 0.25}, channels=(4, 6))
    yield
    for shelf, name in ((blocks, "widening"), (skips, "halved"), (nets, "own_net")):
        del shelf._entries[name]


def test_parts_from_elsewhere_compose_and_may_give_another_width_than_asked(own_parts):
    net = build_spec("own_net", 2, 1, 2).build()
    assert net.encoder.channels == (5, 7) and net.decoder.channels == (5,)
    assert net.decoder.levels[0].skip.factor == 0.25
    assert net(torch.randn(1, 1, 4, 4))[0].shape == (1, 2, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "unet_original", "vnet", "nnunet_residual_m"])
def test_exported_net_gives_the_same_logits(name):
    net = build_spec(name, 2, 1, 2, channels=(8, 16, 24)).build().eval()
    x = torch.randn(2, 1, *net.fitting_shape((44, 44)))
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x)[0], net(x)[0], atol=1e-4, rtol=1e-4)


def test_an_encoder_may_lack_a_map_at_some_level():
    class Features(nn.Module):
        """Halves at once, so that there is nothing to skip from on the grid of the image."""

        def __init__(self, way):
            super().__init__()
            self.channels, self.strides, self.shrinks = (0, 4, 8), ((1, 1), (2, 2), (2, 2)), ((0, 0),) * 3
            self.first = nn.Conv2d(way.in_channels, 4, 2, 2)
            self.second = nn.Conv2d(4, 8, 2, 2)

        def forward(self, x):
            half = self.first(x)
            return [x, half, self.second(half)]

    encoders.register("features")(Features)
    try:
        net = build_spec("unet", 2, 1, 2, channels=(4, 4, 8), encoder="features").build()
        assert net.decoder.levels[0].skip is None
        assert net(torch.randn(1, 1, 8, 8))[0].shape == (1, 2, 8, 8)
    finally:
        del encoders._entries["features"]
