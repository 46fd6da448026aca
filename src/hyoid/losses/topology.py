"""Losses of thin structures: whether the middle lines of vessels and membranes are kept."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ..ops.neighbours import eroded, widened
from ..ops.skeleton import skeleton
from .compound import WeightedSum
from .entropy import CrossEntropy
from .loss import Loss, has_regions, losses
from .masks import mean_over, structures
from .options import Count, Weight
from .overlap import Overlap


def soft_skeleton(values: Tensor, rounds: int) -> Tensor:
    """What erosion followed by opening takes away, added up: the middle lines of soft masks (B, R, *S).

    Args:
        values: From 0 to 1.
        rounds: At least the radius in voxels of the thickest structure.

    Reference:
        shit2021cldice, algorithm 1.
    """
    smaller = eroded(values)
    thin = functional.relu(values - widened(smaller))
    for _ in range(rounds):
        values, smaller = smaller, eroded(smaller)
        lost = functional.relu(values - widened(smaller))
        thin = thin + lost * (1 - thin)
    return thin


class ClDice:
    """One minus the harmonic mean of two shares: of the answer's middle line in the reference, and the other way round.

    Reference:
        shit2021cldice, equations 1 to 3.
    """

    def __init__(self, rounds: int = 10, smooth: float = 1e-5) -> None:
        self.rounds, self.smooth = rounds, smooth

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over the structures that are there."""
        known = structures(logits, target, weight)
        ours, theirs = (soft_skeleton(values, self.rounds) for values in (known.probabilities, known.masks))
        precision = self._share(ours * known.counts, known.masks)
        recall = self._share(theirs * known.counts, known.probabilities)
        return mean_over(1 - 2 * precision * recall / (precision + recall), known.there)

    def _share(self, lines: Tensor, masks: Tensor) -> Tensor:
        """The share of the lines that lies inside the masks, (B, R)."""
        return ((lines * masks).flatten(2).sum(2) + self.smooth) / (lines.flatten(2).sum(2) + self.smooth)


class SkeletonRecall:
    """One minus the share of the reference's middle line, widened to a tube, that is found.

    Classes share one line, that of the whole foreground, which is widened over faces `radius` times and then cut into
    classes, as in the authors' code; overlapping regions, which that code refuses, have a line each. The line is found
    once for each target on the processor, so that a step costs little more than without it. A class that the tube does
    not meet is left out.

    Reference:
        kirchhoff2024skeleton, equation 3 and algorithm 1; its line is scikit-image's, here that of `ops.skeleton`.
    """

    def __init__(self, radius: int = 2) -> None:
        self.radius = radius

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over the structures that the tube meets."""
        known = structures(logits, target, weight)
        tube = self.tubes(known.masks, together=not has_regions(logits, target)) * known.counts
        size = tube.flatten(2).sum(2)
        found = (tube * known.probabilities).flatten(2).sum(2) / size.clamp(min=1e-8)
        return mean_over(1 - found, (size > 0).float())

    def tubes(self, masks: Tensor, together: bool = False) -> Tensor:
        """Middle lines (B, R, *S) of all masks together or of each, widened, inside their masks."""
        whole = masks.amax(1, keepdim=True) if together else masks
        lines = np.zeros(whole.shape, np.float32)
        for place in np.ndindex(*whole.shape[:2]):
            mask = whole[place].cpu().numpy() > 0.5
            if mask.any():
                lines[place] = skeleton(mask)
        wide = torch.from_numpy(lines).to(masks.device)
        for _ in range(self.radius):
            wide = -eroded(-wide)
        return wide * masks


@losses.register("cl_dice", papers="shit2021cldice")
def cl_dice(dice_weight: Weight = 1.0, line_weight: Weight = 0.5, rounds: Count = 10) -> Loss:
    """Dice plus the agreement of middle lines, for vessels, roads, membranes and neurites.

    L = w_D (1 - D) + w_L (1 - 2 a b / (a + b)), with a = |S_P T| / |S_P|, b = |S_T P| / |S_T|, S soft skeletons.
    """
    return WeightedSum([(dice_weight, Overlap()), (line_weight, ClDice(rounds))])


@losses.register("skeleton_recall", papers="kirchhoff2024skeleton")
def skeleton_recall(
    dice_weight: Weight = 1.0,
    entropy_weight: Weight = 1.0,
    recall_weight: Weight = 1.0,
    radius: Annotated[int, Field(ge=0)] = 2,
) -> Loss:
    """Dice and cross-entropy plus the share of the reference's middle line that is found.

    L = w_D (1 - D) - w_E mean log p_t + w_R (1 - sum S p / sum S), with S a tube along the skeleton.

    The skeleton is that of the reference's whole foreground; the tube is cut into classes.
    """
    terms: list[tuple[float, Loss]] = [(dice_weight, Overlap()), (entropy_weight, CrossEntropy())]
    return WeightedSum([*terms, (recall_weight, SkeletonRecall(radius))])
