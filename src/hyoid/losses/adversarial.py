"""Losses of a net and a critic that work against each other, and losses of the features a critic has seen.

A critic gives scores of real and of made images, of any shape; the two losses of a game say what each player wants of
them. Losses of features compare two lists of tensors, such as those a critic passes on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..core.registry import Registry
from .options import Positive


class Game(Protocol):
    """What net and critic want."""

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Loss of the critic, of its scores of real and of made images."""

    def net(self, made: Tensor) -> Tensor:
        """Loss of the net, of the critic's scores of what it made."""


games: Registry[Game] = Registry("adversarial loss", checked=True)


class Entropy:
    """The critic tells real from made by cross-entropy; the net wants its images to be called real.

    Critic: -log D(x) - log(1 - D(y)).  Net: -log D(y), which does not saturate.

    Reference:
        goodfellow2014generative, equation 1 and section 3.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Cross-entropy of logits."""
        return functional.softplus(-real.float()).mean() + functional.softplus(made.float()).mean()

    def net(self, made: Tensor) -> Tensor:
        """Cross-entropy against "real"."""
        return functional.softplus(-made.float()).mean()


class LeastSquares:
    """Scores are drawn to 1 for real and to 0 for made images; (D(x) - 1)^2 / 2 + D(y)^2 / 2.

    Reference:
        mao2017least, equation 9.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Half the mean squared distances from 1 and 0."""
        return ((real.float() - 1).square().mean() + made.float().square().mean()) / 2

    def net(self, made: Tensor) -> Tensor:
        """Half the mean squared distance from 1."""
        return (made.float() - 1).square().mean() / 2


class Hinge:
    """Scores beyond a margin of one do not matter; max(0, 1 - D(x)) + max(0, 1 + D(y)), and -D(y) for the net.

    Reference:
        lim2017geometric.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Mean excess over the margin on either side."""
        return (1 - real.float()).clamp(min=0).mean() + (1 + made.float()).clamp(min=0).mean()

    def net(self, made: Tensor) -> Tensor:
        """Minus the mean score."""
        return -made.float().mean()


class Wasserstein:
    """Distance of two distributions: the critic pulls mean scores apart; D(y) - D(x), and -D(y) for the net.

    The critic has to be smooth; add `gradient_penalty` to its loss.

    Reference:
        arjovsky2017wasserstein, equation 3.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Mean score of made less that of real images."""
        return made.float().mean() - real.float().mean()

    def net(self, made: Tensor) -> Tensor:
        """Minus the mean score."""
        return -made.float().mean()


class Energy:
    """Scores are energies, such as errors of an autoencoder: low for real images, at least a margin for made ones.

    Critic: D(x) + max(0, margin - D(y)).  Net: D(y).

    Reference:
        zhao2017energy, equations 1 and 2.
    """

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        """Energy of real images plus what is lacking to the margin."""
        return real.float().mean() + (self.margin - made.float()).clamp(min=0).mean()

    def net(self, made: Tensor) -> Tensor:
        """Mean energy."""
        return made.float().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """How far the critic's gradient between real and made images is from length one: mean (|grad D(z)| - 1)^2.

    Args:
        critic: Gives scores of images (B, C, *S).
        real: Images.
        made: Images of the same shape, without gradient.
        share: Of the real image in z = share x + (1 - share) y, one for each sample, (B,).

    Reference:
        gulrajani2017improved, equation 3.
    """
    part = share.view(-1, *[1] * (real.ndim - 1))
    between = (part * real + (1 - part) * made).detach().requires_grad_()
    [slope] = torch.autograd.grad(critic(between).float().sum(), between, create_graph=True)
    return (slope.float().flatten(1).norm(dim=1) - 1).square().mean()


@games.register("entropy", papers="goodfellow2014generative")
def entropy() -> Game:
    """Cross-entropy of the critic's logits.

    L_critic = mean -log D(x) - log(1 - D(y)), L_net = mean -log D(y), of real images x and made images y.
    """
    return Entropy()


@games.register("least_squares", papers="mao2017least")
def least_squares() -> Game:
    """Squared distance of scores from 1 and 0.

    L_critic = mean (D(x) - 1)^2 / 2 + D(y)^2 / 2, L_net = mean (D(y) - 1)^2 / 2.
    """
    return LeastSquares()


@games.register("hinge", papers="lim2017geometric")
def hinge() -> Game:
    """Scores within a margin of one.

    L_critic = mean max(0, 1 - D(x)) + max(0, 1 + D(y)), L_net = -mean D(y).
    """
    return Hinge()


@games.register("wasserstein", papers=("arjovsky2017wasserstein", "gulrajani2017improved"))
def wasserstein() -> Game:
    """Difference of mean scores.

    L_critic = mean D(y) - mean D(x), L_net = -mean D(y).
    """
    return Wasserstein()


@games.register("energy", papers="zhao2017energy")
def energy(margin: Positive = 1.0) -> Game:
    """Energies below or above a margin.

    L_critic = mean D(x) + max(0, margin - D(y)), L_net = mean D(y).
    """
    return Energy(margin)


class FeatureLoss(Protocol):
    """Compares two lists of features."""

    def __call__(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        """A scalar with a gradient."""


feature_losses: Registry[FeatureLoss] = Registry("feature loss")


def multi_scale_distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference on each scale, averaged over scales."""
    terms = [(ours.float() - theirs.float()).abs().mean() for ours, theirs in zip(found, wanted, strict=True)]
    return torch.stack(terms).mean()


def matched_means(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Squared distance of the mean features of two batches, averaged over scales."""
    terms = [
        (ours.float().mean(0) - theirs.float().mean(0)).square().mean()
        for ours, theirs in zip(found, wanted, strict=True)
    ]
    return torch.stack(terms).mean()


@feature_losses.register("multi_scale_l1", papers="xue2018segan")
def multi_scale_l1() -> FeatureLoss:
    """Absolute difference of features of every scale: what SegAN's net lowers and its critic raises.

    L = mean over scales of mean |f(x) - f(y)| (equation 2).
    """
    return multi_scale_distance


@feature_losses.register("feature_matching", papers="salimans2016improved")
def feature_matching() -> FeatureLoss:
    """Squared distance of the batches' mean features, which does not ask for pairs.

    L = |mean f(x) - mean f(y)|^2 (section 3.1).
    """
    return matched_means
