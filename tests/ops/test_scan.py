"""Boxes and joint counts of label maps against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.ops.morphology import bounding_box
from hyoid.ops.scan import boxes_of_values, count_meetings, count_values


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_boxes_hold_each_value_whatever_the_order_in_memory(dtype, axes):
    array = np.random.default_rng(0).choice([0, 0, 0, 0, 0, 0, 3, 7], (6, 7, 8)).astype(dtype)
    array[0] = array[:, 1] = 0
    array = np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
    found = boxes_of_values(array, (3, 5, 7))
    assert found == {3: bounding_box(array == 3), 7: bounding_box(array == 7)}


@pytest.mark.parametrize("values", [(-2, 4), (4, 90000)])
def test_boxes_of_unusual_values(values):
    array = np.zeros((5, 6), np.int32)
    array[1:3, 2:4], array[4, 5] = values
    assert boxes_of_values(array, values) == {
        values[0]: (slice(1, 3), slice(2, 4)),
        values[1]: (slice(4, 5), slice(5, 6)),
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_meetings_are_counted(order):
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 4, (5, 6, 7), np.uint8), rng.integers(0, 3, (5, 6, 7), np.uint8)
    expected = np.zeros((4, 3), int)
    np.add.at(expected, (one, other), 1)
    assert count_meetings(np.array(one, order=order), np.array(other, order=order), 4, 3).tolist() == expected.tolist()


def test_values_are_counted():
    array = np.random.default_rng(2).integers(0, 9, 500, np.uint8)
    assert count_values(array, 12).tolist() == np.bincount(array, minlength=12).tolist()
