"""The Lovasz loss: the Jaccard index of sets, made smooth without a soft set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .loss import Loss, counted, has_regions, losses


class Lovasz:
    """The Lovasz extension of the Jaccard loss at the errors |mask - p|; for answers of 0 and 1 it is 1 - Jaccard.

    Errors are sorted; each counts by how much the Jaccard loss grows when its voxel is mistaken beside all worse ones.
    A structure absent from the target adds the share of voxels that it was given.

    Args:
        batch: Pool all samples of a batch; else each sample has its own index.
        background: Whether the first class of class targets takes part.

    Reference:
        berman2018lovasz, equations 8 and 11.
    """

    def __init__(self, batch: bool = False, background: bool = False) -> None:
        self.batch, self.background = batch, background

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; 0 when no voxel is annotated."""
        counts = counted(target, weight)
        if has_regions(logits, target):
            probabilities, masks = logits.float().sigmoid(), target.clamp(min=0).float()
        else:
            first = 0 if self.background else 1
            probabilities = logits.float().softmax(1)[:, first:]
            every = functional.one_hot(target.clamp(min=0), logits.shape[1])
            masks = every.movedim(-1, 1)[:, first:].float()
            counts = counts.unsqueeze(1).expand_as(masks)
        rows = [values.flatten(2) for values in (probabilities, masks, counts)]
        if self.batch:
            rows = [values.transpose(0, 1).flatten(1).unsqueeze(0) for values in rows]
        probabilities, masks, counts = rows
        present = (masks * counts).sum(-1)
        there = (present > 0).float()
        lost = self._lost((masks - probabilities).abs(), masks * counts, counts)
        given = (probabilities * counts).sum(-1) / counts.sum(-1).clamp(min=1e-8)
        return _mean(lost, there) + _mean(given, 1 - there)

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


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)


@losses.register("lovasz", papers="berman2018lovasz")
def lovasz(batch: bool = False, background: bool = False) -> Loss:
    """The Jaccard loss of sets, extended to probabilities by Lovasz.

    L = sum_i e_i (J_i - J_(i-1)), with errors e = |t - p| from large to small, J_i = 1 - Jaccard if i are wrong.
    """
    return Lovasz(batch, background)
