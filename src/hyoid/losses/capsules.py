"""The margin loss: lengths of capsules above one margin where the structure is, below another where it is not."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from .loss import Loss, counted, has_regions, losses
from .options import Share, Weight


class Margin:
    """Squared excess of each channel's probability over its margin, added over channels.

    T max(0, present - v)^2 + absent_weight (1 - T) max(0, v - absent)^2, with v the length of a channel's capsule,
    which is its probability here, and T its target.

    Reference:
        sabour2017dynamic, equation 4.
    """

    def __init__(self, present: float = 0.9, absent: float = 0.1, absent_weight: float = 0.5) -> None:
        self.present, self.absent, self.absent_weight = present, absent, absent_weight

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels; 0 when no voxel is annotated."""
        counts = counted(target, weight)
        if has_regions(logits, target):
            lengths, there = logits.float().sigmoid(), target.clamp(min=0).float()
        else:
            lengths = logits.float().softmax(1)
            there = functional.one_hot(target.clamp(min=0).long(), logits.shape[1]).movedim(-1, 1).float()
            counts = counts.unsqueeze(1)
        missed = there * (self.present - lengths).clamp(min=0).square()
        made_up = self.absent_weight * (1 - there) * (lengths - self.absent).clamp(min=0).square()
        voxels = counts.expand_as(there).sum() / there.shape[1]
        return ((missed + made_up) * counts).sum() / voxels.clamp(min=1e-8)


@losses.register("margin", papers="sabour2017dynamic")
def margin(present: Share = 0.9, absent: Share = 0.1, absent_weight: Weight = 0.5) -> Loss:
    """Squared excess over margins, as capsule networks are trained with.

    L = mean sum_k t_k max(0, present - p_k)^2 + absent_weight (1 - t_k) max(0, p_k - absent)^2.
    """
    return Margin(present, absent, absent_weight)
