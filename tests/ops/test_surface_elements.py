"""Areas of the surface between voxels against the published table and against solids whose area is known."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.ops.surface_elements import element_areas, surface_elements


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.7, 2.9), (0.6, 1.1, 0.8)])
def test_every_pattern_has_the_published_area(spacing):
    from surface_distance.lookup_tables import (
        ENCODE_NEIGHBOURHOOD_3D_KERNEL,
        create_table_neighbour_code_to_surface_area,
    )

    theirs = create_table_neighbour_code_to_surface_area(spacing)
    weights = ENCODE_NEIGHBOURHOOD_3D_KERNEL.ravel()
    for pattern, area in enumerate(element_areas(spacing)):
        code = sum(int(weights[bit]) for bit in range(8) if pattern >> bit & 1)
        assert area == pytest.approx(theirs[code])


def test_every_flat_pattern_has_the_published_length():
    from surface_distance.lookup_tables import (
        ENCODE_NEIGHBOURHOOD_2D_KERNEL,
        create_table_neighbour_code_to_contour_length,
    )

    theirs = create_table_neighbour_code_to_contour_length((0.5, 2.0))
    weights = ENCODE_NEIGHBOURHOOD_2D_KERNEL.ravel()
    for pattern, length in enumerate(element_areas((0.5, 2.0))):
        assert length == pytest.approx(theirs[sum(int(weights[bit]) for bit in range(4) if pattern >> bit & 1)])


def test_a_slab_through_the_image_has_two_faces_and_bevelled_ends():
    mask = np.zeros((5, 4, 3), bool)
    mask[2] = True
    there, areas = surface_elements(mask, (1.0, 1.0, 1.0))
    assert there.shape == (6, 5, 4)
    inner = there.copy()
    inner[:, [0, -1]] = inner[:, :, [0, -1]] = False
    assert areas[inner[there]].sum() == pytest.approx(2 * 3 * 2)


def test_an_empty_mask_has_no_surface():
    there, areas = surface_elements(np.zeros((3, 4), bool), (1.0, 1.0))
    assert not there.any() and not len(areas)
