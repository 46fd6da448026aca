"""What holds for every loss of labels whatever the images. Sides are even, since `hybrid` halves them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from hyoid.losses import losses

BOUNDED = ("dice", "jaccard", "tversky", "generalised_dice", "focal_tversky")
BY_ORDER = ("skeleton_recall",)
"""A skeleton of noise depends on the order in which voxels that are equally deep are taken away."""
images = some.tuples(
    some.integers(0, 2**31), some.sampled_from(["classes", "regions"]), some.sampled_from([(6, 8), (4, 4, 6)])
)
few = settings(max_examples=6, deadline=None)


def drawn(seed: int, kind: str, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 3, *shape, generator=generator)
    size = (2, *shape) if kind == "classes" else (2, 3, *shape)
    target = torch.randint(-1, 3 if kind == "classes" else 2, size, generator=generator)
    weight = torch.rand(2, *shape, generator=generator)
    return logits, target if kind == "classes" else target.float(), weight


@pytest.mark.parametrize("name", losses)
@given(images)
@few
def test_left_is_as_good_as_right_and_no_axis_is_special(name, image):
    logits, target, weight = drawn(*image)
    loss = losses.build(name)
    value = loss(logits, target, weight)
    assert value.isfinite() and value >= 0
    if name in BY_ORDER:
        return
    for axis in range(1, logits.ndim - 1):
        flipped = [values.flip(axis - logits.ndim + 1) for values in (logits, target, weight)]
        torch.testing.assert_close(loss(*flipped), value, rtol=1e-4, atol=1e-5)
    turned = [values.transpose(-1, -2) for values in (logits, target, weight)]
    torch.testing.assert_close(loss(*turned), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", losses)
@given(images)
@few
def test_the_order_of_samples_does_not_matter(name, image):
    logits, target, weight = drawn(*image)
    loss = losses.build(name)
    torch.testing.assert_close(
        loss(logits.flip(0), target.flip(0), weight.flip(0)), loss(logits, target, weight), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", BOUNDED)
@given(images)
@few
def test_shares_lie_between_zero_and_one_when_every_structure_is_there(name, image):
    logits, target, _ = drawn(*image)
    target[..., 0, 0], target[..., 0, 1] = (1, 2) if target.ndim < logits.ndim else (1.0, 1.0)
    assert 0 <= losses.build(name)(logits, target) <= 1
