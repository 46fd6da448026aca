"""Random walker: each voxel belongs to the structure that a walk which avoids edges is likeliest to reach first.

With a prior p, the probabilities x of a class solve (L + g) x = g p, where L is the Laplacian of the graph of
neighbours and g how strongly the prior holds. A voxel of which the prior is certain is a seed, and holds very strongly.
"""

from __future__ import annotations

import numpy as np

from ..core.case import Image
from ..ops.loops import compiled_fast
from .neighbours import likeness, pair, three_axes, three_weights

HELD = 1e4
"""How strongly a seed holds, relative to the weights between neighbours, which are at most 1."""
CERTAIN = 30.0
"""Energy that all other classes must have for a voxel to be a seed."""
STRENGTH = 2.0
"""How strongly a prior from cases holds. Walks that nothing stops go about sqrt(1 / g) voxels, which must stay below
the size of a structure: at 0.1, three voxels, they wash small structures away."""
LEAST = 1e-3
"""Weight between neighbours that are not alike at all, so that no voxel is cut off."""


def walk(image: Image, energies: np.ndarray, strength: float = STRENGTH, tolerance: float = 1e-3) -> np.ndarray:
    """The probability of each class at each voxel, float32 (K, *S), summing to 1.

    Solved by conjugate gradients, without a matrix: about 20 bytes for each voxel beside the result.

    Args:
        image: Whose edges walks avoid.
        energies: What the prior says: -log of the probability of each class, (K, *S).
        strength: How strongly the prior holds, g.
        tolerance: Residual, relative to the right side, at which the solution is good enough.

    Reference:
        grady2006random, grady2005prior.
    """
    weights = three_weights(likeness(image))
    for axis in range(3):
        weights[axis][pair(axis)[0]] += LEAST * (weights.shape[axis + 1] > 1)
    prior = np.exp(-(energies - energies.min(0)))
    prior /= prior.sum(0)
    order = np.sort(energies, 0)
    seeds = order[1] - order[0] >= CERTAIN if len(energies) > 1 else np.ones(energies.shape[1:], bool)
    held = three_axes(np.where(seeds, HELD, strength).astype(np.float32))
    result = np.empty_like(prior)
    for index in range(1, len(prior)):
        right = held * three_axes(prior[index])
        result[index] = _solve(weights, held, right, three_axes(prior[index]), tolerance).reshape(prior.shape[1:])
    np.clip(result[1:], 0, 1, out=result[1:])
    result[0] = np.clip(1 - result[1:].sum(0), 0, 1)
    return result / result.sum(0)


def _solve(weights: np.ndarray, held: np.ndarray, right: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
    """Conjugate gradients with the diagonal as preconditioner."""
    diagonal = held.copy()
    for axis in range(3):
        diagonal += weights[axis]
        behind, before = pair(axis)
        diagonal[before] += weights[axis][behind]
    x = start.astype(np.float32).copy()
    product = np.empty_like(x)
    _multiply(weights, diagonal, x, product)
    residual = right - product
    scaled = residual / diagonal
    direction = scaled.copy()
    size = float(np.vdot(residual, scaled))
    goal = tolerance**2 * max(float(np.vdot(right, right / diagonal)), 1e-30)
    for _ in range(500):
        if size <= goal:
            break
        length = size / _multiply(weights, diagonal, direction, product)
        x += np.float32(length) * direction
        residual -= np.float32(length) * product
        np.divide(residual, diagonal, out=scaled)
        last, size = size, float(np.vdot(residual, scaled))
        direction *= np.float32(size / last)
        direction += scaled
    return x


@compiled_fast
def _multiply(weights: np.ndarray, diagonal: np.ndarray, x: np.ndarray, product: np.ndarray) -> float:
    """product = (L + g) x; gives x . product."""
    depth, height, width = x.shape
    total = 0.0
    for i in range(depth):
        for j in range(height):
            for k in range(width):
                value = diagonal[i, j, k] * x[i, j, k]
                if i + 1 < depth:
                    value -= weights[0, i, j, k] * x[i + 1, j, k]
                if i > 0:
                    value -= weights[0, i - 1, j, k] * x[i - 1, j, k]
                if j + 1 < height:
                    value -= weights[1, i, j, k] * x[i, j + 1, k]
                if j > 0:
                    value -= weights[1, i, j - 1, k] * x[i, j - 1, k]
                if k + 1 < width:
                    value -= weights[2, i, j, k] * x[i, j, k + 1]
                if k > 0:
                    value -= weights[2, i, j, k - 1] * x[i, j, k - 1]
                product[i, j, k] = value
                total += value * x[i, j, k]
    return total
