"""Losses made of losses: sums, and one for each level of a deeply supervised net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ..core.errors import ConfigError
from .entropy import CrossEntropy, Focal, mean_of, surprise
from .images import SCALES, StructuralSimilarity
from .loss import Loss, counted, has_regions, losses, tell
from .masks import structures
from .options import PerClass, Positive, Share, Weight
from .overlap import Overlap, log_dice


class Growing:
    """A loss whose weight rises in a straight line while the net learns; whole until it is told of progress.

    Args:
        loss: What grows.
        start: Share of it at the beginning.
    """

    def __init__(self, loss: Loss, start: float) -> None:
        self.loss, self.start, self.share = loss, start, 1.0

    def at(self, progress: float) -> None:
        """Take the weight for this progress, 0 to 1."""
        self.share = self.start + (1 - self.start) * progress

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The share of the loss."""
        return self.share * self.loss(logits, target, weight)


class WeightedSum:
    """A sum of losses with weights, of which one at least is more than 0."""

    def __init__(self, terms: Sequence[tuple[float, Loss]]) -> None:
        if not any(factor for factor, _ in terms):
            raise ConfigError("The weights of the terms of this loss are all 0, so that nothing is learned.")
        self.terms = tuple(terms)

    def at(self, progress: float) -> None:
        """Tell the terms."""
        for _, loss in self.terms:
            tell(loss, progress)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The sum."""
        values = [factor * loss(logits, target, weight) for factor, loss in self.terms]
        return torch.stack(values).sum()


@losses.register("dice_ce", papers="isensee2021nnunet")
def dice_ce(
    dice_weight: Weight = 1.0,
    entropy_weight: Weight = 1.0,
    class_weights: PerClass[Weight] = (),
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    batch: bool = False,
    squared: bool = False,
    background: bool = False,
    smooth: Weight = 1e-5,
) -> Loss:
    """Dice plus cross-entropy, for classes or regions.

    L = w_D (1 - D) - w_E mean log p_t, with D as in `dice` and p_t the probability of the target.
    """
    overlap = Overlap(0.5, 0.5, batch, squared, background, smooth)
    return WeightedSum([(dice_weight, overlap), (entropy_weight, CrossEntropy(class_weights, label_smoothing))])


class RareEntropy:
    """Each voxel's cross-entropy to a power, weighted by how rare its label is in the batch.

    The labels of a region are inside and outside.

    Reference:
        wong2018explog.
    """

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        terms, counts = surprise(logits, target), counted(target, weight)
        bent = (terms + 1e-8) ** self.power - 1e-8**self.power  # a power below one has no gradient at zero
        return mean_of(self.weights(target, counts, logits.shape[1]) * bent, counts)

    @staticmethod
    def weights(target: Tensor, counts: Tensor, channels: int) -> Tensor:
        """w_l at each entry of the target."""
        if target.dtype.is_floating_point:
            space = (0, *range(2, target.ndim))
            inside = (target.clamp(min=0) * counts).sum(space, keepdim=True)
            whole = counts.sum(space, keepdim=True)
            found = torch.where(target > 0, inside, whole - inside)
        else:
            index = target.clamp(min=0).flatten()
            sizes = counts.new_zeros(channels).scatter_add(0, index, counts.flatten())
            whole, found = counts.sum(), sizes[index].view_as(target)
        return (whole / found.clamp(min=1e-8)).sqrt()


@losses.register("exponential_logarithmic", papers="wong2018explog")
def exponential_logarithmic(
    dice_weight: Weight = 0.8, entropy_weight: Weight = 0.2, power: Positive = 0.3, batch: bool = False
) -> Loss:
    """Dice and cross-entropy as logarithms to a small power, and rare labels weighted, for small structures.

    L = w_D mean_k (-log D_k)^power + w_E mean_x w_l (-log p_l)^power, with w_l = (sum_k f_k / f_l)^0.5, f their voxels.
    """
    return WeightedSum([(dice_weight, log_dice(power, batch)), (entropy_weight, RareEntropy(power))])


@losses.register("combo", papers="taghanaki2019combo")
class Combo:
    """Dice with a cross-entropy whose misses and false alarms can be weighed against each other.

    L = a mean (-b t log p - (1 - b) (1 - t) log(1 - p)) + (1 - a) (1 - D), with a = entropy_share, b = misses.

    Reference:
        taghanaki2019combo, equation 3; published with -D, which is lower by a constant.
    """

    def __init__(self, entropy_share: Share = 0.5, misses: Share = 0.5) -> None:
        self.entropy_share, self.misses = entropy_share, misses

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        known = structures(logits, target, weight)
        if has_regions(logits, target):
            sure, unsure = functional.logsigmoid(logits.float()), functional.logsigmoid(-logits.float())
        else:
            sure, unsure = logits.float().log_softmax(1)[:, 1:], log_others(logits.float())
        terms = -self.misses * known.masks * sure - (1 - self.misses) * (1 - known.masks) * unsure
        entropy = (terms * known.counts).sum() / known.counts.sum().clamp(min=1e-8)
        return self.entropy_share * entropy + (1 - self.entropy_share) * Overlap()(logits, target, weight)


def log_others(logits: Tensor) -> Tensor:
    """Logarithm of one minus the softmax of all classes but the first, (B, C - 1, *S).

    It keeps its gradient where the softmax is 1. Classes below and above each one are added up from both ends, so that
    time and memory grow with the number of classes and not with its square.
    """
    classes = logits.unbind(1)
    below, above = [classes[0]], [classes[-1]]
    for one in classes[1:-1]:
        below.append(torch.logaddexp(below[-1], one))
    for one in classes[-2:1:-1]:
        above.append(torch.logaddexp(above[-1], one))
    others = [torch.logaddexp(*sides) for sides in zip(below[:-1], reversed(above), strict=True)] if below[1:] else []
    others.append(below[-1])
    odds = [one - other for one, other in zip(classes[1:], others, strict=True)]
    return functional.logsigmoid(-torch.stack(odds, 1))


class MapSimilarity:
    """One minus the multi-scale structural similarity of probability maps and masks, which weighs outlines most.

    Reference:
        huang2020unet3plus, section 2.3.
    """

    def __init__(self) -> None:
        self.similarity = StructuralSimilarity(1.0, 1.5, SCALES)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over samples and structures."""
        known = structures(logits, target, weight)
        return self.similarity(known.probabilities, known.masks)


@losses.register("hybrid", papers="huang2020unet3plus")
def hybrid(power: Weight = 2.0) -> Loss:
    """Focal loss of voxels plus structural similarity of patches plus Jaccard of maps (section 2.3), as for UNet 3+.

    L = -mean (1 - p_t)^power log p_t + (1 - MS-SSIM(p, t)) + (1 - I / (P + T - I)).
    """
    return WeightedSum([(1.0, Focal(power)), (1.0, MapSimilarity()), (1.0, Overlap(1.0, 1.0))])


class DeepSupervision:
    """The loss of each level's logits against the target on that level's grid, weighted.

    Args:
        loss: Judges one level.
        weights: Weight of each level, finest first; halved from level to level and summing to 1 when None.

    Reference:
        lee2015deeply; isensee2021nnunet.
    """

    def __init__(self, loss: Loss, weights: Sequence[float] | None = None) -> None:
        self.loss, self.weights = loss, weights

    def at(self, progress: float) -> None:
        """Tell the loss."""
        tell(self.loss, progress)

    def __call__(self, logits: Sequence[Tensor], target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The weighted sum; targets and weights are brought to each grid by their nearest voxels."""
        values = []
        for factor, level in zip(self._weights(len(logits)), logits, strict=True):
            shape = level.shape[2:]
            near = None if weight is None else nearest(weight, shape)
            values.append(factor * self.loss(level, nearest(target, shape), near))
        return torch.stack(values).sum()

    def _weights(self, count: int) -> Sequence[float]:
        if self.weights is None:
            return [2.0**-level / (2 - 2.0 ** (1 - count)) for level in range(count)]
        check_weights(self.weights, count)
        return self.weights


def check_weights(weights: Sequence[float], count: int) -> None:
    """Refuse weights that are not one for each of the logits that a net learns from."""
    if len(weights) != count:
        raise ConfigError(
            f"training.head_weights: {len(weights)} were given, but the net learns from {count} logits; give a weight "
            "for each, finest first."
        )
    if not (0 < sum(weights) < math.inf and min(weights) >= 0):
        raise ConfigError(
            f"training.head_weights: {list(weights)}: expected finite numbers from 0 on, and at least one above 0."
        )


def nearest(values: Tensor, shape: Sequence[int]) -> Tensor:
    """The values (..., *S) at the voxels nearest to the centres of a grid of this shape over the same extent."""
    first = values.ndim - len(shape)
    for axis, count in enumerate(shape, start=first):
        size = values.shape[axis]
        if size != count:
            index = ((torch.arange(count, device=values.device) + 0.5) * (size / count)).long()
            values = values.index_select(axis, index)
    return values
