"""Cross-entropy, for classes and for regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import ConfigError
from .loss import Loss, counted, has_regions, losses


class CrossEntropy:
    """Mean over annotated voxels of the negative log probability of the target.

    Args:
        class_weights: Weight of each channel, background first for class targets; equal when empty.
        label_smoothing: Share of the target spread evenly over the classes.

    Reference:
        ronneberger2015unet (eq. 1, with voxel weights).
    """

    def __init__(self, class_weights: Sequence[float] = (), label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing is a share from 0 up to 1, got {label_smoothing}.")
        self.class_weights, self.label_smoothing = tuple(class_weights), label_smoothing

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        counts = counted(target, weight)
        classes = self._weights(logits)
        if has_regions(logits, target):
            smoothed = target.clamp(min=0) * (1 - self.label_smoothing) + self.label_smoothing / 2
            terms = functional.binary_cross_entropy_with_logits(logits.float(), smoothed.float(), reduction="none")
            if classes is not None:
                counts = counts * classes.view(-1, *[1] * (target.ndim - 2))
        else:
            # torch weighs the terms of a smoothed target by class, but its mean by the target's class alone
            terms = functional.cross_entropy(
                logits.float(), target, classes, None, -1, None, "none", self.label_smoothing
            )
            if classes is not None:
                return (terms * counts).sum() / (counts * classes[target.clamp(min=0)]).sum().clamp(min=1e-8)
        return self.mean(terms, counts)

    def mean(self, terms: Tensor, counts: Tensor) -> Tensor:
        """What is made of the negative log probability of each entry and of how much it counts."""
        return (terms * counts).sum() / counts.sum().clamp(min=1e-8)

    def _weights(self, logits: Tensor) -> Tensor | None:
        if not self.class_weights:
            return None
        if len(self.class_weights) != logits.shape[1]:
            raise ConfigError(
                f"class_weights has {len(self.class_weights)} entries but the net has {logits.shape[1]} channels."
            )
        return torch.tensor(self.class_weights, device=logits.device)


@losses.register("cross_entropy", papers="ronneberger2015unet")
def cross_entropy(class_weights: Sequence[float] = (), label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of classes or regions, with weights of classes and of voxels."""
    return CrossEntropy(class_weights, label_smoothing)


class Focal(CrossEntropy):
    """Cross-entropy in which voxels that are nearly right count little: (1 - p)^power times -log p.

    Reference:
        lin2017focal, equation 4.
    """

    def __init__(self, power: float = 2.0) -> None:
        super().__init__()
        self.power = power

    def mean(self, terms: Tensor, counts: Tensor) -> Tensor:
        """The mean of the focused terms."""
        doubt = (1 - (-terms).exp()).clamp(min=1e-8)  # a power below one has no gradient at zero
        return super().mean(doubt**self.power * terms, counts)


class TopK(CrossEntropy):
    """Cross-entropy of the share of entries that are worst answered.

    Reference:
        wu2016bridging, section 3.3.
    """

    def __init__(self, share: float = 0.1) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ConfigError(f"The share of the worst voxels lies above 0 and up to 1, got {share}.")
        self.share = share

    def mean(self, terms: Tensor, counts: Tensor) -> Tensor:
        """The mean of the worst terms."""
        known = counts.flatten() > 0
        terms, counts = terms.flatten()[known], counts.flatten()[known]
        worst = terms.topk(max(1, round(self.share * len(terms))) if len(terms) else 0).indices
        return super().mean(terms[worst], counts[worst]) + 0 * terms.sum()


@losses.register("focal", papers="lin2017focal")
def focal(power: float = 2.0) -> Loss:
    """Cross-entropy that hardly counts voxels that are nearly right; power 0 is plain cross-entropy."""
    return Focal(power)


@losses.register("top_k", papers="wu2016bridging")
def top_k(share: float = 0.1) -> Loss:
    """Cross-entropy of the worst answered share of voxels."""
    return TopK(share)
