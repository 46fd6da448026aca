"""Thresholds and clusters against independent implementations and worked values."""

import numpy as np
import pytest
from skimage.filters import threshold_multiotsu, threshold_otsu
from sklearn.cluster import KMeans, MeanShift

from hyoid.classical.clustering import cluster, modes, nearest
from hyoid.classical.thresholds import otsu_thresholds


def hills(*centres: float, number: int = 400) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(centre, 0.5, number) for centre in centres]).astype(np.float32)


@pytest.mark.parametrize("centres", [(0, 2.5), (0, 3, 9), (1, 2, 6)])
def test_otsu_is_that_of_scikit_image(centres):
    values = hills(*centres)
    width = (values.max() - values.min()) / 256
    # theirs is the middle of the last bin below, ours its upper edge
    assert otsu_thresholds(values)[0] - width / 2 == pytest.approx(threshold_otsu(values), abs=1e-5)


def test_multi_otsu_is_that_of_scikit_image():
    values = hills(0, 3, 9)
    width = (values.max() - values.min()) / 256
    theirs = threshold_multiotsu(values, 3)
    assert otsu_thresholds(values, 3) - width / 2 == pytest.approx(theirs.astype(float), abs=float(width))


def test_values_on_both_sides_of_the_threshold_are_told_apart():
    thresholds = otsu_thresholds(np.array([0, 0, 0, 1.0, 1.0]))
    assert list(np.searchsorted(thresholds, [0, 1])) == [0, 1]


@pytest.mark.parametrize(("values", "found"), [([5.0, 5.0], 0), ([1.0, 2.0], 1), ([1.0, 2.0, 4.0], 2)])
def test_there_are_no_more_classes_than_values(values, found):
    assert len(otsu_thresholds(np.array(values), 4)) == found


def test_k_means_is_as_tight_as_that_of_scikit_learn():
    points = np.stack([hills(0, 3, 9), hills(1, 0, 0)], 1)
    ours = cluster(points, 3)
    theirs = KMeans(3, n_init=5, random_state=0).fit(points)
    spread = ((points - ours[nearest(points.T, ours)]) ** 2).sum()
    assert spread == pytest.approx(theirs.inertia_, rel=1e-4)
    assert (np.diff(ours.sum(1)) > 0).all()


def test_k_means_of_few_values_gives_few_centres():
    assert cluster(np.array([[1.0], [2.0], [1.0]]), 5).tolist() == [[1.0], [2.0]]


def test_the_nearest_centre_is_the_nearest():
    rng = np.random.default_rng(0)
    array, centres = rng.standard_normal((3, 6, 7)).astype(np.float32), rng.standard_normal((5, 3)).astype(np.float32)
    far = ((array[None] - centres[:, :, None, None]) ** 2).sum(1)
    assert np.array_equal(nearest(array, centres), far.argmin(0))


def test_mean_shift_finds_the_modes_that_scikit_learn_finds():
    values = hills(0, 4, 9)
    centres, mode_of = modes(values[None], 0.25)
    theirs = MeanShift(bandwidth=2.0, bin_seeding=True).fit(values[:, None]).cluster_centers_[:, 0]
    assert np.sort(centres[:, 0]) == pytest.approx(np.sort(theirs), abs=0.25)
    assert np.abs(centres[mode_of, 0] - values).max() < 2.5
