"""Cross-entropy, for classes and for regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ..core.errors import ConfigError
from .loss import counted, has_regions, losses
from .options import PerClass, Share, Weight


def surprise(logits: Tensor, target: Tensor, smoothing: float = 0.0, classes: Tensor | None = None) -> Tensor:
    """-log p of the target at each entry of it, float32; of class targets, times the weight of the class.

    Args:
        logits: (B, C, *S).
        target: Class indices (B, *S) or masks (B, C, *S); what stands at ignored entries means nothing.
        smoothing: Share of the target spread evenly over the classes.
        classes: Weight of each class of class targets, (C,).
    """
    if has_regions(logits, target):
        smoothed = target.clamp(min=0).float() * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits.float(), smoothed, reduction="none")
    return functional.cross_entropy(logits.float(), target, classes, None, -1, None, "none", smoothing)


def mean_of(terms: Tensor, counts: Tensor) -> Tensor:
    """The weighted mean; 0 when nothing counts."""
    return (terms * counts).sum() / counts.sum().clamp(min=1e-8)


def for_channels(weights: Sequence[float], logits: Tensor, name: str) -> Tensor:
    """Weights of the channels on the device of the logits, (C,).

    Raises:
        ConfigError: When they are not as many.
    """
    if len(weights) != logits.shape[1]:
        raise ConfigError(f"{name} has {len(weights)} entries but the net has {logits.shape[1]} channels.")
    return torch.tensor(weights, dtype=torch.float32, device=logits.device)


@losses.register("cross_entropy", papers="ronneberger2015unet")
class CrossEntropy:
    """Cross-entropy of classes or regions, with weights of classes and of voxels.

    L = -sum_x w_x c_t log p_t / sum_x w_x c_t, with p_t the probability of the target at x, c_t its class's weight.

    Args:
        class_weights: Weight of each channel, background first for class targets; equal when empty.
        label_smoothing: Share of the target spread evenly over the classes.

    Reference:
        ronneberger2015unet (eq. 1, with voxel weights).
    """

    def __init__(
        self, class_weights: PerClass[Weight] = (), label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ) -> None:
        if class_weights and not any(class_weights):
            raise ConfigError("class_weights are all 0, so that nothing is learned.")
        self.class_weights, self.label_smoothing = tuple(class_weights), label_smoothing

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        counts = counted(target, weight)
        if not self.class_weights:
            return mean_of(surprise(logits, target, self.label_smoothing), counts)
        classes = for_channels(self.class_weights, logits, "class_weights")
        if has_regions(logits, target):
            counts = counts * classes.view(-1, *[1] * (target.ndim - 2))
            return mean_of(surprise(logits, target, self.label_smoothing), counts)
        # torch weighs the terms of a smoothed target by class, but its mean by the target's class alone
        terms = surprise(logits, target, self.label_smoothing, classes)
        return (terms * counts).sum() / (counts * classes[target.clamp(min=0)]).sum().clamp(min=1e-8)


@losses.register("focal", papers="lin2017focal")
class Focal:
    """Cross-entropy that hardly counts voxels that are nearly right; power 0 is plain cross-entropy.

    L = -mean alpha_t (1 - p_t)^power log p_t, with p_t the probability of the target, alpha_t its class's weight.

    Args:
        power: How little, gamma.
        alpha: Of class targets the weight of each class, background first; of regions the weight of each structure's
            voxels, which leaves 1 - alpha for the others. All the same when empty.

    Reference:
        lin2017focal, equations 4 and 5.
    """

    def __init__(self, power: Weight = 2.0, alpha: PerClass[Share] = ()) -> None:
        if alpha and not any(alpha):
            raise ConfigError("alpha is 0 for every class, so that nothing is learned.")
        self.power, self.alpha = power, tuple(alpha)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean of the focused terms; 0 when no voxel is annotated."""
        terms = surprise(logits, target)
        doubt = (1 - (-terms).exp()).clamp(min=1e-8)  # a power below one has no gradient at zero
        focused = doubt**self.power * terms
        if self.alpha:
            focused = focused * self._weights(logits, target)
        return mean_of(focused, counted(target, weight))

    def _weights(self, logits: Tensor, target: Tensor) -> Tensor:
        """alpha_t at each entry of the target."""
        alpha = for_channels(self.alpha, logits, "alpha")
        if not has_regions(logits, target):
            return alpha[target.clamp(min=0)]
        alpha = alpha.view(-1, *[1] * (target.ndim - 2))
        return torch.where(target > 0, alpha, 1 - alpha)


@losses.register("top_k", papers="wu2016bridging")
class TopK:
    """Cross-entropy of the worst answered share of voxels.

    L = -(1 / K) sum log p_t, over the K = share N voxels whose target has the least probability p_t.

    Reference:
        wu2016bridging, section 3.3.
    """

    def __init__(self, share: Annotated[float, Field(gt=0, le=1)] = 0.1) -> None:
        self.share = share

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean of the worst terms; 0 when no voxel is annotated."""
        terms, counts = surprise(logits, target).flatten(), counted(target, weight).flatten()
        known = counts > 0
        terms, counts = terms[known], counts[known]
        worst = terms.topk(max(1, round(self.share * len(terms))) if len(terms) else 0).indices
        return mean_of(terms[worst], counts[worst]) + 0 * terms.sum()
