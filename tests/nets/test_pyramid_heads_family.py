"""FPN, PSPNet, SSNet and DeepLab against published counts and their papers written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.blocks.context import BoundaryRefinement, GlobalConvolution, PyramidPooling, SpatialPyramid
from hyoid.nets.layers import Style
from hyoid.nets.pyramids.published import load_published
from oracles import count, in_order

RESNET34 = {"channels": (16, 64, 64, 128, 256, 512), "bottleneck": False, "blocks": (1, 1, 3, 4, 6, 3)}
STYLE = Style(2, norm="batch", act="relu")


@pytest.mark.parametrize(
    ("name", "ends", "changes", "published"),
    [
        ("fpn", (3, 1), {}, 23_155_393),
        ("deeplab_v1", (3, 21), {}, 20_505_429),  # 20.5 million in the paper's table 1
        ("deeplab_v3", (3, 21), {}, 58_630_997),  # torchvision's, without its auxiliary head
        ("deeplab_v3_plus", (3, 1), {}, 45_669_713),
        ("deeplab_v3_plus", (3, 1), RESNET34, 22_437_457),
    ],
)
def test_parameters_are_the_published_ones(name, ends, changes, published):
    assert count(name, 2, *ends, **changes) == published


def test_parameters_of_the_others_are_those_of_their_parts():
    resnet50, resnet101 = 23_508_032, 42_500_160  # without their classifiers
    pooled, scored = 4 * (2048 * 512 + 1024), 4096 * 512 * 9 + 1024 + 513 * 21
    auxiliary = 1024 * 256 * 9 + 512 + 257 * 21
    assert count("pspnet", 2, 3, 21) == resnet50 + pooled + scored + auxiliary
    assert count("deeplab_v2", 2, 3, 21) == resnet101 + 4 * (2048 * 9 + 1) * 21
    large = sum(2 * (7 * width * 2 + 2 + 7 * 4 + 2) for width in (256, 512, 1024, 2048))
    assert count("ssnet", 2, 3, 2) == resnet50 + large + 9 * 2 * (4 * 9 + 2)


def dilations(layer) -> list[int]:
    return [conv.dilation[0] for conv in layer.modules() if getattr(conv, "kernel_size", (1,))[0] == 3]


def test_last_levels_spread_their_kernels_as_in_torchvision():
    with torch.device("meta"):
        encoder = build_spec("deeplab_v2", 2, 3, 2).build().encoder
    assert encoder.strides == ((1, 1), (2, 2), (2, 2), (2, 2), (1, 1), (1, 1))
    assert set(dilations(encoder.layer2)) == {1}
    assert dilations(encoder.layer3) == [1] + [2] * 22
    assert dilations(encoder.layer4) == [2, 4, 4]


@pytest.mark.parametrize("name", ["resnet", "mobilenet_v2", "efficientnet"])
def test_any_encoder_of_strides_spreads_whole_levels_instead(name):
    options = {"name": name, **({"spread_first": True} if name == "resnet" else {})}
    channels = (16, 16, 24, 32, 96, 128)
    net = build_spec("deeplab_v3", 2, 3, 2, encoder=options, channels=channels, dilated=2, blocks=(1,)).build()
    assert net.divisor == (8, 8)
    convs = [module for module in net.encoder.modules() if isinstance(module, nn.Conv2d)]
    found = [conv.dilation[0] for conv in convs if conv.kernel_size[0] > 1]
    assert set(found) == {1, 2, 4} and found == sorted(found)


def test_a_deep_stem_is_three_convolutions_as_in_the_authors_pspnet():
    options = {"name": "resnet", "bottleneck": True, "deep_stem": True, "spread_first": True}
    encoder = (
        build_spec("pspnet", 2, 3, 2, channels=(4, 8, 16, 16, 16, 16), blocks=(1,), encoder=options).build().encoder
    )
    stem = [conv.weight.shape for conv in (encoder.conv1, encoder.conv2, encoder.conv3)]
    assert stem == [(8, 3, 3, 3), (8, 8, 3, 3), (16, 8, 3, 3)]
    assert encoder(torch.randn(1, 3, 64, 64))[1].shape == (1, 16, 32, 32)


def test_encoders_that_pool_cannot_spread():
    with pytest.raises(ConfigError, match="has no option 'dilated'"):
        build_spec("deeplab_v3", 2, 3, 2, encoder="densenet").build()


def test_fpn_enlarges_from_corner_to_corner_as_public_code_does():
    net = build_spec("fpn", 2, 1, 2, channels=(4, 4, 8, 12)).build().eval()
    coarse = {}
    net.head.register_forward_hook(lambda _, __, found: coarse.update(logits=found))
    fine = net(torch.randn(1, 1, 16, 24))[0]
    torch.testing.assert_close(fine[..., 0, -1], coarse["logits"][..., 0, -1])


def test_multi_grid_multiplies_the_rates_of_the_last_level():
    options = {"name": "resnet", "bottleneck": True, "multi_grid": (1, 2, 4)}
    with torch.device("meta"):
        encoder = build_spec("deeplab_v3", 2, 3, 2, encoder=options).build().encoder
    assert dilations(encoder.layer3) == [1] * 23
    assert dilations(encoder.layer4) == [2, 4, 8]
    with pytest.raises(ConfigError, match="multi_grid has 2 rates where the last level has 3 units"):
        build_spec("deeplab_v3", 2, 3, 2, encoder=options | {"multi_grid": (1, 2)}).build()


def test_xception_spreads_where_it_would_step_and_takes_weights_in_timms_names():
    changes = {"channels": (4, 8, 10, 12, 14, 16), "blocks": (0, 0, 0, 0, 1, 0)}
    torch.manual_seed(0)
    spread, stepped = (build_spec("deeplab_v3_plus_xception", 2, 1, 2, **changes, dilated=n).build() for n in (2, 0))
    weights = {key.replace("entrance.", "stem."): value for key, value in spread.encoder.state_dict().items()}
    assert {"blocks.0.shortcut.bn.bias", "blocks.4.stack.conv2.conv_dw.weight", "stem.1.bn.weight"} < set(weights)
    load_published(stepped.encoder, weights)
    x = torch.randn(1, 1, 64, 96)
    fine, coarse = (net.encoder.eval()(x) for net in (spread, stepped))
    assert [y.shape[1:] for y in fine[1:]] == [(8, 32, 48), (10, 16, 24), (12, 8, 12), (14, 8, 12), (16, 8, 12)]
    torch.testing.assert_close(fine[-1][..., ::4, ::4], coarse[-1], rtol=1e-4, atol=1e-5)
    assert fine[2].min() < 0
    spread.encoder.activated = True
    torch.testing.assert_close(spread.encoder(x)[2], fine[2].relu())


def test_spread_kernels_see_as_far_as_steps():
    """An image of which every eighth voxel is kept gives the map that strides would."""
    torch.manual_seed(0)
    spread = build_spec("deeplab_v2", 2, 1, 2, channels=(4, 4, 8, 12, 16), blocks=(1, 1, 1, 1, 2)).build().eval()
    stepped = build_spec("ssnet", 2, 1, 2, channels=(4, 4, 8, 12, 16), blocks=(1, 1, 1, 1, 2)).build().eval()
    stepped.encoder.load_state_dict(spread.encoder.state_dict())
    x = torch.randn(1, 1, 64, 64)
    fine, coarse = spread.encoder(x)[-1], stepped.encoder(x)[-1]
    assert fine.shape[-1] == 4 * coarse.shape[-1] == 16
    torch.testing.assert_close(fine[..., ::4, ::4][..., 1:-1, 1:-1], coarse[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-5)


def test_deeplab_v1_equals_its_paper_written_out():
    torch.manual_seed(0)
    net = build_spec("deeplab_v1", 2, 1, 2, channels=(3, 4, 5, 6), blocks=(1, 2), classifier=7, rate=3).build().eval()
    x = torch.randn(1, 1, 24, 32)
    first, *middle, large, second, score = in_order(net, x)

    def convolve(x, layer, spread=1, pad=1):
        return functional.conv2d(x, layer.weight, layer.bias, padding=pad * spread, dilation=spread).relu()

    y = functional.max_pool2d(convolve(x, first), 3, 2, 1)
    for a, b, stride, spread in zip(middle[::2], middle[1::2], (2, 1, 1), (1, 1, 2), strict=True):
        y = functional.max_pool2d(convolve(convolve(y, a, spread), b, spread), 3, stride, 1)
    y = convolve(convolve(y, large, 3), second, pad=0)
    y = functional.conv2d(y, score.weight, score.bias)
    y = functional.interpolate(y, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(net(x)[0], y, rtol=1e-4, atol=1e-5)


def test_pyramid_pooling_joins_the_means_of_parts():
    pooling = PyramidPooling(Style(2, norm="none", act="none", bias=False), 4, (1, 2)).eval()
    x = torch.randn(1, 4, 6, 6)
    whole, parts = (part.unit.conv.weight[..., 0, 0] for part in pooling.parts)
    answer = pooling(x)
    torch.testing.assert_close(answer[:, :4], x)
    torch.testing.assert_close(answer[0, 4:6, 2, 3], whole @ x[0].mean((1, 2)))
    corner = torch.stack([x[0, :, :3, :3].mean((1, 2))])
    torch.testing.assert_close(answer[0, 6:, 0, 0], parts @ corner[0])


def test_mean_of_the_image_joins_a_single_sample_in_training():
    pyramid = SpatialPyramid(STYLE, 4, 4, (2,), 0.0).train()
    assert pyramid(torch.randn(1, 4, 5, 5)).isfinite().all()
    assert pyramid.branches[-1].unit.training
    assert pyramid.branches[-1].unit.norm.num_batches_tracked == 0


def test_global_convolution_sees_a_square_and_is_the_sum_of_both_orders():
    torch.manual_seed(0)
    layer = GlobalConvolution(2, 1, 1, 7)
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 7, 7] = 1.0
    seen = (layer(x) - layer(torch.zeros_like(x)))[0, 0].abs() > 1e-9
    assert seen[4:11, 4:11].all() and seen.sum() == 49


def test_boundary_refinement_adds_to_scores():
    layer = BoundaryRefinement(3, 2)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 2, 4, 4, 4)
    assert torch.equal(layer(x), x)


def test_pspnet_scores_the_map_before_the_last_in_training_only():
    net = build_spec("pspnet", 2, 1, 2, channels=(4, 4, 8, 8)).build()
    x = torch.randn(2, 1, 16, 16)
    assert [tuple(level.shape[2:]) for level in net.train()(x)] == [(16, 16), (4, 4)]
    assert len(net.eval()(x)) == 1
