"""Which cases and slices are shown, which way up, and in which colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hyoid.core.grid import Grid
from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.reporting import Overlay
from hyoid.reporting.overlays import (
    CONFUSED,
    EXTRA,
    MISSING,
    RIGHT,
    chosen_cases,
    error_map,
    pictures,
    upright,
    worst_slice,
)


def test_each_kind_of_error_has_its_own_mark():
    reference = np.array([0, 1, 1, 0, 2])
    prediction = np.array([0, 1, 0, 2, 1])
    assert error_map(prediction, reference).tolist() == [0, RIGHT, MISSING, EXTRA, CONFUSED]


def test_the_slice_with_most_wrong_voxels_is_shown():
    errors = np.zeros((5, 6, 6), np.uint8)
    errors[1] = RIGHT
    errors[3, 2, :3] = MISSING
    assert worst_slice(errors, 0) == 3
    errors[3] = 0
    assert worst_slice(errors, 0) == 1
    assert worst_slice(np.zeros_like(errors), 0) == 2


def scored(*values: float) -> Report:
    settings = EvaluationSettings(metrics=("dice",))
    rows = tuple(Row(f"c{i}", f"c{i}", "a", "found", 1, 1, {"dice": value}) for i, value in enumerate(values))
    return Report(rows, ("a",), settings)


def test_worst_median_and_best_are_chosen_each_once():
    report = scored(0.9, 0.1, 0.5, 0.3, 0.7, 0.8, 0.2)
    assert chosen_cases(report) == [
        ("worst", "c1"),
        ("worst", "c6"),
        ("worst", "c3"),
        ("median", "c2"),
        ("best", "c0"),
    ]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.9,), [("only case", "c0")]),
        ((0.9, 0.1), [("worst", "c1"), ("best", "c0")]),
        ((0.9, 0.1, 0.5), [("worst", "c1"), ("median", "c2"), ("best", "c0")]),
        ((0.1, 0.2, 0.3, 0.4), [("worst", "c0"), ("worst", "c1"), ("median", "c2"), ("best", "c3")]),
        ((0.9, float("nan"), 0.2), [("worst", "c2"), ("best", "c0")]),
    ],
)
def test_few_cases_are_told_apart(scores, expected):
    assert chosen_cases(scored(*scores)) == expected


def marked(codes: str) -> Overlay:
    """A volume whose voxel at the right front head corner is bright and labelled, stored along these axes."""
    grid = Grid.plain((4, 5, 6), (1.0, 1.5, 2.0)).oriented(codes)
    array = np.zeros(grid.shape, np.uint8)
    base = Grid.plain((4, 5, 6), (1.0, 1.5, 2.0))
    corner = np.rint(grid.to_index(base.to_world(np.array([3, 4, 5])))).astype(int)
    array[tuple(corner)] = 1
    return Overlay("c", array[None].astype(np.float32), array, array, grid)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "AIL", "PSR"])
def test_volumes_are_turned_to_right_front_and_head(codes):
    overlay = marked(codes)
    image, errors, spacing = upright(overlay, overlay.reference)
    assert errors.shape == (4, 5, 6)
    assert spacing == (1.0, 1.5, 2.0)
    assert np.argwhere(errors).tolist() == [[3, 4, 5]]
    assert image[0, 3, 4, 5] == 1


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_pictures_do_not_depend_on_how_the_volume_is_stored(codes):
    assert pictures(marked(codes)) == pictures(marked("RAS"))


def test_three_planes_with_letters_in_3d_and_one_picture_in_2d():
    overlay = marked("RAS")
    planes = {picture.plane: picture for picture in pictures(overlay)}
    assert list(planes) == ["axial", "coronal", "sagittal"]
    assert planes["axial"].letters == ("R", "L", "A", "P")
    assert planes["axial"].place == "slice 6 of 6"
    flat = Overlay(
        "c", overlay.image[..., 0], overlay.reference[..., 0], overlay.prediction[..., 0], Grid.plain((4, 5))
    )
    assert [picture.plane for picture in pictures(flat)] == [""]


def test_a_volume_of_one_slice_shows_that_slice():
    overlay = marked("RAS")
    grid = overlay.grid.cropped((0, 0, 5), (4, 5, 1))
    thin = replace(
        overlay,
        image=overlay.image[..., 5:],
        reference=overlay.reference[..., 5:],
        prediction=overlay.prediction[..., 5:],
        grid=grid,
    )
    assert [picture.plane for picture in pictures(thin)] == ["axial"]


def test_pictures_have_the_proportions_of_the_body():
    grid = Grid.plain((20, 20, 10), (1.0, 1.0, 4.0))
    array = np.ones(grid.shape, np.uint8)
    shown = {picture.plane: picture for picture in pictures(Overlay("c", array[None], array, array, grid))}
    assert shown["coronal"].height == pytest.approx(2 * shown["coronal"].width, abs=2)
    assert shown["axial"].height == shown["axial"].width


def test_colour_images_stay_in_colour_and_flat_ones_do_not_fail():
    grid = Grid.plain((20, 20))
    mask = np.zeros((20, 20), np.uint8)
    for image in (np.full((3, 20, 20), 200, np.uint8), np.zeros((1, 20, 20)), np.full((2, 20, 20), np.nan)):
        (picture,) = pictures(Overlay("c", image, mask, mask, grid))
        assert picture.plain.startswith("data:image/webp;base64,")


def test_without_an_image_marks_stand_on_a_plain_ground():
    for overlay in (marked("LPS"), marked("RAS")):
        seen, bare = pictures(overlay), pictures(replace(overlay, image=None))
        assert [replace(one, plain="", marked="") for one in seen] == [replace(one, marked="") for one in bare]
        assert all(picture.marked.startswith("data:image/webp;base64,") for picture in bare)
