"""The Lovasz loss: the Jaccard index of sets, made smooth without a soft set."""

from __future__ import annotations

import torch
from torch import Tensor

from .loss import losses
from .masks import mean_over, structures


@losses.register("lovasz", papers="berman2018lovasz")
class Lovasz:
    """The Jaccard loss of sets, extended to probabilities by Lovasz.

    L = sum_i e_i (J_i - J_(i-1)), with errors e = |t - p| from large to small, J_i = 1 - Jaccard if i are wrong.

    Args:
        batch: Pool all samples of a batch; else each sample has its own index.
        background: Whether the first class of class targets takes part.

    Reference:
        berman2018lovasz, equations 8 and 11; for answers of 0 and 1 it is 1 - Jaccard. A structure absent from the
        target adds the share of voxels that it was given.
    """

    def __init__(self, batch: bool = False, background: bool = False) -> None:
        self.batch, self.background = batch, background

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        rows = [values.flatten(2) for values in structures(logits, target, weight, self.background)]
        if self.batch:
            rows = [values.transpose(0, 1).flatten(1).unsqueeze(0) for values in rows]
        probabilities, masks, counts = rows
        there = ((masks * counts).sum(-1) > 0).float()
        lost = self._lost((masks - probabilities).abs(), masks * counts, counts)
        given = (probabilities * counts).sum(-1) / counts.sum(-1).clamp(min=1e-8)
        return mean_over(lost, there) + mean_over(given, 1 - there)

    @staticmethod
    def _lost(errors: Tensor, present: Tensor, counts: Tensor) -> Tensor:
        """The extension along the last axis."""
        # Voxels that do not count come last and move nothing.
        order = errors.detach().masked_fill(counts == 0, -1).argsort(-1, descending=True)
        errors, present, counts = (values.gather(-1, order) for values in (errors, present, counts))
        whole = present.sum(-1, keepdim=True)
        kept = whole - present.cumsum(-1)
        union = whole + (counts - present).cumsum(-1)
        jaccard = 1 - kept / union.clamp(min=1e-8)
        steps = torch.cat((jaccard[..., :1], jaccard.diff(dim=-1)), -1)
        return (errors * steps.clamp(min=0) * (counts > 0)).sum(-1)
