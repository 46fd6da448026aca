"""What every loss on the shelf keeps to, for class indices and for region masks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hyoid.core.citations import cite
from hyoid.losses import DeepSupervision, losses

CHANNELS = 3
every_loss = pytest.mark.parametrize("name", losses)
both_kinds = pytest.mark.parametrize("kind", ["classes", "regions"])
dimensions = pytest.mark.parametrize("shape", [(6, 7), (4, 5, 6)], ids=["2d", "3d"])


def targets(kind: str, shape=(6, 7), ignored: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if kind == "classes":
        target = torch.randint(0, CHANNELS, (2, *shape), generator=generator)
    else:
        target = torch.randint(0, 2, (2, CHANNELS, *shape), generator=generator).float()
    if ignored:
        target[..., :2, :] = -1
    return target


def logits_like(kind: str, target: Tensor) -> Tensor:
    shape = target.shape[1:] if kind == "classes" else target.shape[2:]
    return torch.randn(2, CHANNELS, *shape, generator=torch.Generator().manual_seed(1))


def confident(kind: str, target: Tensor, strength: float = 20.0) -> Tensor:
    """Logits that are sure of the target."""
    masks = target.clamp(min=0)
    if kind == "classes":
        masks = torch.nn.functional.one_hot(masks, CHANNELS).movedim(-1, 1).float()
    return strength * (2 * masks - 1)


@every_loss
@both_kinds
@dimensions
def test_is_a_scalar_with_a_finite_gradient(name, kind, shape):
    target = targets(kind, shape)
    logits = logits_like(kind, target).requires_grad_()
    loss = losses.build(name)(logits, target)
    loss.backward()
    assert loss.shape == () and loss.isfinite() and loss > 0
    assert logits.grad.isfinite().all() and logits.grad.any()


@every_loss
@both_kinds
def test_perfect_prediction_is_near_the_minimum(name, kind):
    target, loss = targets(kind), losses.build(name)
    best = loss(confident(kind, target), target)
    assert abs(best) < 0.01
    assert loss(logits_like(kind, target), target) > best + 0.1
    assert loss(-confident(kind, target), target) > best + 0.3


@every_loss
@both_kinds
def test_ignored_voxels_do_not_matter(name, kind):
    target, loss = targets(kind), losses.build(name)
    logits = logits_like(kind, target)
    other = logits.clone()
    other[..., :2, :] = 5.0
    torch.testing.assert_close(loss(logits, target), loss(other, target))
    logits.requires_grad_()
    loss(logits, target).backward()
    assert not logits.grad[..., :2, :].any()


@every_loss
@both_kinds
def test_weight_of_zero_is_the_same_as_ignored(name, kind):
    target, whole, loss = targets(kind), targets(kind, ignored=False), losses.build(name)
    logits = logits_like(kind, target)
    weight = torch.ones(2, 6, 7)
    weight[:, :2] = 0
    torch.testing.assert_close(loss(logits, whole, weight), loss(logits, target))
    torch.testing.assert_close(loss(logits, whole, 3 * weight), loss(logits, target))


@every_loss
@both_kinds
def test_without_any_annotated_voxel_the_loss_is_zero_and_teaches_nothing(name, kind):
    target = torch.full_like(targets(kind), -1)
    logits = logits_like(kind, target).requires_grad_()
    loss = losses.build(name)(logits, target)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


@every_loss
@both_kinds
def test_foreground_everywhere_on_an_empty_mask_is_unlearned(name, kind):
    """The gradient does not vanish: it pushes every wrong voxel down, if the loss looks at all of them."""
    target = torch.zeros_like(targets(kind))
    logits = torch.full((2, CHANNELS, 6, 7), 1.0)
    if kind == "classes":
        logits[:, 0] = -1.0
    logits.requires_grad_()
    loss = losses.build(name, **({"share": 1.0} if name == "top_k" else {}))(logits, target)
    loss.backward()
    assert loss > 0.3
    assert (logits.grad[:, 1:] > 0.01 / target.numel()).all()


@every_loss
@both_kinds
@pytest.mark.parametrize("scale", [0.0, 1e4], ids=["zeros", "large"])
def test_stays_finite(name, kind, scale):
    target = targets(kind)
    logits = (scale * logits_like(kind, target)).requires_grad_()
    loss = losses.build(name)(logits, target)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@every_loss
@both_kinds
def test_bfloat16_logits_are_judged_in_float32(name, kind):
    target, loss = targets(kind), losses.build(name)
    logits = logits_like(kind, target).bfloat16()
    judged = loss(logits, target)
    assert judged.dtype == torch.float32
    assert torch.equal(judged, loss(logits.float(), target))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(logits, target), judged)


@every_loss
@both_kinds
def test_every_level_of_a_deeply_supervised_net_is_judged(name, kind):
    target, loss = targets(kind, (8, 8)), losses.build(name)
    levels = [torch.randn(2, CHANNELS, n, n, requires_grad=True) for n in (8, 4, 2)]
    DeepSupervision(loss)(levels, target, torch.ones(2, 8, 8)).backward()
    assert all(level.grad.any() for level in levels)


@every_loss
def test_summary_and_papers_are_known(name):
    assert losses[name].summary
    cite(losses[name].papers)
