"""Published nets: their numbers of parameters, and equality with independent implementations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hyoid.nets import build_spec
from oracles import assert_equal_nets, count, in_order

_PROTOTXT = {"blocks_encoder": (0, 1, 2, 3, 3), "blocks_decoder": (1, 1, 2, 3), "head": "vnet"}


@pytest.mark.parametrize(
    ("name", "dims", "channels", "changes", "published"),
    [
        ("unet_original", 2, (1, 2), {}, 31_030_658),
        ("unet_original", 2, (3, 1), {}, 31_031_745),
        ("unet_original", 2, (1, 1), {"channels": (32, 64, 128, 256, 512)}, 7_759_521),  # baseline of U-Net++
        ("unet3d", 3, (3, 3), {}, 19_069_955),
        ("vnet_library", 3, (1, 2), {}, 45_597_898),
        ("vnet", 3, (1, 2), _PROTOTXT, 61_982_682),
        ("vnet", 3, (1, 2), {"head": "vnet"}, 61_982_682 + sum(w * w * 125 + 2 * w for w in (32, 64, 64, 128))),
        ("nnunet_plain", 3, (1, 2), {"deep_supervision": False}, 31_194_050),
        ("nnunet_plain", 3, (1, 2), {}, 31_194_050 + 1_544),
    ],
)
def test_parameters_are_the_published_ones(name, dims, channels, changes, published):
    assert count(name, dims, *channels, **changes) == published


def test_milesial_form_of_the_unet_has_its_parameters():
    changes = {"padding": "same", "order": "CNA", "norm": "batch", "bias": False}
    assert count("unet_original", 2, 3, 2, **changes) == 31_037_698


def test_nnunet_residual_m_has_102_million_parameters():
    assert round(count("nnunet_residual_m", 3, 1, 2) / 1e6, 1) == 102.3


@pytest.mark.parametrize("dims", [2, 3])
def test_equals_monai_basic_unet(dims):
    from monai.networks.nets import BasicUNet

    theirs = BasicUNet(dims, 2, 3, features=(4, 4, 8, 16, 32, 4))
    changes = {"down": "max", "bias": True, "act": {"name": "leaky_relu", "slope": 0.1}}
    ours = build_spec("unet", dims, 2, 3, channels=(4, 4, 8, 16, 32), **changes).build()
    assert_equal_nets(theirs, ours, torch.randn(2, 2, *[32] * dims))


def test_equals_monai_dyn_unet_with_anisotropic_strides():
    """With one kernel for all levels: MONAI's decoder takes the kernel of the coarser level, nnU-Net's of its own."""
    from monai.networks.nets import DynUNet

    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
    theirs = DynUNet(3, 2, 3, [3] * 3, strides, strides[1:], filters=[4, 8, 12], trans_bias=True)
    changes = {"bias": None, "deep_supervision": False}
    ours = build_spec("nnunet_plain", 3, 2, 3, channels=(4, 8, 12), strides=strides, **changes).build()
    assert ours.divisor == (2, 4, 4)
    assert_equal_nets(theirs, ours, torch.randn(1, 2, 6, 8, 12))


def test_equals_monai_vnet():
    from monai.networks.nets import VNet

    ours = build_spec("vnet_library", 2, 2, 3).build()
    assert_equal_nets(VNet(2, 2, 3), ours, torch.randn(1, 2, 32, 48))


def test_unet_original_equals_its_paper_written_out():
    torch.manual_seed(0)
    net = build_spec("unet_original", 2, 1, 2, channels=(3, 4, 5)).build().eval()
    x = torch.randn(1, 1, 60, 60)
    weights = iter(in_order(net, x))

    def convolve(x: Tensor) -> Tensor:
        for _ in range(2):
            layer = next(weights)
            x = functional.conv2d(x, layer.weight, layer.bias).relu()
        return x

    def expand(x: Tensor, skip: Tensor) -> Tensor:
        layer = next(weights)
        x = functional.conv_transpose2d(x, layer.weight, layer.bias, stride=2)
        border = (skip.shape[-1] - x.shape[-1]) // 2
        return convolve(torch.cat((skip[..., border:-border, border:-border], x), 1))

    first = convolve(x)
    second = convolve(functional.max_pool2d(first, 2))
    bottom = convolve(functional.max_pool2d(second, 2))
    top = expand(expand(bottom, second), first)
    last = next(weights)
    assert torch.allclose(net(x)[0], functional.conv2d(top, last.weight, last.bias), atol=1e-5)


def test_residual_blocks_start_as_their_shortcuts():
    net = build_spec("nnunet_residual_m", 2, 1, 2, channels=(8, 8)).build()
    block = net.encoder.stages[0].block[0]
    x = torch.randn(1, 8, 6, 6)
    assert torch.equal(block(x), functional.leaky_relu(x, 0.01))


def test_residual_encoder_counts_blocks_and_shortcuts_as_resnet_d():
    spec = build_spec("nnunet_residual_m", 3, 1, 2)
    assert spec.blocks_encoder == (1, 3, 4, 6, 6, 6)
    with torch.device("meta"):
        stages = spec.build().encoder.stages
    first, wider = stages[4].block[0].shortcut, stages[5].block[0].shortcut
    assert [type(layer).__name__ for layer in first] == ["AvgPool3d", "Unit"]
    assert [type(layer).__name__ for layer in wider] == ["AvgPool3d"]  # 320 to 320 channels: nothing to project
    assert len(stages[5].block[1].shortcut) == 0
