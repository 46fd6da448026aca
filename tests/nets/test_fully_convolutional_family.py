"""Fully convolutional nets: published counts, and what makes each of them itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.cost import cost
from hyoid.nets.family.fully_convolutional import BilinearUp, unpool
from oracles import count


@pytest.mark.parametrize(
    ("name", "published"),
    [("fcn_32s", 136_152_917), ("fcn_16s", 134_815_994), ("fcn_8s", 134_489_759), ("segnet", 29_455_125)],
)
def test_parameters_are_those_of_the_layer_lists(name, published):
    assert count(name, 2, 3, 21) == published


@pytest.mark.parametrize(("name", "late"), [("fcn_32s", (19,)), ("fcn_16s", (5, 27)), ("fcn_8s", (5, 9, 31))])
def test_scores_are_cropped_by_the_numbers_of_the_published_files(name, late):
    spec = build_spec(name, 2, 1, 2, channels=(4,) * 5, classifier=4)
    assert (spec.pad, spec.late) == (100, late)
    assert spec.build().eval()(torch.randn(1, 1, 32, 64))[0].shape == (1, 2, 32, 64)
    with pytest.raises(ConfigError, match="too few zeros for 5 poolings"):
        build_spec(name, 2, 1, 2, pad=60)


def test_in_3d_the_classifier_does_not_hold_hundreds_of_millions():
    assert count("fcn_8s", 3, 1, 2) < 140e6


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("factor", [2, 4])
def test_scores_are_enlarged_linearly_at_first(dims, factor):
    up = BilinearUp(dims, 2, factor)
    up.initialise()
    x = torch.randn(1, 2, *[6] * dims)
    expected = functional.interpolate(x, scale_factor=factor, mode="bilinear" if dims == 2 else "trilinear")
    inner = (..., *[slice(factor, -factor)] * dims)
    assert torch.allclose(up(x)[inner], expected[inner], atol=1e-5)


def test_unpooled_values_lie_where_they_were_found():
    x = torch.randn(2, 3, 4, 6)
    pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
    back = unpool(pooled, indices)
    assert torch.equal(back, torch.where(back != 0, x, 0.0))
    assert (back != 0).sum() == pooled.numel()


def test_deepmedic_gives_9_voxels_from_57():
    """The paper's training segments: 25 voxels in the fine path and 19 in the coarse one, each 3 wide."""
    net = build_spec("deepmedic", 3, 1, 2).build()
    assert net.output_shape((57, 57, 57)) == (9, 9, 9)
    assert net.input_shape((9, 9, 9)) == (57, 57, 57)


def test_deepmedic_paths_lie_upon_one_another():
    """An answer depends on voxels around its own place, as far to one side as to the other."""
    net = build_spec("deepmedic", 2, 1, 1, channels=(3, 3), classifier=(4,)).build().double().eval()
    size = net.fitting_shape((20, 20))[0]
    x = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    start = (size - 2 * net.margin[0]) // 6 * 3  # the first voxel of a coarse cell
    answer = net(x)[0][0, 0, start : start + 3, start : start + 3].sum()
    (gradient,) = torch.autograd.grad(answer, x)
    seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
    assert seen[0] + seen[-1] == 2 * (net.margin[0] + start + 1)


def test_dilated_net_sees_67_voxels():
    assert cost(build_spec("dilated_fcn", 2, 1, 2), (16, 16)).receptive_field == (67, 67)


def test_more_scores_than_maps_are_refused():
    with pytest.raises(ConfigError, match="2 maps to score"):
        build_spec("fcn_8s", 2, 1, 2, channels=(8, 8))


def test_unpooling_puts_values_back_and_has_a_repeatable_form():
    x = torch.randn(2, 3, 6, 4)
    pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
    torch.use_deterministic_algorithms(True)
    try:
        back = unpool(pooled, indices)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(back, functional.max_unpool2d(pooled, indices, 2))
