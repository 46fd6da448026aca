"""Games of net and critic, by hand; and features."""

from __future__ import annotations

import math

import pytest
import torch

from hyoid.losses import feature_losses, games
from hyoid.losses.adversarial import gradient_penalty

REAL, MADE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 0.5])


def log_one_plus(value: float) -> float:
    return math.log1p(math.exp(value))


@pytest.mark.parametrize(
    ("name", "critic", "net"),
    [
        (
            "entropy",
            (log_one_plus(-2) + log_one_plus(0) + log_one_plus(-1) + log_one_plus(0.5)) / 2,
            (log_one_plus(1) + log_one_plus(-0.5)) / 2,
        ),
        ("least_squares", ((1 + 1) / 2 + (1 + 0.25) / 2) / 2, (4 + 0.25) / 2 / 2),
        ("hinge", (0 + 1) / 2 + (0 + 1.5) / 2, 0.25),
        ("wasserstein", -0.25 - 1.0, 0.25),
        ("energy", 1.0 + (2 + 0.5) / 2, -0.25),
    ],
)
def test_games_by_hand(name, critic, net):
    game = games.build(name)
    assert game.critic(REAL, MADE).item() == pytest.approx(critic)
    assert game.net(MADE).item() == pytest.approx(net)


@pytest.mark.parametrize("name", games)
def test_net_and_critic_pull_in_opposite_directions(name):
    made = torch.zeros(3, 1, 4, 4, requires_grad=True)
    game = games.build(name)
    [critic] = torch.autograd.grad(game.critic(torch.ones(3, 1, 4, 4), made + 0.1), made)
    [net] = torch.autograd.grad(game.net(made + 0.1), made)
    assert (critic * net < 0).all()
    assert games[name].papers and games[name].summary


def test_gradient_penalty_by_hand():
    real, made = torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    slope = torch.full((1, 3, 3), 2.0, requires_grad=True)
    critic = lambda image: (image * slope).flatten(1).sum(1)  # noqa: E731
    penalty = gradient_penalty(critic, real, made, torch.tensor([0.3, 0.8]))
    assert penalty.item() == pytest.approx((6 - 1) ** 2)  # length of nine slopes of two
    penalty.backward()
    assert (slope.grad > 0).all()
    square = lambda image: image.flatten(1).square().sum(1) / 2  # noqa: E731  (its slope is the image itself)
    parts = torch.tensor([0.3, 0.8])
    expected = ((3 * parts - 1) ** 2).mean()
    torch.testing.assert_close(gradient_penalty(square, real, made, parts), expected)


def test_features_by_hand():
    found = [torch.tensor([[1.0, 3.0], [1.0, 1.0]]), torch.tensor([[4.0], [0.0]])]
    wanted = [torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[1.0], [1.0]])]
    assert feature_losses.build("multi_scale_l1")(found, wanted).item() == pytest.approx(
        ((1 + 3 + 1 + 1) / 4 + 4 / 2) / 2
    )
    assert feature_losses.build("feature_matching")(found, wanted).item() == pytest.approx(((0 + 4) / 2 + 1) / 2)
