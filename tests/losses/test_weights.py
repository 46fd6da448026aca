"""Weights in the gaps between touching objects, against distances to every object."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hyoid.losses.weights import touching_weights


def by_brute_force(instances, w0, sigma, spacing=None):
    """Equation 2 with the distance to every object everywhere."""
    ids = [value for value in np.unique(instances) if value]
    distances = np.sort([ndimage.distance_transform_edt(instances != i, spacing) for i in ids], axis=0)
    extra = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return np.where(instances == 0, 1 + extra, 1)


def blobs(shape, count, seed):
    """Instances grown from random seeds, with gaps in between and gaps in their numbers."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros(shape, int)
    for value in rng.choice(np.arange(1, 5 * count), count, replace=False):
        seeds[tuple(rng.integers(0, n) for n in shape)] = value
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return np.where(distance < 5, seeds[tuple(nearest)], 0)


@pytest.mark.parametrize(("shape", "sigma"), [((60, 70), 5.0), ((60, 70), 2.0), ((20, 24, 28), 3.0)])
def test_equals_the_distance_to_every_object(shape, sigma):
    instances = blobs(shape, 12, seed=4)
    np.testing.assert_allclose(touching_weights(instances, 10, sigma), by_brute_force(instances, 10, sigma), atol=1e-5)


def test_spacing_scales_distances():
    instances = blobs((30, 60), 6, seed=5)
    weights = touching_weights(instances, 10, 5, spacing=(2.0, 0.5))
    np.testing.assert_allclose(weights, by_brute_force(instances, 10, 5, (2.0, 0.5)), atol=1e-5)


def test_gap_of_one_voxel_weighs_nearly_everything():
    instances = np.array([[1, 1, 0, 7, 7]])
    weights = touching_weights(instances)
    assert weights[0, 2] == pytest.approx(1 + 10 * np.exp(-(2**2) / 50))
    assert weights[0, [0, 1, 3, 4]].tolist() == [1, 1, 1, 1]
    assert weights.dtype == np.float32


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 3, 0], [3, 3, 3]])
def test_fewer_than_two_objects_leave_all_weights_at_one(values):
    assert (touching_weights(np.array([values])) == 1).all()


def test_objects_without_background_leave_all_weights_at_one():
    assert (touching_weights(np.array([[1, 1, 2, 2]])) == 1).all()
