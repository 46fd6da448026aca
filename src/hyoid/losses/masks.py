"""Structures as channels: probabilities and masks (B, R, *S) of class and region targets alike, background left out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .loss import counted, has_regions


class Structures(NamedTuple):
    """Structures of a batch, all float32 and (B, R, *S); where nobody annotated, all three are 0."""

    probabilities: Tensor
    masks: Tensor
    counts: Tensor

    @property
    def there(self) -> Tensor:
        """1 for each structure that the target holds, (B, R)."""
        return ((self.masks * self.counts).flatten(2).sum(2) > 0).float()


def structures(logits: Tensor, target: Tensor, weight: Tensor | None, background: bool = False) -> Structures:
    """Probabilities, masks and weights of each structure; voxels that do not count are empty in both.

    With `background` the first class of class targets is a structure, too.
    """
    counts = counted(target, weight)
    if has_regions(logits, target):
        probabilities, masks = logits.float().sigmoid(), target.clamp(min=0).float()
    else:
        first = 0 if background else 1
        probabilities = logits.float().softmax(1)[:, first:]
        masks = functional.one_hot(target.clamp(min=0).long(), logits.shape[1]).movedim(-1, 1)[:, first:].float()
        counts = counts.unsqueeze(1).expand_as(masks)
    known = counts > 0
    return Structures(torch.where(known, probabilities, 0), torch.where(known, masks, 0), counts)


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the values that are chosen by a mask of ones and zeros; 0 when none is."""
    return (values * where).sum() / where.sum().clamp(min=1)


def shares(values: Tensor, counts: Tensor) -> Tensor:
    """The weighted mean over space of each sample and channel, (B, R)."""
    return (values * counts).flatten(2).sum(2) / counts.flatten(2).sum(2).clamp(min=1e-8)
