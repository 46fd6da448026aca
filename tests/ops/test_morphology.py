"""Components, distances, holes and surfaces of masks."""

import numpy as np
import pytest
from scipy import ndimage

from hyoid.ops.morphology import apart, bounding_box, components, distance, fill_holes, largest, surface

SHAPES = [(24, 31), (12, 14, 13), (1, 9, 9)]


def blobs(shape, seed=0, level=0.0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1) > level


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("full", [True, False])
def test_components_agree_with_scipy(shape, full):
    mask = blobs(shape, level=0.1)
    structure = ndimage.generate_binary_structure(len(shape), len(shape) if full else 1)
    expected, count = ndimage.label(mask, structure)
    labels, found = components(mask, full)
    assert found == count
    assert ((labels > 0) == mask).all()
    assert len(np.unique(np.stack([labels[mask], expected[mask]]), axis=1).T) == count


def test_the_largest_component_is_kept():
    mask = np.zeros((10, 10), bool)
    mask[:2, :2] = mask[5:8, 5:9] = True
    assert largest(mask).sum() == 12
    assert largest(mask[:4]).sum() == 4
    assert not largest(np.zeros((3, 3), bool)).any()


def test_a_corner_connects_only_when_asked():
    mask = np.eye(3, dtype=bool)
    assert components(mask)[1] == 1
    assert components(mask, full=False)[1] == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_agrees_with_scipy(shape):
    spacing = (2.5, 0.7, 1.1)[: len(shape)]
    mask = blobs(shape)
    np.testing.assert_allclose(distance(mask, spacing), ndimage.distance_transform_edt(mask, spacing), rtol=1e-5)


@pytest.mark.parametrize("shape", [(20, 24), (9, 12, 11)])
def test_apart_is_the_distance_on_both_sides(shape):
    mask, spacing = blobs(shape), (0.5, 2.0, 1.5)[: len(shape)]
    np.testing.assert_array_equal(apart(mask, spacing), distance(mask, spacing) + distance(~mask, spacing))
    assert np.isinf(apart(np.ones(shape, bool))).all() and np.isinf(apart(np.zeros(shape, bool))).all()


def test_distance_without_an_outside_is_infinite():
    assert np.isinf(distance(np.ones((4, 4), bool))).all()
    assert (distance(np.zeros((4, 4), bool)) == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_filled_holes_agree_with_scipy(shape):
    mask = blobs(shape, level=-0.1)
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_nothing_and_everything_have_no_holes():
    assert not fill_holes(np.zeros((4, 5), bool)).any()
    assert fill_holes(np.ones((4, 5), bool)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_surface_is_what_erosion_takes_away(shape):
    mask = blobs(shape)
    np.testing.assert_array_equal(surface(mask), mask & ~ndimage.binary_erosion(mask))


def test_the_box_holds_the_mask_tightly():
    mask = np.zeros((7, 8, 9), bool)
    mask[2, 3:6, 8] = mask[4, 5, 1] = True
    assert bounding_box(mask) == (slice(2, 5), slice(3, 6), slice(1, 9))
    assert bounding_box(np.zeros((3, 3), bool)) is None


def test_surface_voxels_have_a_face_neighbour_outside():
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    expected = mask.copy()
    expected[2:5, 2:5] = False
    assert np.array_equal(surface(mask), expected)


def test_a_mask_has_a_surface_at_the_border_of_the_image():
    mask = np.ones((4, 5), bool)
    expected = np.ones_like(mask)
    expected[1:3, 1:4] = False
    assert np.array_equal(surface(mask), expected)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(1, 10), (3, 3), (7, 7), (5, 4), (3, 1, 1), (5, 3, 7)])
def test_components_of_small_and_odd_shapes_are_those_of_scipy(shape, full):
    rng = np.random.default_rng(0)
    connected = ndimage.generate_binary_structure(len(shape), len(shape) if full else 1)
    for _ in range(40):
        mask = rng.random(shape) < 0.4
        labels, count = components(mask, full)
        assert np.array_equal(labels > 0, mask)
        assert count == ndimage.label(mask, connected)[1]
