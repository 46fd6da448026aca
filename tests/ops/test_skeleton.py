"""Skeletons and topology of masks against shapes that are known and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import euler_number

from hyoid.ops.skeleton import betti_numbers, euler_characteristic, skeleton, warped


def blob(seed: int, shape: tuple[int, ...], sigma: float = 1.5, share: float = 0.35) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return noise > np.quantile(noise, 1 - share)


def ring(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    return mask


def test_betti_numbers_of_known_shapes():
    assert betti_numbers(ring((9, 9))) == (1, 1)
    solid_ring = np.zeros((9, 9, 9), bool)
    solid_ring[:, :, 4] = ring((9, 9))
    assert betti_numbers(solid_ring) == (1, 1, 0)
    hollow = np.zeros((7, 7, 7), bool)
    hollow[1:6, 1:6, 1:6] = True
    hollow[3, 3, 3] = False
    assert betti_numbers(hollow) == (1, 0, 1)
    assert betti_numbers(np.zeros((4, 4, 4), bool)) == (0, 0, 0)
    diagonal = np.eye(4, dtype=bool)
    assert betti_numbers(diagonal) == (1, 0)


@pytest.mark.parametrize("shape", [(30, 32), (14, 15, 16)])
@pytest.mark.parametrize("seed", range(3))
def test_euler_characteristic_agrees_with_scikit_image(shape, seed):
    mask = blob(seed, shape, 0.8)
    assert euler_characteristic(mask) == euler_number(mask, connectivity=mask.ndim)


@pytest.mark.parametrize("shape", [(40, 44), (14, 16, 18)])
@pytest.mark.parametrize("seed", range(3))
def test_a_skeleton_is_thin_lies_inside_and_keeps_the_topology(shape, seed):
    mask = blob(seed, shape)
    line = skeleton(mask)
    assert (line <= mask).all()
    assert betti_numbers(line) == betti_numbers(mask)
    assert np.array_equal(skeleton(line), line)


def test_the_skeleton_of_a_tube_is_its_axis():
    places = np.indices((15, 15, 30))
    tube = (places[0] - 7) ** 2 + (places[1] - 7) ** 2 <= 16
    tube[:, :, :4] = tube[:, :, 26:] = False
    away_from_the_ends = skeleton(tube)[:, :, 9:21]
    assert away_from_the_ends[7, 7].all() and away_from_the_ends.sum() == 12


def test_a_line_is_its_own_skeleton():
    mask = np.zeros((5, 12), bool)
    mask[2, 2:10] = True
    assert np.array_equal(skeleton(mask), mask)


@pytest.mark.parametrize("shape", [(30, 32), (10, 12, 14)])
def test_warping_moves_borders_and_keeps_the_topology(shape):
    mask, target = blob(0, shape, 2), blob(1, shape, 2)
    moved = warped(mask, target)
    assert betti_numbers(moved) == betti_numbers(mask)
    assert (moved != target).sum() < (mask != target).sum()
    assert ((moved == target) | (moved == mask)).all()
