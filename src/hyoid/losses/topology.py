"""Losses of thin structures: whether the middle lines of vessels and membranes are kept."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import ConfigError
from ..ops.neighbours import eroded, widened
from ..ops.skeleton import skeleton
from .compound import WeightedSum
from .entropy import CrossEntropy
from .loss import Loss, losses
from .masks import mean_over, structures
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

    T_prec = |S_P * V_L| / |S_P|,  T_sens = |S_L * V_P| / |S_L|,  loss = 1 - 2 T_prec T_sens / (T_prec + T_sens), with
    V the soft masks and S their soft skeletons.

    Reference:
        shit2021cldice, equations 1 to 3.
    """

    def __init__(self, rounds: int = 10, smooth: float = 1e-5) -> None:
        if rounds < 1:
            raise ConfigError(f"Middle lines are found in one or more rounds, got {rounds}.")
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

    The line is found once for each target on the processor, so that a step costs little more than without it.

    Reference:
        kirchhoff2024skeleton, equation 3.
    """

    def __init__(self, radius: int = 2) -> None:
        if radius < 0:
            raise ConfigError(f"The radius of a tube is not negative, got {radius}.")
        self.radius = radius

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over the structures that are there."""
        known = structures(logits, target, weight)
        tube = self.tubes(known.masks) * known.counts
        found = (tube * known.probabilities).flatten(2).sum(2) / tube.flatten(2).sum(2).clamp(min=1e-8)
        return mean_over(1 - found, known.there)

    def tubes(self, masks: Tensor) -> Tensor:
        """Middle lines (B, R, *S), widened inside their masks."""
        lines = np.zeros(masks.shape, np.float32)
        for place in np.ndindex(*masks.shape[:2]):
            mask = masks[place].cpu().numpy() > 0.5
            if mask.any():
                lines[place] = skeleton(mask)
        wide = torch.from_numpy(lines).to(masks.device)
        pool = functional.max_pool2d if masks.ndim == 4 else functional.max_pool3d
        return pool(wide, 2 * self.radius + 1, 1, self.radius) * masks


@losses.register("cl_dice", papers="shit2021cldice")
def cl_dice(dice_weight: float = 1.0, line_weight: float = 0.5, rounds: int = 10) -> Loss:
    """Dice plus the agreement of middle lines, for vessels, roads, membranes and neurites."""
    return WeightedSum([(dice_weight, Overlap()), (line_weight, ClDice(rounds))])


@losses.register("skeleton_recall", papers="kirchhoff2024skeleton")
def skeleton_recall(
    dice_weight: float = 1.0, entropy_weight: float = 1.0, recall_weight: float = 1.0, radius: int = 2
) -> Loss:
    """Dice and cross-entropy plus the share of the reference's middle line that is found."""
    terms: list[tuple[float, Loss]] = [(dice_weight, Overlap()), (entropy_weight, CrossEntropy())]
    return WeightedSum([*terms, (recall_weight, SkeletonRecall(radius))])
