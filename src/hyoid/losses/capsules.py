"""The margin loss: lengths of capsules above one margin where the structure is, below another where it is not."""

from __future__ import annotations

from torch import Tensor

from .loss import losses
from .masks import structures
from .options import Share, Weight


@losses.register("margin", papers="sabour2017dynamic")
class Margin:
    """Squared excess over margins, as capsule networks are trained with.

    L = mean sum_k t_k max(0, present - p_k)^2 + absent_weight (1 - t_k) max(0, p_k - absent)^2.

    Reference:
        sabour2017dynamic, equation 4; p_k, the length of a channel's capsule, is the sigmoid of its logit, also where
        classes exclude one another: a softmax would make other lengths of it.
    """

    def __init__(self, present: Share = 0.9, absent: Share = 0.1, absent_weight: Weight = 0.5) -> None:
        self.present, self.absent, self.absent_weight = present, absent, absent_weight

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels; 0 when no voxel is annotated."""
        _, there, counts = structures(logits, target, weight, background=True)
        lengths = logits.float().sigmoid()
        missed = there * (self.present - lengths).clamp(min=0).square()
        made_up = self.absent_weight * (1 - there) * (lengths - self.absent).clamp(min=0).square()
        voxels = counts.sum() / there.shape[1]
        return ((missed + made_up) * counts).sum() / voxels.clamp(min=1e-8)
