"""The largest and smallest of neighbours, against pooling and SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from hyoid.ops.neighbours import eroded, widened

shapes = pytest.mark.parametrize("shape", [(7, 9), (5, 6, 7), (1, 4), (3, 1, 1)])


def values(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))


@shapes
def test_values_are_those_of_scipy(shape):
    given = values(shape)
    cross = ndimage.generate_binary_structure(len(shape), 1)
    for image, wide, thin in zip(
        given.flatten(0, 1), widened(given).flatten(0, 1), eroded(given).flatten(0, 1), strict=True
    ):
        assert (ndimage.maximum_filter(image.numpy(), 3, mode="nearest") == wide.numpy()).all()
        assert (ndimage.minimum_filter(image.numpy(), footprint=cross, mode="nearest") == thin.numpy()).all()


@shapes
def test_gradients_are_those_of_pooling(shape):
    pool = functional.max_pool2d if len(shape) == 2 else functional.max_pool3d
    given, weights = values(shape).requires_grad_(), torch.rand(2, 3, *shape)
    [ours] = torch.autograd.grad((widened(given) * weights).sum(), given)
    [theirs] = torch.autograd.grad((pool(given, 3, 1, 1) * weights).sum(), given)
    torch.testing.assert_close(ours, theirs)
    least = torch.stack([-pool(-given, window, 1, [side // 2 for side in window]) for window in crosses(shape)])
    [ours] = torch.autograd.grad((eroded(given) * weights).sum(), given)
    [theirs] = torch.autograd.grad((least.min(0).values * weights).sum(), given)
    assert torch.equal(ours > 0, theirs > 0)
    torch.testing.assert_close(ours.sum(), weights.sum())


def crosses(shape: tuple[int, ...]) -> list[list[int]]:
    """A window of 3 along each axis."""
    return [[3 if axis == other else 1 for other in range(len(shape))] for axis in range(len(shape))]


def test_a_gradient_goes_to_one_of_equal_voxels():
    flat = torch.ones(1, 1, 4, 5, requires_grad=True)
    for operation in (widened, eroded):
        [gradient] = torch.autograd.grad(operation(flat).sum(), flat)
        assert gradient.sum() == 20
