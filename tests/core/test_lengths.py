"""Units and tolerances follow the size of voxels."""

from __future__ import annotations

import pytest

from hyoid.core.grid import Grid
from hyoid.core.lengths import Lengths, step_of

MICROSCOPE = Grid.plain((4, 4), (0.00065, 0.00065))
UNKNOWN = Grid.plain((4, 4))


@pytest.mark.parametrize(
    ("spacing_mm", "unit", "step_mm"),
    [
        ((1.0, 1.0, 1.0), "mm", 1.0),
        ((0.7, 0.7, 5.0), "mm", 1.4),
        ((0.25, 0.25), "mm", 1.0),
        ((0.24, 0.24), "mm", 0.24),
        ((0.07, 0.07), "mm", 0.07),
        ((4.0, 4.0, 4.0), "mm", 4.0),
        ((4.1, 4.1, 4.1), "mm", 4.1),
        ((5.0, 5.0, 5.0), "mm", 5.0),
        ((0.00065, 0.00065), "µm", 0.00065),
        ((0.0006543, 0.0006543), "µm", 0.00066),
        ((4e-6, 4e-6, 4e-5), "nm", 8.7e-6),
    ],
)
def test_the_unit_and_the_step_follow_the_edge_of_a_voxel(spacing_mm, unit, step_mm):
    found = Lengths.of([Grid.plain((2,) * len(spacing_mm), spacing_mm)])
    assert (found.unit, found.step_mm) == (unit, pytest.approx(step_mm))
    assert found.step_mm == step_of(spacing_mm) and found.margin_mm == 10 * found.step_mm


def test_sizes_are_areas_in_2d_and_pixels_where_one_image_does_not_know_its_own():
    found = Lengths.of([MICROSCOPE])
    assert (found.size_unit(2), found.voxel_size(MICROSCOPE.voxel_mm3, 2)) == ("µm²", pytest.approx(0.4225))
    assert (found.size_unit(3), found.voxel_size(2e-9, 3)) == ("µm³", pytest.approx(2))
    assert [Lengths.at(1, 1, edge).size_unit(3) for edge in (2, 0.016, 0.0156)] == ["ml", "ml", "mm³"]
    mixed = Lengths.of([MICROSCOPE, UNKNOWN])
    assert (mixed.unit, mixed.size_unit(2), mixed.voxel_size(0.1, 2), mixed.step_mm) == ("px", "px²", 1.0, 1.0)
    assert mixed.spacing_of(MICROSCOPE) == (1.0, 1.0)


def test_lengths_are_written_in_their_unit():
    assert str(MICROSCOPE) == "4x4 at 0.65x0.65 µm" and "unknown" in str(UNKNOWN)


def test_grids_a_pixel_apart_do_not_match_whatever_their_pixels():
    assert not MICROSCOPE.matches(MICROSCOPE.cropped((0, 1), (4, 4)))
