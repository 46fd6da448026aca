"""How well an engine agrees with torch: by what both decide at each voxel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ALIKE = 0.999
"""Share of voxels that an engine must decide as torch does to be chosen by `auto`."""

SAME = 0.995
"""Dice with torch that an engine needs: the mean over validation patches, and for `auto` each structure's at hand."""


class Sameness(NamedTuple):
    """Mean Dice of an engine with torch, over structures, and over how many validation patches."""

    dice: float
    patches: int


def decided_alike(ours: Tensor, theirs: Tensor) -> float:
    """Share of voxels at which two maps (B, K, *S) decide alike: every channel on the same side of a half."""
    return float(((ours > 0.5) == (theirs > 0.5)).all(1).float().mean())


def varied(maps: Tensor) -> bool:
    """Whether voxels are decided differently: there is a structure, and something beside it."""
    decided = (maps > 0.5).transpose(0, 1).flatten(1)
    return bool((decided != decided[:, :1]).any())


def dice_of_decisions(ours: Tensor, theirs: Tensor) -> list[float]:
    """Dice of two maps (B, K, *S), each channel cut at a half, of every channel that occurs."""
    return dice_of(overlaps(ours, theirs))


def overlaps(ours: Tensor, theirs: Tensor) -> Tensor:
    """Of every channel (2, K) the sizes of both maps together, and what they share."""
    a, b = ((maps > 0.5).transpose(0, 1).flatten(1) for maps in (ours, theirs))
    return torch.stack([a.sum(1) + b.sum(1), (a & b).sum(1)])


def dice_of(overlaps: Tensor) -> list[float]:
    """Dice of every channel that occurs, from sizes and overlaps (2, K)."""
    sizes, common = overlaps
    found: list[float] = (2 * common[sizes > 0] / sizes[sizes > 0]).tolist()
    return found
