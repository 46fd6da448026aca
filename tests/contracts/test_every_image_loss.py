"""What every loss of images keeps to."""

from __future__ import annotations

import pytest
import torch

from hyoid.core.citations import cite
from hyoid.losses import image_losses

every_loss = pytest.mark.parametrize("name", image_losses)
dimensions = pytest.mark.parametrize("shape", [(2, 1, 12, 14), (1, 2, 8, 9, 10)], ids=["2d", "3d"])


def pair(shape):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator), torch.rand(*shape, generator=generator)


@every_loss
@dimensions
def test_equal_images_are_best_and_the_gradient_leads_there(name, shape):
    ours, theirs = pair(shape)
    loss = image_losses.build(name)
    best, far = loss(theirs, theirs), loss(ours, theirs)
    assert best.shape == () and best < far
    if name != "mutual_information":
        assert best == pytest.approx(0, abs=2e-3)
    moving = ours.clone().requires_grad_()
    [slope] = torch.autograd.grad(loss(moving, theirs), moving)
    assert slope.isfinite().all() and slope.any()
    step = 1e-3 / slope.abs().max()
    assert loss(ours - step * slope, theirs) < far


@every_loss
def test_flat_images_give_no_nan(name):
    flat = torch.full((1, 1, 9, 9), 0.5, requires_grad=True)
    loss = image_losses.build(name)(flat, torch.full((1, 1, 9, 9), 0.5))
    loss.backward()
    assert loss.isfinite() and flat.grad.isfinite().all()


@every_loss
def test_bfloat16_images_are_judged_in_float32(name):
    ours, theirs = (image.bfloat16() for image in pair((1, 1, 12, 12)))
    loss = image_losses.build(name)
    assert loss(ours, theirs).dtype == torch.float32
    assert torch.equal(loss(ours, theirs), loss(ours.float(), theirs.float()))


@every_loss
def test_equal_weights_are_as_good_as_none(name):
    ours, theirs = pair((1, 2, 12, 12))
    loss = image_losses.build(name)
    torch.testing.assert_close(loss(ours, theirs, torch.full((1, 1, 12, 12), 2.5)), loss(ours, theirs))


@every_loss
def test_summary_and_papers_are_known(name):
    assert image_losses[name].summary
    cite(image_losses[name].papers)
