"""How well an engine agrees with torch.

Maps that are probabilities are cut at a half, and what both decide is compared: the share of equal voxels, and Dice.
Where a task's maps are other numbers (distances, intensities) nothing is decided, and the difference of the maps
relative to their size is compared; so 1 is perfect in both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ALIKE = 0.999
"""Share of voxels that an engine must decide as torch does to be chosen by `auto`."""

SAME = 0.995
"""Dice with torch that an engine needs: the mean over validation patches, and for `auto` each structure's at hand."""

CLOSE = 0.98
"""What it needs in place of Dice where maps are not probabilities: a relative difference of at most 2 %."""


class Sameness(NamedTuple):
    """How alike an engine and torch are, the mean over maps, and over how many validation patches."""

    dice: float
    patches: int


def decisions(maps: Tensor, probable: bool) -> Tensor:
    """For each channel (K, voxels) what maps (B, K, *S) decide, where they are probabilities; else their numbers."""
    return (maps > 0.5 if probable else maps).transpose(0, 1).flatten(1)


def decided_alike(ours: Tensor, theirs: Tensor) -> float:
    """Share of voxels at which probabilities (B, K, *S) decide alike: every channel on the same side of a half."""
    return float((decisions(ours, True) == decisions(theirs, True)).all(0).float().mean())


def varied(maps: Tensor, probable: bool = True) -> bool:
    """Whether voxels differ in what is decided: there is a structure, and something beside it."""
    decided = decisions(maps, probable)
    return bool((decided != decided[:, :1]).any())


def shares(ours: Tensor, theirs: Tensor, probable: bool = True) -> Tensor:
    """For every channel (2, K) the sizes |a|² + |b|² of both maps (B, K, *S) together, and what they share, a·b."""
    a, b = decisions(ours, probable), decisions(theirs, probable)
    if probable:
        return torch.stack([a.sum(1) + b.sum(1), (a & b).sum(1)])
    return torch.stack([one.sum(1, dtype=torch.float64) for one in (a.square() + b.square(), a * b)])


def likeness(shares: Tensor, probable: bool = True) -> list[float]:
    """For every channel that occurs, from sizes and shares (2, K): Dice of decisions, or 1 - relative difference."""
    sizes, common = shares
    dice = 2 * common[sizes > 0] / sizes[sizes > 0]
    alike: list[float] = (dice if probable else 1 - (2 - 2 * dice).clamp(min=0).sqrt()).tolist()
    return alike
