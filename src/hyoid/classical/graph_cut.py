"""Graph cut: the labelling of least energy, exact for two classes, by expansion moves for more.

E(f) = sum of D(f_p) + s * sum over neighbours of w_pq [f_p != f_q]: what the prior says of each voxel, and a price for
each boundary, which is low where the image has an edge.
"""

from __future__ import annotations

import numpy as np

from ..core.case import Image
from ..ops.morphology import bounding_box
from .max_flow import smallest_cut
from .neighbours import likeness, pair, three_axes, three_weights

UNITS = 1024
"""Integers that an energy of 1 becomes."""
SWEEPS = 3


def least_energy(image: Image, energies: np.ndarray, smoothness: float = 1.0) -> np.ndarray:
    """The class of each voxel (*S) that together have the least energy.

    Args:
        image: Whose edges boundaries follow.
        energies: D, what each class costs at each voxel, (K, *S).
        smoothness: The price s of a boundary between voxels that are alike.

    Reference:
        boykov2001interactive, boykov2001expansion.
    """
    unary = np.stack([three_axes(np.rint(one * UNITS).astype(np.int32)) for one in energies])
    weights = np.rint(three_weights(likeness(image)) * (smoothness * UNITS)).astype(np.int32)
    # What a voxel can win at most by agreeing with all its neighbours.
    bound = weights.sum(0)
    for axis in range(3):
        behind, before = pair(axis)
        bound[before] += weights[axis][behind]
    two = len(unary) == 2
    classes = np.zeros(unary.shape[1:], np.int16) if two else unary.argmin(0).astype(np.int16)
    for _ in range(1 if two else SWEEPS):
        moves = [1] if two else range(len(unary))
        won = [_expand(classes, unary, weights, bound, target) for target in moves]
        if not any(won):
            break
    return classes.reshape(energies.shape[1:])


def _expand(classes: np.ndarray, unary: np.ndarray, weights: np.ndarray, bound: np.ndarray, target: int) -> bool:
    """Let any voxels change to one class where that lowers the energy most; whether some did."""
    box = _box_of_doubt(classes, unary, bound, target)
    if box is None:
        return False
    now, costs, ties = classes[box], unary[(slice(None), *box)], weights[(slice(None), *box)]
    keep = np.take_along_axis(costs, now[None].astype(np.int64), 0)[0]
    terminal = costs[target] - keep
    forward = np.zeros_like(ties)
    for axis in range(3):
        behind, before = pair(axis)
        tie, p, q = ties[axis][behind], now[behind], now[before]
        both, p_only, q_only = tie * (p != q), tie * (q != target), tie * (p != target)
        # E(keep, keep) = both, E(change p) = p_only, E(change q) = q_only, E(change both) = 0.
        terminal[behind] += p_only - both
        terminal[before] -= p_only
        forward[axis][behind] = q_only + p_only - both
    stays, _ = smallest_cut(terminal, forward, np.zeros_like(forward))
    changed = ~stays & (now != target)
    # Free voxels cost the same either way; they stay when nothing is won.
    now[changed] = target
    return bool(changed.any())


def _box_of_doubt(classes: np.ndarray, unary: np.ndarray, bound: np.ndarray, target: int) -> tuple[slice, ...] | None:
    """The box around voxels that may change: all others would lose more than their neighbours can give."""
    keep = np.take_along_axis(unary, classes[None].astype(np.int64), 0)[0]
    box = bounding_box((unary[target] - keep < bound) & (classes != target))
    return None if box is None else tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
