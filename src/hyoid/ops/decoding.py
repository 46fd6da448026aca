"""From channels to labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .sampling import running_winner

if TYPE_CHECKING:
    from torch import Tensor

_TOGETHER = 2**20
"""Numbers that are compared at once, so few that they stay in the cache."""


def winner(probabilities: np.ndarray) -> np.ndarray:
    """Index of the largest channel, (*S) uint8 or uint16 from (C, *S); the first one when equal.

    A running maximum over channels: no memory but the result, 5 to 30 times the speed of an argmax over the slow axis.
    """
    channels = len(probabilities)
    flat = np.ascontiguousarray(probabilities, np.float32).reshape(channels, -1)
    result = np.zeros(flat.shape[1], np.uint8 if channels <= 256 else np.uint16)
    running_winner(flat, result)
    return result.reshape(probabilities.shape[1:])


def winner_of(probabilities: Tensor) -> Tensor:
    """The same of a tensor (C, *S), int32; 0 where a channel is not a number.

    The largest value, then the first channel that has it: torch takes both in vector registers, so that this is three
    times as quick as `max` over the slow axis, which finds values and indices together.
    """
    import torch

    channels, *shape = probabilities.shape
    result = probabilities.new_empty(shape, dtype=torch.int32)
    kind = torch.uint8 if channels <= 255 else torch.int16
    falling = torch.arange(channels, 0, -1, dtype=kind, device=result.device).view(-1, *(1,) * len(shape))
    rows = max(1, _TOGETHER // max(1, probabilities[:, :1].numel()))
    for some, target in zip(probabilities.split(rows, 1), result.split(rows), strict=True):
        first = ((some == some.amax(0)).to(kind) * falling).amax(0)
        torch.sub(channels, first.int(), out=target)
        target[first == 0] = 0
    return result
