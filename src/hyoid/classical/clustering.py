"""Clusters of intensities: k-means, and mean shift by hill climbing with a window."""

from __future__ import annotations

import numpy as np

from ..ops.loops import compiled_fast

ROUNDS = 30
ROUGH = 5
"""Rounds that are enough for typical intensities to stand for all."""
SAMPLED = 20_000
GRAINS = 128
"""Typical intensities that mean shift climbs from, each weighing as many voxels as it stands for."""


def cluster(points: np.ndarray, number: int, rounds: int = ROUNDS) -> np.ndarray:
    """Centres (at most `number`, C) of k-means, from dark to bright; fewer when there are fewer different points.

    The first centres are drawn by k-means++; then Lloyd's two steps, at most `rounds` times:
    assign each point to its nearest centre, and move each centre to the mean of its points.

    Args:
        points: Shape (N, C).
        number: How many clusters.
        rounds: When to stop though centres still move.

    Reference:
        lloyd1982least, arthur2007kmeanspp.
    """
    rng = np.random.default_rng(0)
    points = np.ascontiguousarray(points, np.float32)
    centres = points[rng.integers(len(points))][None]
    far = ((points - centres[0]) ** 2).sum(1)
    while len(centres) < number and far.max() > 0:
        new = points[rng.choice(len(points), p=far / far.sum(dtype=np.float64))]
        centres = np.concatenate([centres, new[None]])
        far = np.minimum(far, ((points - new) ** 2).sum(1))
    for _ in range(rounds):
        index = nearest(points.T, centres)
        sizes = np.bincount(index, minlength=len(centres))
        sums = np.stack([np.bincount(index, column, len(centres)) for column in points.T], 1)
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres).astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres[np.argsort(centres.sum(1), kind="stable")]


def nearest(array: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The number of the nearest centre (W, C) at each voxel of an array (C, *S)."""
    flat = np.ascontiguousarray(array, np.float32).reshape(len(array), -1)
    answer = np.empty(flat.shape[1], np.int16)
    _nearest(flat, np.ascontiguousarray(centres, np.float32), answer)
    return answer.reshape(array.shape[1:])


def sample(array: np.ndarray) -> np.ndarray:
    """Intensities (N, C) of some voxels of an array (C, *S)."""
    flat = array.reshape(len(array), -1)
    chosen = np.random.default_rng(0).integers(0, flat.shape[1], min(SAMPLED, flat.shape[1]))
    return flat[:, chosen].T


def modes(array: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """The modes (M, C) of the intensities of an array (C, *S), and which mode each voxel (*S) climbs to.

    Every intensity x climbs the estimated density by x <- sum(w k x_i) / sum(w k) with a Gaussian window
    k = exp(-|x - x_i|^2 / (2 h^2)), h being `window` times the standard deviation of each channel. The x_i are 128
    typical intensities, each weighing as many voxels as it stands for. Modes closer than h are one.

    Reference:
        comaniciu2002meanshift.
    """
    scale = array.reshape(len(array), -1).std(1) * window
    scale[scale == 0] = 1
    grains = cluster(sample(array), GRAINS, ROUGH)
    grain_of = nearest(array, grains)
    weight = np.bincount(grain_of.ravel(), minlength=len(grains)).astype(float)
    fixed = grains / scale
    climbing = fixed.copy()
    for _ in range(200):
        kernel = np.exp(-0.5 * ((climbing[:, None] - fixed[None]) ** 2).sum(2)) * weight
        moved = kernel @ fixed / np.maximum(kernel.sum(1, keepdims=True), 1e-30)
        if np.abs(moved - climbing).max() < 1e-3:
            break
        climbing = moved
    found: list[np.ndarray] = []
    mode_of = np.empty(len(grains), np.int64)
    for grain in np.argsort(-weight, kind="stable"):
        near = [index for index, mode in enumerate(found) if ((mode - climbing[grain]) ** 2).sum() < 1]
        if not near:
            found.append(climbing[grain])
        mode_of[grain] = near[0] if near else len(found) - 1
    return np.stack(found) * scale, mode_of[grain_of]


@compiled_fast
def _nearest(flat: np.ndarray, centres: np.ndarray, answer: np.ndarray) -> None:
    for voxel in range(flat.shape[1]):
        best, least = 0, np.float32(np.inf)
        for word in range(centres.shape[0]):
            far = np.float32(0)
            for channel in range(centres.shape[1]):
                step = flat[channel, voxel] - centres[word, channel]
                far += step * step
            if far < least:
                best, least = word, far
        answer[voxel] = best
