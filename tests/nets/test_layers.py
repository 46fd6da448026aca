"""Layers: units, norms and activations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError
from hyoid.nets.layers import GroupNorm, InstanceNorm, Style, Unit, channels_last, innermost

TORCH_INSTANCE = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
WEIGHT, BIAS = torch.tensor([1.0, 2.0, -1.0, 0.5]), torch.tensor([0.0, 1.0, 2.0, 3.0])


def contiguous(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", [channels_last, contiguous])
@pytest.mark.parametrize("gradient_layout", [channels_last, contiguous])
def test_instance_norm_and_its_gradient_equal_torchs_own_in_double(dims, batch, layout, gradient_layout):
    """In double precision and contiguous, since torch's gradient is wrong for one sample in channels-last."""
    ours, theirs = InstanceNorm(4), TORCH_INSTANCE[dims](4, affine=True).double()
    for norm in (ours, theirs):
        norm.weight.data.copy_(WEIGHT), norm.bias.data.copy_(BIAS)
    x = layout(torch.randn(batch, 4, *[5] * dims) * 3 + 7).requires_grad_()
    exact = x.detach().contiguous().double().requires_grad_()
    gradient = torch.randn(x.shape)
    output, expected = ours(x), theirs(exact)
    output.backward(gradient_layout(gradient))
    expected.backward(gradient.double())
    for one, other in [(output, expected), (x.grad, exact.grad), (ours.weight.grad, theirs.weight.grad)]:
        torch.testing.assert_close(one.double(), other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.bias.grad.double(), theirs.bias.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
def test_norms_keep_channels_last(norm):
    x = channels_last(torch.randn(2, 4, 6, 5))
    assert Style(2, norm=norm).norm_layer(4)(x).is_contiguous(memory_format=torch.channels_last)


def test_group_norm_equals_torchs_own():
    x = channels_last(torch.randn(2, 6, 5, 4))
    torch.testing.assert_close(Style(2, norm={"name": "group", "groups": 3}).norm_layer(6)(x), nn.GroupNorm(3, 6)(x))


def test_instance_norm_of_a_single_voxel_is_its_shift():
    norm = InstanceNorm(2)
    norm.bias.data = torch.tensor([3.0, -1.0])
    assert norm(torch.randn(1, 2, 1, 1)).flatten().tolist() == pytest.approx([3.0, -1.0], abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_stay_channels_last_through_a_convolution_with_plain_weights(channels):
    x = channels_last(torch.randn(2, channels, 8, 8))
    assert nn.Conv2d(channels, 6, 3)(x).is_contiguous(memory_format=torch.channels_last)


def names(order: str, **style) -> list[str]:
    return [name for name, _ in Unit(Style(2, **style), 4, 6, (3, 3), order=order).named_children()]


def test_unit_follows_its_order():
    assert names("CNA") == ["conv", "norm", "act"]
    assert names("NAC") == ["norm", "act", "conv"]
    assert names("CA", norm="none") == ["conv", "act"]
    assert names("CDNA", dropout=0.2) == ["conv", "dropout", "norm", "act"]
    assert names("CDNA") == ["conv", "norm", "act"]


def test_convolution_has_a_bias_only_where_no_norm_follows():
    def bias(order: str, norm: str) -> bool:
        return Unit(Style(2, norm=norm), 4, 6, (3, 3), order=order).conv.bias is not None

    assert not bias("CNA", "instance")
    assert bias("CNA", "none")
    assert bias("NAC", "instance")


def test_unit_that_activates_first_leaves_its_input_as_it_was():
    x = torch.full((1, 4, 3, 3), -2.0)
    Unit(Style(2, act="relu"), 4, 4, (3, 3), order="AC")(x)
    assert (x == -2).all()


def test_group_norm_takes_fewer_groups_where_channels_do_not_divide():
    assert Style(2, norm={"name": "group", "groups": 8}).norm_layer(12).num_groups == 6


def test_part_with_an_unknown_option_is_refused():
    with pytest.raises(ConfigError, match=r"norm 'group' has no option 'group'. Did you mean 'groups'\?"):
        Style(2, norm={"name": "group", "group": 4}).norm_layer(8)


def test_group_norm_of_one_channel_has_a_gradient_in_any_layout():
    norm = GroupNorm(1, 1)
    x = torch.randn(2, 1, 6, 6)
    norm(channels_last(x)).square().sum().backward()
    assert norm.weight.grad.isfinite().all() and norm.weight.grad.any()


def test_channels_lie_innermost_on_cpus_and_on_gpus_in_half_precision(monkeypatch):
    on = lambda name: SimpleNamespace(device=torch.device(name))  # noqa: E731
    assert innermost(on("cpu")) and not innermost(on("cuda")) and not innermost(on("mps"))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    assert innermost(on("cuda")) and not innermost(on("mps"))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not innermost(on("cuda")) and not innermost(on("cpu"))
