"""Classic U-Nets: the 2.5D one against its two forms, the entrance of V-Net."""

from __future__ import annotations

import torch
from torch.nn import functional

from hyoid.nets import build_spec


def test_a_25d_net_on_a_volume_is_the_2d_net_on_stacks_of_slices():
    torch.manual_seed(0)
    volume_net = build_spec("unet_25d", 3, 2, 3, channels=(4, 6, 8)).build().eval()
    stack_net = build_spec("unet_25d", 2, 10, 3, channels=(4, 6, 8)).build().eval()
    weights = {}
    for (name, value), target in zip(volume_net.state_dict().items(), stack_net.state_dict().values(), strict=True):
        if name.startswith("encoder.stem") and value.ndim == 5:
            value = value.flatten(1, 2)
        weights[name] = value.reshape(target.shape)
    stack_net.load_state_dict(weights)
    volume = torch.randn(1, 2, 9, 16, 16)
    stack = volume[:, :, 2:7].flatten(1, 2)  # five slices around the fifth
    torch.testing.assert_close(volume_net(volume)[0][:, :, 4], stack_net(stack)[0], atol=1e-5, rtol=1e-5)


def test_the_entrance_of_vnet_adds_each_images_own_channels_in_turn():
    entrance = build_spec("vnet", 2, 3, 2, channels=(16, 32)).build().eval().encoder.stem
    torch.nn.init.zeros_(entrance.unit.conv.weight)
    images = torch.rand(2, 3, 8, 8)
    added = entrance(images)
    expected = torch.cat([images] * 6, 1)[:, :16]  # along channels; along the batch it would be another image
    bias = entrance.unit.conv.bias
    torch.testing.assert_close(added, entrance.act(expected + (0 if bias is None else bias.view(1, -1, 1, 1))))


def test_a_stage_of_vnet_adds_its_input_to_the_last_convolution_before_the_activation():
    torch.manual_seed(0)
    stage = build_spec("vnet", 2, 1, 2, channels=(4, 6), blocks_encoder=(0, 2)).build().encoder.stages[1].block
    x = torch.randn(1, 6, 7, 7)
    first, last = stage.units
    assert torch.equal(stage(x), functional.prelu(x, stage.act.weight))  # so it starts
    torch.nn.init.normal_(last.conv.weight)
    y = functional.conv2d(first(x), last.conv.weight, last.conv.bias, padding=2)
    torch.testing.assert_close(stage(x), functional.prelu(y + x, stage.act.weight))
    assert [type(layer).__name__ for layer in (*first, *last)] == ["Conv2d", "PReLU", "Conv2d"]
