"""Costs against hand counts, the published reference values and the truth of a real run."""

from __future__ import annotations

import pytest
import torch

from hyoid.nets import build_spec
from hyoid.nets.cost import cost, feature_map_size


@pytest.mark.parametrize(
    ("name", "changes", "published"),
    [
        ("nnunet_plain", {"deep_supervision": False}, 450_699_264),
        ("nnunet_plain", {}, 451_298_304),
        ("nnunet_residual_m", {}, 555_922_432),
    ],
)
def test_feature_map_size_is_that_of_nnunets_planner(name, changes, published):
    assert feature_map_size(build_spec(name, 3, 1, 2, **changes), (128, 128, 128)) == published


def test_feature_map_size_is_the_sum_of_all_convolution_outputs():
    spec = build_spec("unet", 2, 1, 3, channels=(4, 8, 16), strides=[[1, 1], [2, 1], [2, 2]])
    net, seen = spec.build(), []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(lambda module, inputs, out: seen.append(out.numel()))
    net(torch.randn(1, 1, 16, 24))
    assert feature_map_size(spec, (16, 24)) == sum(seen)


def test_flops_by_hand():
    spec = build_spec("unet", 2, 1, 2, channels=(4, 8), blocks_encoder=1, blocks_decoder=1)
    pairs = [(64, 1 * 4 * 9), (16, 4 * 8 * 9), (64, 8 * 4), (64, 8 * 4 * 9), (64, 4 * 2)]
    # a transposed convolution with kernel = stride multiplies every input by each of the kernel's 4 numbers
    assert cost(spec, (8, 8)).flops == 2 * sum(voxels * weights for voxels, weights in pairs)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize(("down", "up"), [("strided", "transposed"), ("average", "linear")])
def test_activation_values_are_what_autograd_keeps(norm, down, up):
    spec = build_spec("unet", 2, 1, 2, channels=(8, 16, 16), norm=norm, down=down, up=up)
    net, x = spec.build(), torch.randn(1, 1, 64, 64)
    known = {parameter.untyped_storage()._cdata for parameter in net.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage()._cdata not in known:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(x)
    truth = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 4
    assert cost(spec, (64, 64)).activation_values == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "padding"),
    [
        ({"down": "average"}, "valid"),
        ({"down": "strided"}, "same"),
        ({"down": "average", "up": "linear"}, "same"),
        ({"block": "residual"}, "same"),
        ({"block": "preactivated", "kernels": [[3, 1], [3, 3], [5, 3]]}, "same"),
    ],
)
def test_receptive_field_is_how_far_voxels_reach_on_average(changes, padding):
    """Every weight positive and no norm: what a logit sees is where its gradient is not zero.

    Voxels in different corners of a coarse cell may reach a little farther or less.
    """
    spec = build_spec("unet", 2, 1, 1, channels=(1, 1, 1), norm="none", act="none", padding=padding, **changes)
    net = spec.build().double()
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    shape = net.fitting_shape((140, 140))
    x = torch.zeros(1, 1, *shape, dtype=torch.double, requires_grad=True)
    (logits,) = net(x)
    centre = [n // 2 for n in logits.shape[2:]]
    reach = []
    for offset in range(8):
        i, j = (c + offset for c in centre)
        (gradient,) = torch.autograd.grad(logits[0, 0, i, j], x, retain_graph=True)
        where = gradient[0, 0].nonzero()
        reach.append((where.amax(0) - where.amin(0) + 1).tolist())
    assert cost(spec, shape).receptive_field == tuple(sum(axis) / len(axis) for axis in zip(*reach, strict=True))


def test_batch_norm_of_one_voxel_costs_as_in_a_step_of_several_samples():
    small, large = (cost(build_spec("ssnet", 2, 1, 2), (size, size)) for size in (32, 64))
    assert 0.2 < small.flops / large.flops < 0.3
