"""A case as the net sees it, and the way back."""

from dataclasses import replace

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.ops.resample import onto
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.pipeline import PreparationSettings, prepare
from hyoid.preparation.spatial import content


def case(shape=(20, 24, 12), spacing=(1.0, 1.0, 2.5), margin=3, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    grid = Grid.plain(shape, spacing)
    array = np.zeros((channels, *shape), np.float32)
    inner = tuple(slice(margin, n - margin) for n in shape)
    array[(slice(None), *inner)] = 100 + 20 * rng.random([channels, *(n - 2 * margin for n in shape)])
    labels = np.zeros((1, *shape), np.uint8)
    labels[(0, *(slice(n // 3, 2 * n // 3) for n in shape))] = 1
    labels[(0, *(slice(n // 2, 2 * n // 3) for n in shape))] = 4
    return Case("case_1", Image(array, grid), Image(labels, grid, "labels"), {"patient": "7"})


def test_nothing_but_intensities_by_default():
    before = case()
    after = prepare(before, PreparationSettings())
    assert after.image.grid == before.image.grid and after.id == before.id and after.facts == before.facts
    assert after.image.array.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(after.truth.array, before.truth.array)


@pytest.mark.parametrize("crop", ["none", "content"])
@pytest.mark.parametrize("inside", [{}, {"content_only": True}])
def test_a_second_image_goes_the_same_way_with_measures_of_its_own(crop, inside):
    one = case(channels=2)
    other = one.image.with_array(np.where(one.image.array > 0, 3 * one.image.array + 50, 0))
    schemes = ({"scheme": "zscore", "options": inside}, {"scheme": "none"})
    settings = PreparationSettings.parse(
        {"orientation": "SAR", "crop": crop, "intensity": schemes, "spacing_mm": (2.0, 1.5, 1.5)}
    )
    after = prepare(replace(one, other=other), settings)
    assert after.other.grid == after.image.grid == prepare(one, settings).image.grid
    if inside or crop == "content":
        np.testing.assert_allclose(after.other.array[0], after.image.array[0], atol=1e-3)
    assert after.other.array[0].mean() == pytest.approx(after.image.array[0].mean(), abs=0.05)
    assert after.other.array[1].max() > 2.5 * after.image.array[1].max()


def test_a_second_image_is_measured_inside_its_own_content():
    one = case()
    array = one.image.array.copy()
    array[:, :10] = 0
    inside = PreparationSettings(intensity=(IntensitySettings(options={"content_only": True}),))
    values = prepare(replace(one, other=one.image.with_array(array)), inside).other.array[array > 0]
    assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=1e-3)


def test_content_is_cropped_before_intensities_are_measured():
    after = prepare(case(), PreparationSettings(crop="content"))
    assert after.image.grid.shape == (14, 18, 6)
    assert after.image.array.mean() == pytest.approx(0, abs=1e-4)
    assert after.image.array.min() > -2


def test_holes_belong_to_the_content():
    image = np.ones((1, 7, 7, 7), np.float32)
    image[0, 3, 3, 3] = 0
    assert content(Image(image, Grid.plain((7, 7, 7), (1, 1, 1)))).all()


@pytest.mark.parametrize("crop", ["content", "none"])
def test_an_empty_image_stays_whole(crop):
    empty = case(margin=10, shape=(20, 20, 20))
    after = prepare(empty, PreparationSettings(crop=crop))
    assert after.image.grid == empty.image.grid and (after.image.array == 0).all()


def test_colour_images_are_never_cropped():
    before = case((20, 30), (1.0, 1.0), channels=3)
    rgb = (IntensitySettings(scheme="rgb"),) * 3
    assert prepare(before, PreparationSettings(crop="content", intensity=rgb)).image.grid == before.image.grid


def test_axes_point_where_asked():
    after = prepare(case(), PreparationSettings(orientation="SPL"))
    assert after.image.grid.orientation == "SPL" and after.image.grid.shape == (12, 24, 20)


def test_spacing_is_kept_along_an_axis_without_one():
    after = prepare(case(), PreparationSettings(orientation="SAR", spacing_mm=(None, 2.0, 0.8)))
    assert after.image.grid.spacing_mm == pytest.approx((2.5, 2.0, 0.8))
    assert after.truth.grid == after.image.grid
    assert set(np.unique(after.truth.array)) == {0, 1, 4}


@pytest.mark.parametrize("spacing", [None, (2.5, 0.9, 0.9), (1.25, 1.0, 1.0)])
def test_the_way_back_is_one_call(spacing):
    before = case()
    settings = PreparationSettings(orientation="ILP", crop="content", spacing_mm=spacing)
    after = prepare(before, settings)
    assert after.image.grid != before.image.grid
    back = onto(after.truth, before.image.grid)
    assert back.grid == before.image.grid
    assert (back.array == before.truth.array).mean() > 0.99
    if spacing is None:
        np.testing.assert_array_equal(back.array, before.truth.array)


def test_each_channel_has_its_own_scheme():
    before = case(channels=2)
    settings = PreparationSettings(intensity=(IntensitySettings(scheme="none"), IntensitySettings()))
    after = prepare(before, settings).image.array
    np.testing.assert_array_equal(after[0], before.image.array[0])
    assert after[1].mean() == pytest.approx(0, abs=1e-4)


def test_intensities_inside_the_content_only():
    settings = PreparationSettings(intensity=(IntensitySettings(options={"content_only": True}),))
    after = prepare(case(), settings).image.array
    assert after[0, 0, 0, 0] == 0 and after[after != 0].std() == pytest.approx(1, abs=1e-3)


def test_a_case_without_labels_is_prepared():
    before = case()
    after = prepare(Case("new", before.image), PreparationSettings(crop="content", spacing_mm=(2.0, 2.0, 2.0)))
    assert after.truth is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PreparationSettings(intensity=(IntensitySettings(),) * 2), "case_1: expected 2 channels"),
        (PreparationSettings(spacing_mm=(1.0, 1.0)), "case_1: expected an image of 2 dimensions"),
    ],
)
def test_a_case_of_another_kind_is_named(settings, message):
    with pytest.raises(DataError, match=message):
        prepare(case(), settings)


@pytest.mark.parametrize("crop", ["none", "content"])
@pytest.mark.parametrize("spacing", [None, (0.2, 0.2), (0.4, 0.2)])
def test_images_of_every_size_get_one_extent_and_answers_come_back(spacing, crop):
    settings = PreparationSettings(extent=60.0, crop=crop)
    for shape in ((40, 30), (120, 90), (320, 240)):
        before = case(shape, spacing, margin=shape[0] // 10)
        after = prepare(before, settings)
        if crop == "none":
            assert np.prod(after.image.grid.shape) == pytest.approx(3600, rel=0.03)
        else:  # the border that is cut off does not make the rest larger
            assert np.prod(after.image.grid.shape) == pytest.approx(3600 * 0.8 * (1 - 0.2 * 4 / 3), rel=0.05)
        assert after.image.grid.spacing_mm[0] == pytest.approx(after.image.grid.spacing_mm[1], rel=0.05)
        back = onto(after.truth, before.image.grid)
        assert back.grid == before.image.grid and (back.array == before.truth.array).mean() > 0.97


def test_an_image_that_has_the_extent_already_is_not_touched():
    before = case((51, 77), None)
    after = prepare(
        before, PreparationSettings(extent=round((51 * 77) ** 0.5, 1), intensity=(IntensitySettings(scheme="none"),))
    )
    assert after.image.grid == before.image.grid
    np.testing.assert_array_equal(after.image.array, before.image.array)


def test_fine_patterns_vanish_from_images_that_shrink_to_a_common_extent():
    stripes = np.tile([100.0, 300.0], (1, 120, 60))
    before = Case("stripes", Image(stripes, Grid.plain((120, 120))))
    settings = PreparationSettings(extent=40.0, intensity=(IntensitySettings(scheme="none"),))
    assert prepare(before, settings).image.array.std() < 0.4 * stripes.std()
    calibrated = PreparationSettings(spacing_mm=(3.0, 3.0), intensity=settings.intensity)  # read as before
    assert prepare(before, calibrated).image.array.std() > 0.9 * stripes.std()


def test_extent_and_spacing_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        PreparationSettings.parse({"extent": 60.0, "spacing_mm": (1.0, 1.0)})


def test_pixels_of_unknown_size_are_counted():
    before = Case("photo", Image(np.ones((1, 8, 8), np.uint8), Grid.plain((8, 8))))
    assert prepare(before, PreparationSettings(spacing_mm=(1.0, 1.0))).image.grid.shape == (8, 8)
    assert prepare(before, PreparationSettings(spacing_mm=(2.0, 2.0))).image.grid.shape == (4, 4)


def test_settings_there_and_back(tmp_path):
    settings = PreparationSettings(
        orientation="SAR",
        crop="content",
        spacing_mm=(None, 0.5, 0.5),
        intensity=(IntensitySettings(scheme="ct", options={"lower": -1.0, "upper": 2.0, "mean": 0.0, "std": 1.0}),),
    )
    settings.write(tmp_path / "a.yaml")
    assert PreparationSettings.read(tmp_path / "a.yaml") == settings
