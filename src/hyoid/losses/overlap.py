"""Overlap losses: one formula, of which Dice, Jaccard and Tversky are rows.

With I the soft intersection, P and T the soft sizes of prediction and target,

    index = (I + s) / (I + a (P - I) + b (T - I) + s),        loss = 1 - mean index.

Dice has a = b = 1/2, Jaccard a = b = 1, Tversky weighs false positives by a and misses by b. With d = 1 - index, some
rows bend each structure's d before the mean: its power, -log(1 - d), or log cosh d. Generalised Dice adds intersections
and sizes of all structures before it divides, each by the square of its size in the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ..core.errors import ConfigError
from .loss import Loss, counted, has_regions, losses
from .masks import mean_over
from .options import Positive, Weight


@dataclass(frozen=True)
class Overlap:
    """One minus the mean overlap of the structures that are there, plus what was given to those that are not.

    A structure absent from the target has no overlap to speak of: as perfect when nothing is predicted it would flatter
    the mean, and its gradient would vanish when everything is. It adds the share of voxels it was given instead.

    Attributes:
        false_positives: Weight a of voxels that are predicted but not in the target.
        false_negatives: Weight b of voxels that are missed.
        batch: Pool all samples of a batch before the ratio; else each sample has its own.
        squared: Sizes are sums of squares, as in V-Net; else plain sums.
        background: Whether the first class of class targets takes part.
        smooth: Added to both sides of the ratio.
        bend: What is made of one minus the index of each structure before the mean; nothing when None.

    Reference:
        milletari2016vnet; salehi2017tversky.
    """

    false_positives: float = 0.5
    false_negatives: float = 0.5
    batch: bool = False
    squared: bool = False
    background: bool = False
    smooth: float = 1e-5
    bend: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if not (self.false_positives or self.false_negatives):
            raise ConfigError("false_positives and false_negatives are both 0, so that no mistake counts.")

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        if has_regions(logits, target):
            return self.of_sums(region_sums(logits.float().sigmoid(), target, weight, self.squared))
        sums = class_sums(logits.float().softmax(1), target, weight, self.squared)
        return self.of_sums(sums if self.background else Sums(*(values[:, 1:] for values in sums)))

    def of_sums(self, sums: Sums) -> Tensor:
        """The loss of soft sizes."""
        both, predicted, present, total = (values.sum(0) for values in sums) if self.batch else sums
        wrong = self.false_positives * (predicted - both) + self.false_negatives * (present - both)
        index = (both + self.smooth) / (both + wrong + self.smooth)
        there = (present > 0).float()
        loss = 1 - index if self.bend is None else self.bend(1 - index)
        return mean_over(loss, there) + mean_over(predicted / total.clamp(min=1e-8), 1 - there)


class Sums(NamedTuple):
    """Soft sizes in voxels for each sample and channel, (B, C)."""

    both: Tensor
    predicted: Tensor
    present: Tensor
    total: Tensor


def region_sums(probabilities: Tensor, target: Tensor, weight: Tensor | None, squared: bool = False) -> Sums:
    """Sizes of probabilities against masks (B, C, *S)."""
    masks, counts = target.clamp(min=0).float(), counted(target, weight)
    weighted = probabilities * counts
    sizes = (weighted * masks, weighted * probabilities if squared else weighted, masks * counts, counts)
    return Sums(*(values.flatten(2).sum(2) for values in sizes))


def class_sums(probabilities: Tensor, target: Tensor, weight: Tensor | None, squared: bool = False) -> Sums:
    """Sizes of probabilities (B, C, *S) against class indices (B, *S), without a mask for each class."""
    flat = probabilities.flatten(2)
    index, counts = target.clamp(min=0).flatten(1), counted(target, weight).flatten(1)
    sizes = flat.square() if squared else flat
    if weight is not None or bool((target < 0).any()):
        sizes = sizes * counts.unsqueeze(1)
    picked = flat.gather(1, index.unsqueeze(1)).squeeze(1) * counts
    none = flat.new_zeros(flat.shape[:2])
    total = counts.sum(1, keepdim=True).expand_as(none)
    return Sums(none.scatter_add(1, index, picked), sizes.sum(2), none.scatter_add(1, index, counts), total)


@losses.register("dice", papers=("milletari2016vnet", "drozdzal2016importance"))
def dice(batch: bool = False, squared: bool = False, background: bool = False, smooth: Weight = 1e-5) -> Loss:
    """Dice loss, of each sample or of the batch.

    L = 1 - D, D = (2 I + 2 s) / (P + T + 2 s), with I = sum p t, P = sum p (p^2 if squared), T = sum t, s = smooth.
    """
    return Overlap(0.5, 0.5, batch, squared, background, smooth)


@losses.register("jaccard", papers="rahman2016optimizing")
def jaccard(batch: bool = False, squared: bool = False, background: bool = False, smooth: Weight = 1e-5) -> Loss:
    """Jaccard (intersection over union) loss.

    L = 1 - (I + s) / (P + T - I + s), with I = sum p t, P = sum p, T = sum t, s = smooth.
    """
    return Overlap(1.0, 1.0, batch, squared, background, smooth)


@losses.register("tversky", papers="salehi2017tversky")
def tversky(
    false_positives: Weight = 0.3,
    false_negatives: Weight = 0.7,
    batch: bool = False,
    squared: bool = False,
    background: bool = False,
    smooth: Weight = 1e-5,
) -> Loss:
    """Dice loss that weighs misses against false alarms.

    L = 1 - TI, TI = (I + s) / (I + a (P - I) + b (T - I) + s), with a = false_positives, b = false_negatives.
    """
    return Overlap(false_positives, false_negatives, batch, squared, background, smooth)


@losses.register("focal_tversky", papers="abraham2019focal")
def focal_tversky(
    power: Positive = 0.75,
    false_positives: Weight = 0.3,
    false_negatives: Weight = 0.7,
    batch: bool = False,
    background: bool = False,
    smooth: Weight = 1e-5,
) -> Loss:
    """Tversky loss of each structure to a power below one, steep where nearly all is right.

    L = (1 - TI)^power, with TI as in `tversky`; power = 1 / gamma of the paper.
    """
    bend = lambda lost: lost.clamp(min=1e-8) ** power  # noqa: E731
    return Overlap(false_positives, false_negatives, batch, False, background, smooth, bend)


@losses.register("log_dice", papers="wong2018explog")
def log_dice(power: Positive = 1.0, batch: bool = False, background: bool = False, smooth: Weight = 1e-5) -> Loss:
    """The negative logarithm of each structure's Dice, steep where little is found.

    L = (-log D)^power, with D as in `dice`.
    """
    bend = lambda lost: (-(1 - lost).clamp(min=1e-8).log()).clamp(min=1e-8) ** power  # noqa: E731
    return Overlap(0.5, 0.5, batch, False, background, smooth, bend)


@losses.register("log_cosh_dice", papers="jadon2020survey")
def log_cosh_dice(batch: bool = False, background: bool = False, smooth: Weight = 1e-5) -> Loss:
    """Dice loss under the logarithm of cosh, flat where all is found.

    L = log cosh(1 - D), with D as in `dice`.
    """
    return Overlap(0.5, 0.5, batch, False, background, smooth, lambda lost: lost.cosh().log())


@dataclass(frozen=True)
class GeneralisedDice(Overlap):
    """One minus twice the weighted intersections over the weighted sizes, plus what absent structures got."""

    def of_sums(self, sums: Sums) -> Tensor:
        """The loss of soft sizes."""
        both, predicted, present, total = (values.sum(0, keepdim=True) for values in sums) if self.batch else sums
        there = (present > 0).float()
        weight = there / present.clamp(min=1e-8).square()
        scale = weight.amax(-1, keepdim=True).clamp(min=1e-8)  # keeps the smooth term small beside tiny weights
        weight = weight / scale
        index = (2 * (weight * both).sum(-1) + self.smooth) / ((weight * (predicted + present)).sum(-1) + self.smooth)
        return mean_over(1 - index, there.amax(-1)) + mean_over(predicted / total.clamp(min=1e-8), 1 - there)


@losses.register("generalised_dice", papers="sudre2017generalised")
def generalised_dice(batch: bool = False, background: bool = False, smooth: Weight = 1e-5) -> Loss:
    """Dice of all structures together, each weighed by the inverse square of its size.

    L = 1 - 2 sum_k w_k I_k / sum_k w_k (P_k + T_k), with w_k = 1 / T_k^2.
    """
    return GeneralisedDice(0.5, 0.5, batch, False, background, smooth)
