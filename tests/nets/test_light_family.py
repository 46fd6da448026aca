"""Encoders with published layouts: counts, names, maps, and weights that fit by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hyoid.core.errors import ConfigError, DataError
from hyoid.nets import build_spec
from hyoid.nets.pyramids.published import adapt_channels, inflate, load_published


def on_meta(name: str, dims: int = 2, in_channels: int = 3, out_channels: int = 1, **changes) -> nn.Module:
    with torch.device("meta"):
        return build_spec(name, dims, in_channels, out_channels, **changes).build()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Other packages keep the convolution before EfficientNet's classifier, which nothing uses.
UNUSED_IN_B0 = 320 * 1280 + 2 * 1280


@pytest.mark.parametrize(
    ("name", "changes", "published"),
    [
        ("unet_resnet18", {}, 14_328_209),
        ("unet_resnet34", {}, 24_436_369),
        ("unet_resnet50", {}, 32_521_105),
        ("unet_resnet101", {}, 51_513_233),
        ("unet_vgg11", {}, 18_254_033),
        ("unet_vgg16", {"encoder": {"name": "vgg", "finest": False, "batch_norm": True}}, 23_756_689),
        ("unet_mobilenet_v2", {}, 6_628_945),
        ("unet_efficientnet_b0", {}, 6_251_469 - UNUSED_IN_B0),
        ("unet_densenet121", {}, 13_607_633),
        ("ternausnet11", {}, 22_927_393),
        ("ternausnet16", {}, 29_306_465),
    ],
)
def test_parameters_are_the_published_ones(name, changes, published):
    assert count(on_meta(name, **changes)) == published


@pytest.mark.parametrize(
    ("size", "classifier", "published"),
    [
        ("b0", 1280, 5_288_548),
        ("b1", 1280, 7_794_184),
        ("b2", 1408, 9_109_994),
        ("b3", 1536, 12_233_232),
        ("b4", 1792, 19_341_616),
        ("b5", 2048, 30_389_784),
        ("b6", 2304, 43_040_704),
        ("b7", 2560, 66_347_960),
    ],
)
def test_efficientnets_have_the_published_parameters_before_the_classifier(size, classifier, published):
    encoder = on_meta(f"unet_efficientnet_{size}").encoder
    last = encoder.channels[-1] * classifier + 2 * classifier + 1000 * (classifier + 1)
    assert count(encoder) == published - last


def test_unet_edge_has_less_than_half_a_million_parameters():
    assert count(on_meta("unet_edge")) == 239_554
    assert count(on_meta("unet_edge", 3)) < 500_000


PYRAMIDS = ("resnet34", "resnet50", "vgg11", "mobilenet_v2", "efficientnet_b3", "densenet121")


@pytest.mark.parametrize("name", PYRAMIDS)
@pytest.mark.parametrize("dims", [2, 3])
def test_maps_have_the_widths_of_the_row_and_halve_at_each_level(name, dims):
    net = on_meta(f"unet_{name}", dims)
    maps = net.encoder(torch.empty(1, 3, *[64] * dims, device="meta"))
    assert net.encoder.channels[1:] == net.spec.channels[1:]
    assert [x.shape[1] for x in maps[1:]] == list(net.spec.channels[1:])
    assert [x.shape[2:] for x in maps] == [(64 >> level,) * dims for level in range(6)]


@pytest.mark.parametrize("name", PYRAMIDS)
def test_pyramids_keep_a_thick_axis(name):
    strides = [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]]
    kernels = [[1, 3, 3], [1, 3, 3], *[[3, 3, 3]] * 4]
    net = on_meta(f"unet_{name}", 3, strides=strides, kernels=kernels)
    assert net.divisor == (4, 32, 32)
    assert net(torch.empty(1, 3, 4, 32, 64, device="meta"))[0].shape == (1, 1, 4, 32, 64)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stem": "plain"}, "has an entrance of its own"),
        ({"channels": (8,) * 7}, "has 6 levels; got channels for 7"),
        ({"padding": "valid", "down": "max"}, 'needs padding "same"'),
    ],
)
@pytest.mark.parametrize("name", PYRAMIDS)
def test_what_a_layout_does_not_have_is_refused(name, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        on_meta(f"unet_{name}", **changes)


Shapes = dict[str, tuple[int, ...]]


def norm(name: str, channels: int) -> Shapes:
    vectors = {f"{name}.{key}": (channels,) for key in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": ()}


def conv_norm(conv: str, after: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{conv}.weight": shape} | norm(after, shape[0])


def resnet(blocks: tuple[int, ...], bottleneck: bool) -> Shapes:
    shapes, width = conv_norm("conv1", "bn1", (64, 3, 7, 7)), 64
    for layer, number in enumerate(blocks, start=1):
        planes = 32 * 2**layer
        out = planes * (4 if bottleneck else 1)
        for index in range(number):
            at = f"layer{layer}.{index}"
            if bottleneck:
                units = [(planes, width, 1, 1), (planes, planes, 3, 3), (out, planes, 1, 1)]
            else:
                units = [(planes, width, 3, 3), (planes, planes, 3, 3)]
            for unit, shape in enumerate(units, start=1):
                shapes |= conv_norm(f"{at}.conv{unit}", f"{at}.bn{unit}", shape)
            if index == 0 and (layer > 1 or bottleneck):
                shapes |= conv_norm(f"{at}.downsample.0", f"{at}.downsample.1", (out, width, 1, 1))
            width = out
    return shapes | {"fc.weight": (1000, width), "fc.bias": (1000,)}


def vgg16_bn() -> Shapes:
    shapes, width, index = {}, 3, 0
    for layer in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if layer:
            shapes |= conv_norm(f"features.{index}", f"features.{index + 1}", (layer, width, 3, 3))
            shapes[f"features.{index}.bias"] = (layer,)
            width = layer
        index += 3 if layer else 1
    return shapes | {"classifier.0.weight": (4096, 25088), "classifier.0.bias": (4096,)}


def mobilenet_v2() -> Shapes:
    shapes, width, index = conv_norm("features.0.0", "features.0.1", (32, 3, 3, 3)), 32, 1
    rows = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    for expansion, out, number in rows:
        for _ in range(number):
            at, wide = f"features.{index}.conv", expansion * width
            if expansion > 1:
                shapes |= conv_norm(f"{at}.0.0", f"{at}.0.1", (wide, width, 1, 1))
            first = 1 if expansion > 1 else 0
            shapes |= conv_norm(f"{at}.{first}.0", f"{at}.{first}.1", (wide, 1, 3, 3))
            shapes |= conv_norm(f"{at}.{first + 1}", f"{at}.{first + 2}", (out, wide, 1, 1))
            width, index = out, index + 1
    shapes |= conv_norm("features.18.0", "features.18.1", (1280, 320, 1, 1))
    return shapes | {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}


def efficientnet_b0() -> Shapes:
    shapes, width = conv_norm("features.0.0", "features.0.1", (32, 3, 3, 3)), 32
    rows = [(1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3), (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1)]
    for stage, (expansion, kernel, out, number) in enumerate(rows, start=1):
        for index in range(number):
            at, wide, narrow, first = f"features.{stage}.{index}.block", expansion * width, width // 4, 0
            if expansion > 1:
                shapes |= conv_norm(f"{at}.0.0", f"{at}.0.1", (wide, width, 1, 1))
                first = 1
            shapes |= conv_norm(f"{at}.{first}.0", f"{at}.{first}.1", (wide, 1, kernel, kernel))
            for fc, shape in (("fc1", (narrow, wide, 1, 1)), ("fc2", (wide, narrow, 1, 1))):
                shapes |= {f"{at}.{first + 1}.{fc}.weight": shape, f"{at}.{first + 1}.{fc}.bias": shape[:1]}
            shapes |= conv_norm(f"{at}.{first + 2}.0", f"{at}.{first + 2}.1", (out, wide, 1, 1))
            width = out
    shapes |= conv_norm("features.8.0", "features.8.1", (1280, 320, 1, 1))
    return shapes | {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}


def densenet121() -> Shapes:
    """As in the public file, which still says `norm.1`."""
    shapes, width = conv_norm("features.conv0", "features.norm0", (64, 3, 7, 7)), 64
    for block, number in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, number + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            shapes |= norm(f"{at}.norm.1", width) | {f"{at}.conv.1.weight": (128, width, 1, 1)}
            shapes |= norm(f"{at}.norm.2", 128) | {f"{at}.conv.2.weight": (32, 128, 3, 3)}
            width += 32
        if block < 4:
            at = f"features.transition{block}"
            shapes |= norm(f"{at}.norm", width) | {f"{at}.conv.weight": (width // 2, width, 1, 1)}
            width //= 2
    return shapes | norm("features.norm5", width) | {"classifier.weight": (1000, width), "classifier.bias": (1000,)}


def drawn(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {key: 0.05 * torch.rand(shape, generator=generator) for key, shape in shapes.items() if "fc." not in key}


VGG16_BN = {"encoder": {"name": "vgg", "finest": False, "batch_norm": True}}
PUBLISHED = [
    ("unet_resnet18", {}, resnet((2, 2, 2, 2), False)),
    ("unet_resnet50", {}, resnet((3, 4, 6, 3), True)),
    ("unet_vgg16", VGG16_BN, vgg16_bn()),
    ("unet_mobilenet_v2", {}, mobilenet_v2()),
    ("unet_efficientnet_b0", {}, efficientnet_b0()),
    ("unet_densenet121", {}, densenet121()),
]


@pytest.mark.parametrize(("name", "changes", "shapes"), PUBLISHED, ids=[name for name, _, _ in PUBLISHED])
def test_names_and_shapes_are_the_published_ones(name, changes, shapes):
    encoder = on_meta(name, **changes).encoder
    ours = {key: tuple(value.shape) for key, value in encoder.state_dict().items() if not key.startswith(encoder.own)}
    theirs = {key: shape for key, shape in shapes.items() if not key.startswith(encoder.unused)}
    assert {key.replace("norm.", "norm").replace("conv.", "conv") for key in theirs if "denselayer" in key} == {
        key for key in ours if "denselayer" in key
    }
    plain = [{key: shape for key, shape in each.items() if "denselayer" not in key} for each in (ours, theirs)]
    assert plain[0] == plain[1]


SMALL = {"unet_resnet18": resnet((2, 2, 2, 2), False), "unet_mobilenet_v2": mobilenet_v2()}


@pytest.mark.parametrize("name", SMALL)
def test_published_weights_load_by_name(name):
    net = build_spec(name, 2, 3, 2).build()
    weights = drawn(SMALL[name])
    load_published(net.encoder, weights)
    state = net.encoder.state_dict()
    assert all(torch.equal(state[key], weights[key].to(state[key].dtype)) for key in state)


def test_old_names_of_densenet_load_into_a_shallower_net():
    net = build_spec("unet_densenet121", 2, 3, 2, channels=(16, 64, 256)).build()
    weights = drawn({key: shape for key, shape in densenet121().items() if "block4" not in key})
    load_published(net.encoder, weights)
    layer = net.encoder.features.denseblock1.denselayer3
    assert torch.equal(layer.norm2.weight, weights["features.denseblock1.denselayer3.norm.2.weight"])


def test_one_channel_sums_and_five_channels_repeat_the_entrance():
    weight = torch.arange(1.0, 7.0).reshape(2, 3, 1, 1)
    assert adapt_channels(weight, 1).flatten().tolist() == [6, 15]
    assert adapt_channels(weight, 5)[0].flatten().tolist() == pytest.approx([0.6, 1.2, 1.8, 0.6, 1.2])
    grey = torch.ones(1, 1, 4, 4)
    for channels in (1, 6):
        conv = nn.functional.conv2d(grey.repeat(1, channels, 1, 1), adapt_channels(weight, channels))
        torch.testing.assert_close(conv, nn.functional.conv2d(grey.repeat(1, 3, 1, 1), weight))


def test_weights_of_pictures_inflate_to_volumes():
    kernel = torch.randn(2, 3, 3, 3)
    slices = torch.randn(1, 3, 8, 8)
    volume = nn.functional.conv3d(slices.unsqueeze(2).repeat(1, 1, 3, 1, 1), inflate(kernel, 3))
    torch.testing.assert_close(volume.squeeze(2), nn.functional.conv2d(slices, kernel))
    net = build_spec("unet_resnet18", 3, 1, 2, channels=(8, 64, 64)).build()
    load_published(net.encoder, drawn(SMALL["unet_resnet18"]))


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ({}, "missing, such as 'conv1.weight'"),
        (resnet((3, 4, 6, 3), False), "have no place in the encoder, such as 'layer1.2.conv1.weight'"),
        (SMALL["unet_resnet18"] | {"layer1.0.conv1.weight": (64, 64, 5, 5)}, "layer1.0.conv1.weight has shape"),
    ],
    ids=["nothing", "larger net", "another kernel"],
)
def test_weights_that_do_not_fit_are_refused_by_a_sentence(shapes, sentence):
    net = build_spec("unet_resnet18", 2, 3, 2).build()
    with pytest.raises(DataError, match=sentence) as error:
        load_published(net.encoder, drawn(shapes), "resnet18.safetensors")
    assert str(error.value).startswith("resnet18.safetensors: ")


def test_a_deeper_net_of_the_same_blocks_and_a_broken_file_are_refused_whatever_the_depth():
    net = build_spec("unet_resnet18", 2, 3, 2, channels=(8, 64, 64, 128)).build()
    with pytest.raises(DataError, match=r"have no place in the encoder, such as 'layer1\.2"):
        load_published(net.encoder, drawn(resnet((3, 4, 6, 3), False)))
    broken = drawn(SMALL["unet_resnet18"])
    broken["layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match=r"1 weights hold NaN or infinity, such as 'layer1\.0\.conv1\.weight'"):
        load_published(net.encoder, broken)


@pytest.mark.parametrize(("name", "theirs"), [("unet_resnet18", "resnet18"), ("unet_resnet50", "resnet50")])
def test_resnet_equals_monai(name, theirs):
    from monai.networks.nets import resnet as monai

    torch.manual_seed(0)
    ours = build_spec(name, 2, 3, 2).build().encoder.eval()
    other = getattr(monai, theirs)(spatial_dims=2, n_input_channels=3, conv1_t_stride=2, feed_forward=False).eval()
    zeros = {key: torch.zeros_like(value) for key, value in other.state_dict().items() if "downsample.0.bias" in key}
    other.load_state_dict(ours.state_dict() | zeros)  # MONAI gives the shortcuts a bias
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = ours(x)
        expected = other.act(other.bn1(other.conv1(x)))
        torch.testing.assert_close(maps[1], expected)
        expected = other.maxpool(expected)
        for features, layer in zip(maps[2:], (other.layer1, other.layer2, other.layer3, other.layer4), strict=True):
            expected = layer(expected)
            torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


def test_densenet_equals_monai():
    from monai.networks.nets import DenseNet121

    torch.manual_seed(0)
    ours = build_spec("unet_densenet121", 2, 3, 2).build().encoder.eval()
    other = DenseNet121(2, 3, 10).eval()
    renamed = {key.replace("layers.", ""): value for key, value in other.state_dict().items() if "class" not in key}
    ours.load_state_dict(renamed)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[-1], other.features(x), atol=1e-4, rtol=1e-4)


def test_vgg_equals_its_table_written_out():
    torch.manual_seed(0)
    encoder = build_spec("ternausnet11", 2, 3, 2).build().encoder.eval()
    layers, width = [], 3
    for layer in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        layers += [nn.Conv2d(width, layer, 3, padding=1), nn.ReLU()] if layer else [nn.MaxPool2d(2)]
        width = layer or width
    table = nn.Sequential(*layers)
    table.load_state_dict(encoder.features.state_dict())
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(encoder.bottom(table(x)), encoder(x)[-1])


def test_smps_efficientnet_pads_ends_taps_b0_early_and_loads_by_its_names():
    torch.manual_seed(0)
    encoder = (
        build_spec("unet_efficientnet_b0", 2, 3, 2, encoder={"name": "efficientnet", "port": "smp"}).build().encoder
    )
    entrance, x = encoder.features[0].eval(), torch.zeros(1, 3, 32, 32)
    x[..., 0, 0] = 1  # a zero more at the end: the first kernel has this pixel in its corner
    at_corner = entrance[0].weight[:, :, 0, 0].sum(1)
    torch.testing.assert_close(entrance[0](torch.nn.functional.pad(x, entrance.zeros))[0, :, 0, 0], at_corner)
    assert entrance[1].eps == 1e-3
    # after the first of three units, 112 wide; sizes with odd halves pad both sides, as B1's 15 of 240
    assert [len(stage) for stage in encoder.features][5] == 3 and encoder.early == 6
    assert encoder.features[6][0].block[1].zeros == (1, 2, 1, 2)
    theirs = {"_conv_stem.weight": torch.randn(32, 3, 3, 3), "_blocks.9._bn1.bias": torch.ones(1)}
    theirs["_blocks.0._bn2.bias"] = torch.zeros(1)
    assert list(encoder.renamed(theirs)) == [
        "features.0.0.weight",
        "features.5.1.block.1.1.bias",
        "features.1.0.block.2.1.bias",
    ]


@pytest.mark.parametrize("port", ["smp", "torchvision"])
def test_weights_of_the_other_port_are_refused(port):
    encoder = (
        build_spec("unet_efficientnet_b0", 2, 3, 2, encoder={"name": "efficientnet", "port": port}).build().encoder
    )
    stem = "features.0.0.weight" if port == "smp" else "_conv_stem.weight"
    with pytest.raises(DataError, match=r"plan\.net\.encoder=\{name: efficientnet, scale: b0"):
        load_published(encoder, {stem: torch.zeros(32, 3, 3, 3)})
