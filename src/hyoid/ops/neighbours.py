"""The largest and smallest of a voxel and its neighbours, with gradients that cost little.

A pooling layer does the same, slower on a processor, and keeps eight bytes for each voxel to find its way back. Here a
step along an axis is one comparison of whole arrays, and one byte for each neighbour of a voxel tells whether it won.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Move = tuple[int, int]
"""An axis and a step of 1 or -1 along it."""


def widened(values: Tensor) -> Tensor:
    """The largest of each voxel and all its neighbours, over faces, edges and corners; values (B, C, *S)."""
    for axis in range(2, values.ndim):
        values = _Largest.apply(values, [(axis, 1), (axis, -1)])
    return values


def eroded(values: Tensor) -> Tensor:
    """The smallest of each voxel and its neighbours over faces; values (B, C, *S)."""
    return -_Largest.apply(-values, [(axis, step) for axis in range(2, values.ndim) for step in (1, -1)])


def _sides(move: Move, count: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What to narrow to: the voxels that have such a neighbour, and these neighbours."""
    axis, step = move
    return (axis, max(-step, 0), count - 1), (axis, max(step, 0), count - 1)


class _Largest(torch.autograd.Function):
    """The largest of each voxel and those at some moves from it; of equal ones the first in their order."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, moves: list[Move]) -> Tensor:
        largest, won = values.clone(), []
        for move in moves:
            here, there = _sides(move, values.shape[move[0]])
            place, neighbour = largest.narrow(*here), values.narrow(*there)
            if ctx.needs_input_grad[0]:
                won.append(neighbour > place)
            place.copy_(torch.maximum(place, neighbour))
        ctx.moves = moves
        ctx.save_for_backward(*won)
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rest, back = gradient.clone(), torch.zeros_like(gradient)
        for move, won in reversed(list(zip(ctx.moves, ctx.saved_tensors, strict=True))):
            here, there = _sides(move, gradient.shape[move[0]])
            taken = rest.narrow(*here) * won
            back.narrow(*there).add_(taken)
            rest.narrow(*here).sub_(taken)
        return back.add_(rest), None
