"""Losses of boundaries against MONAI, against brute force, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.losses import losses
from hyoid.losses.boundary import (
    Boundary,
    Edges,
    GeneralisedSurface,
    HausdorffTransform,
    StarShape,
    signed_distances,
    sobel,
)


def regions(shape=(9, 10), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(2, 1, *shape)
    target[0, 0, 2:6, 3:8] = 1
    target[1, 0, 4:, :4] = 1
    return torch.randn(2, 1, *shape, generator=generator), target


def test_signed_distances_by_brute_force():
    _, target = regions()
    found = signed_distances(target, (2.0, 1.0))
    points = np.argwhere(np.ones((9, 10))) * (2.0, 1.0)
    for sample in range(2):
        inside = target[sample, 0].numpy().ravel() > 0
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        expected = np.where(inside, -np.where(~inside, apart, np.inf).min(1), np.where(inside, apart, np.inf).min(1))
        expected -= 0.5 * np.sign(expected)
        np.testing.assert_allclose(found[sample, 0].numpy().ravel(), expected, rtol=1e-6)


def test_boundary_is_the_mean_distance_of_wrong_voxels():
    target = torch.zeros(1, 1, 1, 8)
    target[..., :4] = 1
    logits = torch.full((1, 1, 1, 8), 40.0)
    logits[..., 6:] = -40.0  # voxels 4 and 5 are said to be inside: 0.5 and 1.5 from the surface
    assert Boundary()(logits, target).item() == pytest.approx((0.5 + 1.5) / 8)
    assert Boundary((1.0, 3.0))(logits, target).item() == pytest.approx((2.5 + 5.5) / 8)


def test_boundary_has_the_gradient_of_the_published_form():
    logits, target = regions()
    logits.requires_grad_()
    [ours] = torch.autograd.grad(Boundary()(logits, target), logits)
    [theirs] = torch.autograd.grad((signed_distances(target) * logits.sigmoid()).mean(), logits)
    torch.testing.assert_close(ours, theirs)


def test_hausdorff_equals_monai_up_to_where_the_surface_lies():
    from monai.losses import HausdorffDTLoss

    logits, target = regions()
    expected = HausdorffDTLoss(sigmoid=True, alpha=1.0, include_background=True)(logits, target)
    found = HausdorffTransform(power=1.0)(logits, target)
    wrong = (logits.sigmoid() - target).square().mean()  # their surfaces lie on voxels, ours half a voxel before
    torch.testing.assert_close(found + wrong, expected)


def test_generalised_surface_by_hand():
    target = torch.tensor([[[[1.0, 1, 0, 0]]]])
    assert GeneralisedSurface()(torch.zeros(1, 1, 1, 4), target).item() == pytest.approx(1 - 0.25)
    assert GeneralisedSurface()(40 * (1 - 2 * target), target).item() == pytest.approx(1)
    one_wrong = torch.tensor([[[[40.0, 40, 40, -40]]]])  # squared distances 2.25, 0.25, 0.25, 2.25
    assert GeneralisedSurface()(one_wrong, target).item() == pytest.approx(0.25 / 5)


def test_sobel_equals_scipy():
    from scipy import ndimage

    values = torch.randn(1, 1, 5, 6, 7)
    for axis in range(3):
        expected = ndimage.sobel(values[0, 0].numpy(), axis, mode="nearest") / (2 * 4**2)
        np.testing.assert_allclose(sobel(values, axis + 2)[0, 0].numpy(), expected, atol=1e-6)
    assert Edges()(torch.full((1, 1, 4, 4), 3.0), torch.zeros(1, 1, 4, 4)).item() == pytest.approx(0, abs=1e-12)


def test_star_shape_by_walking_every_ray():
    logits, target = regions()
    said, truth, places = logits.sigmoid()[:, 0], target[:, 0], 3
    means = []
    for one, mask in zip(said, truth, strict=True):
        inside = [tuple(point.tolist()) for point in mask.nonzero()]
        middle = torch.tensor(inside, dtype=torch.float32).mean(0)
        total = 0.0
        for point in inside:
            for step in range(1, places + 1):
                away = torch.tensor(point, dtype=torch.float32)
                way = step / (places + 1) * (middle - away)
                nearer = tuple((away + way.sign() * (way.abs() + 0.5).floor()).long().tolist())
                total += (abs(1 - one[point]) * abs(one[point] - one[nearer]) * mask[nearer]).item()
        means.append(total / places / len(inside))
    assert StarShape(places)(logits, target).item() == pytest.approx(sum(means) / 2, rel=1e-5)
    assert StarShape()(40 * (2 * target - 1), target) < 1e-6


@pytest.mark.parametrize("name", ["boundary", "hausdorff_dt", "generalised_surface", "edge", "star_shape"])
def test_rows_are_dice_plus_their_term(name):
    logits, target = regions()
    terms = {
        "boundary": "boundary",
        "hausdorff_dt": "hausdorff",
        "generalised_surface": "surface",
        "star_shape": "star",
    }
    option = f"{terms.get(name, name)}_weight"
    plain = losses.build("dice")(logits, target)
    torch.testing.assert_close(losses.build(name, **{option: 0.0})(logits, target), plain)
    more = [losses.build(name, **{option: weight})(logits, target) - plain for weight in (1.0, 2.0)]
    torch.testing.assert_close(2 * more[0], more[1])
    assert more[0] > 0


def test_farther_mistakes_cost_more():
    target = torch.zeros(1, 1, 1, 16)
    target[..., :4] = 1
    for name in ("boundary", "hausdorff_dt", "generalised_surface"):
        costs = []
        for place in (5, 10, 15):
            logits = 40 * (2 * target - 1)
            logits[..., place] = 40.0
            costs.append(losses.build(name)(logits, target).item())
        assert costs == sorted(costs) and costs[0] < costs[2], name


def test_spacing_stretches_distances_and_must_fit_the_axes():
    logits, target = regions()
    for loss, power in ((Boundary, 1), (HausdorffTransform, 2), (GeneralisedSurface, 0)):
        thrice = loss(spacing=(3.0, 3.0))(logits, target)
        torch.testing.assert_close(thrice, 3**power * loss()(logits, target))
        assert loss(spacing=(1.0, 3.0))(logits, target) != loss()(logits, target)
    with pytest.raises(ConfigError, match="a length for each of 2 axes"):
        losses.build("boundary", spacing=(1.0, 1.0, 1.0))(logits, target)
    with pytest.raises(ConfigError, match="greater than 0"):
        losses.build("boundary", spacing=(1.0, 0.0))
    with pytest.raises(ConfigError, match="places = 0 does not fit"):
        losses.build("star_shape", places=0)


def test_a_structure_without_surface_is_left_to_dice():
    logits, target = regions()
    for empty in (torch.zeros_like(target), torch.ones_like(target)):
        assert not signed_distances(empty).any()
        for loss in (Boundary(), GeneralisedSurface()):
            assert loss(logits, empty) == 0
