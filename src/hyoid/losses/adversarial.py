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


@games.register("entropy", papers="goodfellow2014generative")
class Entropy:
    """Cross-entropy of the critic's logits.

    L_critic = mean -log D(x) - log(1 - D(y)), L_net = mean -log D(y), of real images x and made images y.

    Reference:
        goodfellow2014generative, equation 1 and section 3 (the net's loss does not saturate).
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        return functional.softplus(-real.float()).mean() + functional.softplus(made.float()).mean()

    def net(self, made: Tensor) -> Tensor:
        return functional.softplus(-made.float()).mean()


@games.register("least_squares", papers="mao2017least")
class LeastSquares:
    """Squared distance of scores from 1 and 0.

    L_critic = mean (D(x) - 1)^2 / 2 + D(y)^2 / 2, L_net = mean (D(y) - 1)^2 / 2.

    Reference:
        mao2017least, equation 9.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        return ((real.float() - 1).square().mean() + made.float().square().mean()) / 2

    def net(self, made: Tensor) -> Tensor:
        return (made.float() - 1).square().mean() / 2


@games.register("hinge", papers="lim2017geometric")
class Hinge:
    """Scores within a margin of one.

    L_critic = mean max(0, 1 - D(x)) + max(0, 1 + D(y)), L_net = -mean D(y).
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        return (1 - real.float()).clamp(min=0).mean() + (1 + made.float()).clamp(min=0).mean()

    def net(self, made: Tensor) -> Tensor:
        return -made.float().mean()


@games.register("wasserstein", papers=("arjovsky2017wasserstein", "gulrajani2017improved"))
class Wasserstein:
    """Difference of mean scores.

    L_critic = mean D(y) - mean D(x), L_net = -mean D(y).

    Reference:
        arjovsky2017wasserstein, equation 3; the critic has to be smooth, so add `gradient_penalty` to its loss.
    """

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        return made.float().mean() - real.float().mean()

    def net(self, made: Tensor) -> Tensor:
        return -made.float().mean()


@games.register("energy", papers="zhao2017energy")
class Energy:
    """Energies below or above a margin.

    L_critic = mean D(x) + max(0, margin - D(y)), L_net = mean D(y).

    Reference:
        zhao2017energy, equations 1 and 2; an energy is such as the error of an autoencoder.
    """

    def __init__(self, margin: Positive = 1.0) -> None:
        self.margin = margin

    def critic(self, real: Tensor, made: Tensor) -> Tensor:
        return real.float().mean() + (self.margin - made.float()).clamp(min=0).mean()

    def net(self, made: Tensor) -> Tensor:
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


class FeatureLoss(Protocol):
    """Compares two lists of features."""

    def __call__(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        """A scalar with a gradient."""


feature_losses: Registry[FeatureLoss] = Registry("feature loss")


@feature_losses.register("multi_scale_l1", papers="xue2018segan")
class MultiScaleL1:
    """Absolute difference of features of every scale: what SegAN's net lowers and its critic raises.

    L = mean over scales of mean |f(x) - f(y)| (equation 2).
    """

    def __call__(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        terms = [(ours.float() - theirs.float()).abs().mean() for ours, theirs in zip(found, wanted, strict=True)]
        return torch.stack(terms).mean()


@feature_losses.register("feature_matching", papers="salimans2016improved")
class FeatureMatching:
    """Squared distance of the batches' mean features, which does not ask for pairs.

    L = |mean f(x) - mean f(y)|^2 (section 3.1).
    """

    def __call__(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        apart = [ours.float().mean(0) - theirs.float().mean(0) for ours, theirs in zip(found, wanted, strict=True)]
        return torch.stack([difference.square().mean() for difference in apart]).mean()
