"""Boxes that reach beyond an image."""

import numpy as np
import pytest

from hyoid.ops.boxes import read_box


def test_boxes_beyond_the_image_are_zero_or_mirrored():
    image = np.arange(5)[None]
    np.testing.assert_array_equal(read_box(image, (-3,), (10,)), [[0, 0, 0, 0, 1, 2, 3, 4, 0, 0]])
    np.testing.assert_array_equal(read_box(image, (-3,), (10,), "mirror"), [[3, 2, 1, 0, 1, 2, 3, 4, 3, 2]])
    np.testing.assert_array_equal(read_box(image, (7,), (2,)), [[0, 0]])


@pytest.mark.parametrize(
    ("start", "shape"), [((-7, 2), (25, 3)), ((3, -9), (4, 30)), ((0, 0), (5, 6)), ((9, 9), (3, 3))]
)
def test_mirroring_is_numpys_reflection(start, shape):
    image = np.random.default_rng(0).standard_normal((2, 5, 6))
    padded = np.pad(image, ((0, 0), (20, 20), (20, 20)), mode="reflect")
    part = tuple(slice(s + 20, s + 20 + n) for s, n in zip(start, shape, strict=True))
    np.testing.assert_array_equal(read_box(image, start, shape, "mirror"), padded[(slice(None), *part)])


def test_an_image_of_one_voxel_can_be_mirrored():
    np.testing.assert_array_equal(read_box(np.full((1, 1), 7), (-2,), (5,), "mirror"), np.full((1, 5), 7))
