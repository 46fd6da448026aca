"""Metrics of topology against drawings whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.morphology import skeletonize

from hyoid.metrics import metrics


def bars() -> np.ndarray:
    mask = np.zeros((16, 20), bool)
    mask[2:6, 2:18] = mask[9:13, 2:18] = True
    return mask


def test_a_moved_border_costs_no_topology():
    reference = bars()
    prediction = reference.copy()
    prediction[6, 2:18] = True
    for name in ("warping_error", "betti_error"):
        assert metrics.build(name)(prediction, reference) == 0.0
    assert metrics.build("cl_dice")(prediction, reference) > 0.95


def test_a_bridge_of_one_voxel_remains_after_warping():
    reference = bars()
    prediction = reference.copy()
    prediction[6:9, 10] = True
    assert metrics.build("warping_error")(prediction, reference) == 1 / reference.size
    assert metrics.build("betti_error")(prediction, reference) == 1.0


def test_a_hole_and_a_lost_piece_add_up():
    reference = bars()
    prediction = reference.copy()
    prediction[9:13] = False
    prediction[3, 5] = False
    assert metrics.build("betti_error")(prediction, reference) == 2.0
    assert metrics.build("warping_error")(prediction, reference) > 1 / reference.size


def test_cl_dice_counts_centre_lines():
    reference = np.zeros((9, 30), bool)
    reference[4, 5:25] = True
    prediction = reference.copy()
    prediction[4, 15:25] = False
    assert metrics.build("cl_dice")(prediction, reference) == pytest.approx(2 * 1.0 * 0.5 / 1.5)
    assert metrics.build("cl_dice")(np.roll(reference, 2, 0), reference) == 0.0


@pytest.mark.parametrize("shape", [(64, 64), (24, 26, 28)])
def test_cl_dice_is_near_that_of_the_skeletons_of_scikit_image(shape):
    rng = np.random.default_rng(3)
    base = gaussian_filter(rng.standard_normal(shape), 2)
    other = base + 0.3 * gaussian_filter(rng.standard_normal(shape), 2)
    reference, prediction = base > 0.3 * base.std(), other > 0.3 * other.std()
    lines = skeletonize(prediction) > 0, skeletonize(reference) > 0
    right, found = (lines[0] & reference).sum() / lines[0].sum(), (lines[1] & prediction).sum() / lines[1].sum()
    assert metrics.build("cl_dice")(prediction, reference) == pytest.approx(
        2 * right * found / (right + found), abs=0.04
    )
