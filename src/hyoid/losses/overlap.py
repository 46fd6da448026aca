"""Overlap losses: one formula, of which Dice, Jaccard and Tversky are rows.

With I the soft intersection, P and T the soft sizes of prediction and target,

    index = (I + s) / (I + a (P - I) + b (T - I) + s),        loss = 1 - mean index.

Dice has a = b = 1/2, Jaccard a = b = 1, Tversky weighs false positives by a and misses by b.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .loss import Loss, as_masks, counted, has_regions, losses


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

    Reference:
        milletari2016vnet; salehi2017tversky.
    """

    false_positives: float = 0.5
    false_negatives: float = 0.5
    batch: bool = False
    squared: bool = False
    background: bool = False
    smooth: float = 1e-5

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        regions = has_regions(logits, target)
        logits = logits.float()
        probabilities = logits.sigmoid() if regions else logits.softmax(1)
        masks, counts = as_masks(logits, target), counted(target, weight)
        if not regions:
            counts = counts.unsqueeze(1)
            if not self.background:
                probabilities, masks = probabilities[:, 1:], masks[:, 1:]
        return self.of_probabilities(probabilities, masks, counts)

    def of_probabilities(self, probabilities: Tensor, masks: Tensor, counts: Tensor) -> Tensor:
        """The loss of probabilities against masks (B, C, *S), where each voxel counts so much."""
        axes = [*([0] if self.batch else []), *range(2, masks.ndim)]
        counts = counts.expand_as(masks)
        weighted = probabilities * counts
        both = (weighted * masks).sum(axes)
        predicted = (weighted * probabilities if self.squared else weighted).sum(axes)
        present = (masks * counts).sum(axes)
        wrong = self.false_positives * (predicted - both) + self.false_negatives * (present - both)
        index = (both + self.smooth) / (both + wrong + self.smooth)
        there = (present > 0).float()
        share = predicted / counts.sum(axes).clamp(min=1e-8)
        return _mean(1 - index, there) + _mean(share, 1 - there)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)


@losses.register("dice", papers=("milletari2016vnet", "drozdzal2016importance"))
def dice(batch: bool = False, squared: bool = False, background: bool = False, smooth: float = 1e-5) -> Loss:
    """Dice loss, of each sample or of the batch."""
    return Overlap(0.5, 0.5, batch, squared, background, smooth)


@losses.register("jaccard", papers="rahman2016optimizing")
def jaccard(batch: bool = False, squared: bool = False, background: bool = False, smooth: float = 1e-5) -> Loss:
    """Jaccard (intersection over union) loss."""
    return Overlap(1.0, 1.0, batch, squared, background, smooth)


@losses.register("tversky", papers="salehi2017tversky")
def tversky(
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    batch: bool = False,
    squared: bool = False,
    background: bool = False,
    smooth: float = 1e-5,
) -> Loss:
    """Dice loss that weighs misses against false alarms."""
    return Overlap(false_positives, false_negatives, batch, squared, background, smooth)
