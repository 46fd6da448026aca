"""Nearest distances against brute force, and against the distance transform they may fall back on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hyoid.ops import nearest as module
from hyoid.ops.nearest import line_distances, near, nearest


def points(seed: int, shape: tuple[int, ...], share: float) -> np.ndarray:
    mask = np.random.default_rng(seed).random(shape) < share
    mask.flat[0] = True
    return mask


@pytest.mark.parametrize("shape", [(23, 31), (9, 14, 11), (1, 1, 40), (12, 1)])
@pytest.mark.parametrize("looks", [8, 0])
def test_distances_are_those_of_all_pairs(shape, looks, monkeypatch):
    monkeypatch.setattr(module, "_LOOKS_PER_VOXEL", looks)
    spacing = (0.7, 1.9, 1.2)[: len(shape)]
    targets, queries = points(0, shape, 0.02), points(1, shape, 0.2)
    found = nearest(line_distances(targets), targets, queries, spacing)
    table = cdist(np.argwhere(queries) * spacing, np.argwhere(targets) * spacing)
    assert found == pytest.approx(table.min(1), rel=1e-6)
    for reach in (0.0, 1.3, 4.0):
        assert near(line_distances(targets), queries, spacing, reach).tolist() == (table.min(1) <= reach).tolist()


def test_lines_without_a_point_are_told_apart_from_long_ones():
    mask = np.zeros((2, 5), bool)
    mask[0, 4] = True
    assert line_distances(mask).tolist() == [[4, 3, 2, 1, 0], [65535] * 5]


def test_far_apart_points_go_through_the_transform(monkeypatch):
    calls = []
    original = module.distance
    monkeypatch.setattr(module, "distance", lambda *given: calls.append(1) or original(*given))
    targets, queries = np.zeros((2, 40, 40, 4), bool)
    targets[0, 0] = queries[20:] = True
    assert nearest(line_distances(targets), targets, queries, (1, 1, 1)).max() == pytest.approx(np.hypot(39, 39))
    assert calls
