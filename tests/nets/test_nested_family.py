"""U-Net++ and UNet 3+ against published counts, MONAI, and the heads that pruning keeps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.losses import losses
from hyoid.nets import build_spec
from hyoid.nets.family.nested import prune
from hyoid.tasks import task_for
from hyoid.training.regimes import build_regime
from hyoid.training.settings import TrainingSettings

ONE_HEAD = {"deep_supervision": False, "answer": "finest"}
WITH_NORM = {"norm": "batch", "order": "CNA", "up": "linear", "bias": True}


def count(name: str, dims: int, in_channels: int, out_channels: int, **changes) -> int:
    with torch.device("meta"):
        net = build_spec(name, dims, in_channels, out_channels, **changes).build()
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("name", "in_channels", "changes", "published"),
    [
        ("unet_plus_plus", 1, ONE_HEAD, 9_041_601),  # 9.04 M in the paper
        ("unet_plus_plus", 3, ONE_HEAD | WITH_NORM, 9_163_329),  # the common 2D port
        ("unet_plus_plus", 3, WITH_NORM, 9_163_428),
        ("unet_3plus", 3, {"deep_supervision": False}, 26_971_777),  # 26.97 M in the paper
        ("unet_3plus", 3, {}, 26_989_637),
    ],
)
def test_parameters_are_the_published_ones(name, in_channels, changes, published):
    assert count(name, 2, in_channels, 1, **changes) == published


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """The weights of one part into another that lists its layers in the same order."""
    layers = [
        [module for module in part.modules() if not list(module.children()) and module.state_dict()]
        for part in (source, target)
    ]
    for one, other in zip(*layers, strict=True):
        other.load_state_dict(one.state_dict())


@pytest.mark.parametrize("dims", [2, 3])
def test_unet_plus_plus_equals_monai(dims):
    from monai.networks.nets import BasicUNetPlusPlus

    theirs = BasicUNetPlusPlus(dims, 2, 3, features=(4, 4, 8, 16, 32, 4), deep_supervision=True)
    changes = {"norm": "instance", "act": {"name": "leaky_relu", "slope": 0.1}, "order": "CNA", "bias": True}
    ours = build_spec("unet_plus_plus", dims, 2, 3, channels=(4, 4, 8, 16, 32), **changes).build()
    for level in range(5):
        copy_in_order(getattr(theirs, f"conv_{level}_0"), ours.encoder.stages[level])
    for key, node in ours.decoder.nodes.items():
        copy_in_order(getattr(theirs, f"upcat_{key}"), node)
    for head, column in zip(ours.heads, (4, 3, 2, 1), strict=True):
        copy_in_order(getattr(theirs, f"final_conv_0_{column}"), head)
    x = torch.randn(1, 2, *[32] * dims)
    with torch.no_grad():
        for expected, logits in zip(reversed(theirs(x)), ours(x), strict=True):
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.fixture
def nested():
    torch.manual_seed(0)
    changes = {"channels": (4, 6, 8, 10), "norm": "batch", "order": "CNA"}
    return build_spec("unet_plus_plus", 2, 1, 2, **changes).build()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_pruned_net_gives_the_logits_of_that_head_with_fewer_weights(nested, depth):
    x = torch.randn(2, 1, 16, 24)
    nested(x)  # moves the running statistics, which pruning has to keep
    fast = nested.eval()
    maps = fast.decoder(fast.encoder(x))
    expected = fast.heads[3 - depth](maps[3 - depth])
    pruned = prune(nested, depth)
    assert not pruned.training
    torch.testing.assert_close(pruned(x)[0], expected, atol=1e-5, rtol=1e-5)
    assert pruned.divisor == (2**depth,) * 2
    sizes = [sum(p.numel() for p in net.parameters()) for net in (pruned, nested)]
    assert sizes[0] < sizes[1]


def test_accurate_mode_is_the_mean_of_all_heads_and_fast_mode_is_the_last(nested):
    x = torch.randn(1, 1, 16, 16)
    nested.eval()
    heads = [head(features) for head, features in zip(nested.heads, nested.decoder(nested.encoder(x)), strict=True)]
    torch.testing.assert_close(nested(x)[0], torch.stack(heads).mean(0))
    fast = type(nested)(nested.spec.changed({"answer": "finest"})).eval()
    fast.load_state_dict(nested.state_dict())
    torch.testing.assert_close(fast(x)[0], heads[0])


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("unet_plus_plus", None, (0.25,) * 4),
        ("pspnet", None, (1.0, 0.4)),
        ("unet", None, None),
        ("unet_plus_plus", (4, 3, 2, 1), (4, 3, 2, 1)),
    ],
)
def test_heads_count_as_their_paper_or_the_settings_have_it(name, given, expected):
    with torch.device("meta"):
        net = build_spec(name, 2, 1, 2).build()
    task, settings = task_for(Labels.of({1: "one"})), TrainingSettings(head_weights=given)
    regime = build_regime(settings, {"net": net, "task": task, "loss": losses.build("dice")})
    assert regime.loss.weights == expected


def test_training_gives_the_logits_of_every_depth_on_the_grid_of_the_image(nested):
    assert [logits.shape for logits in nested(torch.randn(1, 1, 16, 16))] == [(1, 2, 16, 16)] * 3


def test_pruning_says_what_it_needs(nested):
    with pytest.raises(ConfigError, match="heads at depths 1 to 3; got 4"):
        prune(nested, 4)
    whole = {"decoder": "nested", "deep_supervision": True, "channels": (4, 8, 8)}
    with pytest.raises(ConfigError, match="gives no map on the finest grid"):
        prune(build_spec("unet_resnet18", 2, 1, 2, **whole).build(), 1)
    with pytest.raises(ConfigError, match='decoder "nested"'):
        prune(build_spec("unet", 2, 1, 2, channels=(4, 8)).build(), 1)


@pytest.mark.parametrize("inner", ["decoder", "encoder"])
def test_a_nested_decoder_without_a_finest_map_equals_its_nodes_written_out(inner):
    torch.manual_seed(0)
    changes = {"channels": (4, 6, 8, 10), "decoder_channels": (3, 5, 7), "deep_supervision": True}
    net = build_spec("unet_resnet18", 2, 1, 2, decoder={"name": "nested", "inner": inner}, **changes).build()
    x = torch.randn(2, 1, 16, 32)
    _, fine, middle, bottom = maps = net.encoder(x)
    nodes, up = net.decoder.nodes, functional.interpolate
    first = nodes["1_1"].block(torch.cat([up(middle, scale_factor=2), fine], 1))
    second = nodes["2_1"].block(torch.cat([up(bottom, scale_factor=2), middle], 1))
    third = nodes["1_2"].block(torch.cat([up(second, scale_factor=2), first, fine], 1))
    last = nodes["0_3"].block(up(third, scale_factor=2))
    for expected, got in zip((last, third, first), net.decoder(maps), strict=True):
        torch.testing.assert_close(got, expected)
    assert net.decoder.channels == (3, 5, 5 if inner == "decoder" else 6)
    assert [tuple(logits.shape[2:]) for logits in net(x)] == [(16, 32), (8, 16), (8, 16)]


@pytest.mark.parametrize(
    ("decoder", "changes", "sentence"),
    [
        ("nested", {"padding": "valid", "down": "max"}, 'needs padding "same"'),
        ("full_scale", {"fuse": "add"}, 'needs fuse "concat"'),
        ("nested", {"fuse": "add"}, 'needs fuse "concat" or "concat_up_first"'),
    ],
)
def test_graphs_refuse_what_they_cannot_join(decoder, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_spec("unet", 2, 1, 2, channels=(4, 8), decoder=decoder, **changes).build()


def test_unet_3plus_equals_its_paper_written_out():
    torch.manual_seed(0)
    net = build_spec("unet_3plus", 2, 1, 2, channels=(3, 4, 5), norm="none", deep_supervision=False).build().eval()
    x = torch.randn(1, 1, 16, 16)
    fine, middle, bottom = net.encoder(x)

    def unit(layer: nn.Module, features: Tensor) -> Tensor:
        return functional.conv2d(features, layer.conv.weight, layer.conv.bias, padding=1).relu()

    def enlarged(features: Tensor, factor: int) -> Tensor:
        return functional.interpolate(features, scale_factor=factor, mode="bilinear")

    node = net.decoder.levels[1]
    seen = [functional.max_pool2d(fine, 2), middle, enlarged(bottom, 2)]
    second = unit(node.block, torch.cat([unit(u, s) for u, s in zip(node.units, seen, strict=True)], 1))
    node = net.decoder.levels[0]
    seen = [fine, enlarged(second, 2), enlarged(bottom, 4)]
    first = unit(node.block, torch.cat([unit(u, s) for u, s in zip(node.units, seen, strict=True)], 1))
    torch.testing.assert_close(net(x)[0], net.heads[0](first), atol=1e-5, rtol=1e-5)


def test_a_guided_unet_3plus_multiplies_probabilities_by_the_presence_of_each_structure():
    torch.manual_seed(0)
    plain, guided = (build_spec("unet_3plus", 2, 1, 3, channels=(3, 4, 5), guided=on).build() for on in (False, True))
    missing = guided.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing == ["presence.1.weight", "presence.1.bias"]
    x = torch.randn(2, 1, 16, 16)
    bottom, layer = guided.eval().encoder(x)[-1], guided.presence[1]
    scores = layer(bottom).flatten(2).max(2).values[..., None, None]
    expected = plain.eval()(x)[0].exp() * scores.sigmoid()
    torch.testing.assert_close(guided(x)[0].softmax(1), expected / expected.sum(1, keepdim=True))
    guided.train()(x)[0].sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_full_scale_keeps_a_thick_axis():
    net = build_spec("unet_3plus", 3, 1, 2, channels=(3, 4, 5), strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2]]).build()
    assert [level.shape[2:] for level in net(torch.randn(2, 1, 4, 8, 8))] == [(4, 8, 8), (4, 4, 4), (2, 2, 2)]
