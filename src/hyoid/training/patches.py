"""Which voxels of the training patches were answered rightly, from logits that the loss has seen already."""

from __future__ import annotations

import torch
from torch import Tensor

from ..losses.compound import nearest
from ..losses.loss import has_regions


def count_voxels(logits: Tensor, target: Tensor) -> Tensor:
    """Voxels of each structure that are hit, answered, and in the target, all samples together; ignored ones left out.

    Args:
        logits: (B, C, *S) of classes or regions.
        target: What the task's `encode` gave.

    Returns:
        (3, R) int64 on the device of the logits, which is not waited for.
    """
    logits, target = logits.detach(), nearest(target, logits.shape[2:])
    if has_regions(logits, target):
        answer, truth = (logits > 0) & (target >= 0), target > 0
        every = [axis for axis in range(target.ndim) if axis != 1]
        return torch.stack([part.sum(every) for part in (answer & truth, answer, truth)])
    classes = logits.shape[1]
    winner = logits.max(1).indices  # several times as quick as argmax
    pairs = torch.where(target >= 0, winner * classes + target, classes**2).flatten()
    table = torch.zeros(classes**2 + 1, dtype=torch.int64, device=pairs.device)
    table = table.index_add_(0, pairs, torch.ones_like(pairs))[:-1].view(classes, classes)  # bincount would wait
    return torch.stack([table.diagonal(), table.sum(1), table.sum(0)])[:, 1:]
