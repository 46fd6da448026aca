"""How far each of some voxels is from the nearest of others: exact, and fast where they are close together.

Distances along lines of the last axis are one pass over the array; each query then looks through neighbouring lines,
nearest first, until none can be closer. Two surfaces that nearly agree need a few dozen looks a voxel, where a distance
transform has to fill the whole box; surfaces that are far apart go through the transform after all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .loops import compiled
from .morphology import distance

_NONE = 65535
"""On a line without any voxel to be near to."""

_LOOKS_PER_VOXEL = 8
"""Looks per voxel of the box after which a distance transform (some 60 ns a voxel) is the quicker way."""


def line_distances(points: np.ndarray) -> np.ndarray:
    """Voxels to the nearest point along the last axis, (*S) uint16; 65535 on lines without one. One byte pair a voxel.

    Args:
        points: Boolean (*S) of two or three axes.
    """
    solid = _as_3d(points)
    result = np.empty(solid.shape, np.uint16)
    _fill_lines(solid.view(np.uint8), result)
    return result.reshape(points.shape)


def nearest(lines: np.ndarray, points: np.ndarray, queries: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance from each query voxel, in the order of `np.nonzero`, to the nearest point, float64 (N,).

    Args:
        lines: What `line_distances(points)` gave, (*S).
        points: Boolean (*S) with at least one voxel.
        queries: Boolean (*S).
        spacing_mm: Distance between voxel centres along each axis.
    """
    found = np.empty(np.count_nonzero(queries))
    spacing = np.array([1.0, *spacing_mm][-3:])
    budget = _LOOKS_PER_VOXEL * points.size + 64
    if _look(_as_3d(lines), _as_3d(queries).view(np.uint8), spacing, found, budget):
        return found
    return distance(~points, spacing_mm)[queries].astype(float)


def near(lines: np.ndarray, queries: np.ndarray, spacing_mm: Sequence[float], reach_mm: float) -> np.ndarray:
    """Which of the query voxels lie within a reach of the nearest point, boolean (N,).

    Args:
        lines: What `line_distances` gave, (*S).
        queries: Boolean (*S).
        spacing_mm: Distance between voxel centres along each axis.
        reach_mm: The largest distance that counts, with the rounding of spacings in single precision allowed for.
    """
    found = np.empty(np.count_nonzero(queries), bool)
    spacing = np.array([1.0, *spacing_mm][-3:])
    _reach(_as_3d(lines), _as_3d(queries).view(np.uint8), spacing, (reach_mm * (1 + 1e-6)) ** 2, found)
    return found


def _as_3d(array: np.ndarray) -> np.ndarray:
    """Contiguous, with a first axis of one where there are two."""
    array = np.ascontiguousarray(array)
    return array if array.ndim == 3 else array[None]


@compiled
def _fill_lines(points, result):  # type: ignore[no-untyped-def]
    """Two passes over each line: forth from the last point, back from the next one."""
    length = points.shape[2]
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            steps = _NONE
            for k in range(length):
                steps = 0 if points[i, j, k] else min(steps + 1, _NONE)
                result[i, j, k] = steps
            steps = _NONE
            for k in range(length - 1, -1, -1):
                steps = 0 if points[i, j, k] else min(steps + 1, _NONE)
                if steps < result[i, j, k]:
                    result[i, j, k] = steps


@compiled
def _look(lines, queries, spacing, found, budget):  # type: ignore[no-untyped-def]
    """Squared distance line by line, nearest lines first; False when it took more looks than the budget."""
    rows, columns, length = lines.shape
    looks, number = 0, 0
    for i in range(rows):
        for j in range(columns):
            for k in range(length):
                if not queries[i, j, k]:
                    continue
                best = np.inf
                for di in range(rows):
                    over = (di * spacing[0]) ** 2
                    if over >= best:
                        break
                    for row in (i - di, i + di):
                        if row < 0 or row >= rows or (di == 0 and row > i):
                            continue
                        for dj in range(columns):
                            across = over + (dj * spacing[1]) ** 2
                            if across >= best:
                                break
                            for column in (j - dj, j + dj):
                                if column < 0 or column >= columns:
                                    continue
                                looks += 1
                                steps = lines[row, column, k]
                                if steps != _NONE:
                                    best = min(best, across + (steps * spacing[2]) ** 2)
                if looks > budget:
                    return False
                found[number] = np.sqrt(best)
                number += 1
    return True


@compiled
def _reach(lines, queries, spacing, limit, found):  # type: ignore[no-untyped-def]
    """Whether a line within the reach holds a point that is close enough."""
    rows, columns, length = lines.shape
    most_rows, most_columns = int(np.sqrt(limit) / spacing[0]), int(np.sqrt(limit) / spacing[1])
    number = 0
    for i in range(rows):
        for j in range(columns):
            for k in range(length):
                if not queries[i, j, k]:
                    continue
                close = False
                for row in range(max(0, i - most_rows), min(rows, i + most_rows + 1)):
                    for column in range(max(0, j - most_columns), min(columns, j + most_columns + 1)):
                        steps = lines[row, column, k]
                        aside = ((row - i) * spacing[0]) ** 2 + ((column - j) * spacing[1]) ** 2
                        if steps != _NONE and aside + (steps * spacing[2]) ** 2 <= limit:
                            close = True
                            break
                    if close:
                        break
                found[number] = close
                number += 1
