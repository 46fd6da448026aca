"""What every critic on the shelf keeps to, in 2D and in 3D, and what makes each of them itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hyoid.core.citations import cite
from hyoid.core.errors import ConfigError
from hyoid.nets.critics import critics

EVERY = [(name, dims) for name in critics for dims in (2, 3) if (name, dims) != ("projective", 2)]
every_critic = pytest.mark.parametrize(("name", "dims"), EVERY, ids=[f"{name}-{dims}d" for name, dims in EVERY])


def built(name: str, dims: int):
    torch.manual_seed(0)
    options = {"each": {"name": "patch", "width": 4}} if name == "projective" else {"width": 4}
    return critics.build(name, dims=dims, in_channels=2, **options)


@every_critic
def test_gives_a_score_and_features_with_gradients(name, dims):
    critic = built(name, dims)
    x = torch.randn(2, 2, *[48 if dims == 2 else 32] * dims, requires_grad=True)
    judged = critic(x)
    assert judged.score.shape[:2] == (2, 1) and judged.score.isfinite().all()
    assert len(judged.features) >= 2 and all(len(f) == 2 for f in judged.features)
    judged.score.sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in critic.parameters())


@every_critic
def test_learns_to_tell_smooth_from_rough(name, dims):
    critic = built(name, dims)
    optimiser = torch.optim.Adam(critic.parameters(), 5e-3)
    size = [32] * dims
    for _ in range(25):
        rough = 0.1 * torch.rand(2, 2, *size)
        optimiser.zero_grad()
        smooth, rough = critic(torch.cat((torch.full_like(rough, 0.05), rough))).score.split(2)
        value = functional.softplus(-smooth).mean() + functional.softplus(rough).mean()
        value.backward()
        optimiser.step()
    assert value < 1.3  # two guesses cost 2 log 2 = 1.386


@pytest.mark.parametrize("name", critics)
def test_papers_and_summary_are_known(name):
    assert cite(critics[name].papers)
    assert critics[name].summary


def test_patch_critic_is_that_of_70_voxels_with_the_published_parameters():
    critic = critics.build("patch", dims=2, in_channels=6)
    assert sum(p.numel() for p in critic.parameters()) == 2_768_705
    x = torch.randn(1, 6, 256, 256, requires_grad=True)
    score = critic.eval()(x).score
    assert score.shape == (1, 1, 30, 30)
    (gradient,) = torch.autograd.grad(score[0, 0, 15, 15], x)
    seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
    assert seen[-1] - seen[0] + 1 == 70


def test_pixel_critic_sees_one_voxel():
    critic = built("pixel", 2).eval()
    x = torch.randn(1, 2, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(x).score[0, 0, 3, 3], x)
    assert gradient.abs().sum((0, 1)).nonzero().tolist() == [[3, 3]]


def test_image_critic_gives_one_score_for_any_size():
    critic = built("image", 2).eval()
    assert critic(torch.randn(3, 2, 40, 64)).score.shape == (3, 1)


def test_multi_scale_features_hold_the_input_itself():
    x = torch.randn(1, 2, 32, 32)
    judged = built("multi_scale", 2)(x)
    assert torch.equal(judged.features[0], x)
    assert [f.shape[-1] for f in judged.features] == [32, 16, 8, 4]


def test_projection_is_near_one_where_the_volume_holds_anything():
    critic = built("projective", 3).eval()
    seen = []
    critic.critic.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.zeros(1, 2, 32, 32, 32)
    x[:, :, 3:9, 5, 6] = 1
    critic(x)
    assert seen[0].shape == (1, 2, 32, 32)
    assert seen[0][0, 0, 5, 6].item() == pytest.approx(1 - 2.718281828**-6)
    assert seen[0].count_nonzero() == 2


def test_projection_needs_a_volume():
    with pytest.raises(ConfigError, match="needs 3D"):
        critics.build("projective", dims=2, in_channels=1)


def test_projection_of_a_dark_volume_is_nothing():
    critic = built("projective", 3).eval()
    assert critic(torch.full((1, 2, 128, 32, 32), -1.0)).score.isfinite().all()
