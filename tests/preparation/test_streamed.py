"""Preparing an image on disk: every box is what the whole prepared image holds there."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.pipeline import PreparationSettings, prepare
from hyoid.preparation.statistics import Moments, Ranks, mean_and_std
from hyoid.preparation.streamed import needs_all, prepare_streamed


@dataclass(frozen=True)
class OnDisk:
    """An array that is only read by boxes."""

    array: np.ndarray
    block: tuple[int, ...]

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype

    def __getitem__(self, index):
        return self.array[index].copy()


def on_disk(case: Case) -> Case:
    array = case.image.array
    block = (1, *(7 for _ in array.shape[1:]))
    return replace(case, image=Image(OnDisk(array, block), case.image.grid))


def bright_case(shape, spacing_mm, channels=1) -> Case:
    rng = np.random.default_rng(1)
    array = np.zeros((channels, *shape), np.int16)
    inside = tuple(slice(n // 5, n - n // 6) for n in shape)
    array[(slice(None), *inside)] = rng.normal(300, 90, array[(slice(None), *inside)].shape)
    return Case("bright", Image(array, Grid.plain(shape, spacing_mm)))


@pytest.mark.parametrize("scheme", ["zscore", "percentiles", "rgb", "none"])
@pytest.mark.parametrize(
    ("shape", "spacing_mm", "settings"),
    [
        ((61, 73), None, {}),
        ((61, 73), (1.0, 0.7), {"spacing_mm": (1.6, 1.6)}),
        ((61, 73), (1.0, 0.7), {"spacing_mm": (0.5, 0.7), "order": 1}),
        ((61, 73), None, {"extent": 40.0, "crop": "content"}),
        ((61, 73), (1.0, 0.7), {"extent": 100.0}),
        ((161, 93), None, {"extent": 9.0, "order": 0}),
        ((21, 30, 26), (2.0, 1.0, 1.1), {"orientation": "SAR"}),
        ((21, 30, 26), (2.0, 1.0, 1.1), {"orientation": "LPI", "crop": "content", "spacing_mm": (1.5, 1.4, 1.5)}),
        ((12, 30, 26), (6.0, 1.0, 1.0), {"spacing_mm": (5.0, 1.7, 1.7)}),
    ],
)
def test_boxes_of_an_image_on_disk_are_those_of_the_whole(shape, spacing_mm, settings, scheme):
    case = bright_case(shape, spacing_mm, channels=2)
    chosen = PreparationSettings(intensity=(IntensitySettings(scheme=scheme),) * 2, **settings)
    assert needs_all(chosen) is None
    whole, streamed = prepare(case, chosen).image, prepare_streamed(on_disk(case), chosen)
    assert streamed.array.shape == whole.array.shape and streamed.grid.matches(whole.grid)
    rng = np.random.default_rng(2)
    everything = tuple(slice(0, n) for n in whole.grid.shape)
    for _ in range(10):
        low = [int(rng.integers(0, n)) for n in whole.grid.shape]
        box = tuple(slice(a, int(rng.integers(a + 1, n + 1))) for a, n in zip(low, whole.grid.shape, strict=True))
        for some in (box, everything):
            found, expected = streamed.array[(slice(None), *some)], whole.array[(slice(None), *some)]
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=2e-5 * max(1.0, float(np.abs(whole.array).max())))


def test_an_empty_image_is_not_cropped():
    case = Case("black", Image(np.zeros((1, 20, 21, 22), np.int16), Grid.plain((20, 21, 22), (1.0, 1.0, 1.0))))
    streamed = prepare_streamed(on_disk(case), PreparationSettings(crop="content"))
    assert streamed.array.shape == (1, 20, 21, 22) and not streamed.array[(slice(None),) * 4].any()


def test_numbers_that_are_none_are_refused():
    array = np.ones((1, 30, 30), np.float32)
    array[0, 20, 7] = np.nan
    case = on_disk(Case("holes", Image(array, Grid.plain((30, 30)))))
    with pytest.raises(DataError, match="holes: some voxels are NaN"):
        prepare_streamed(case, PreparationSettings())
    calibrated = PreparationSettings(intensity=(IntensitySettings(scheme="none"),))
    with pytest.raises(DataError, match="holes: some voxels are NaN"):
        prepare_streamed(case, calibrated).array[(slice(None), slice(10, 30), slice(0, 9))]


def test_what_needs_the_whole_image_is_told():
    inside = IntensitySettings(scheme="zscore", options={"content_only": True})
    assert "inside the filled content" in needs_all(PreparationSettings(intensity=(inside,)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_percentiles_of_parts_are_those_of_the_whole(dtype):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(-5, 40, 5000), np.zeros(900), rng.normal(60, 3, 77)]).astype(dtype)
    ranks = Ranks([0, 0.5, 33.3, 50, 99.5, 100])
    for hear in (ranks.count, ranks.refine):
        for part in np.array_split(values, 7):
            hear(part)
    np.testing.assert_allclose(
        ranks.found(), np.percentile(values, [0, 0.5, 33.3, 50, 99.5, 100]), rtol=1e-6, atol=1e-6
    )


def test_moments_of_parts_are_those_of_the_whole():
    values = np.random.default_rng(4).normal(1000, 2, 10_000).astype(np.float32)
    moments = Moments()
    for part in np.array_split(values, 9):
        moments.add(part)
    np.testing.assert_allclose((moments.mean, moments.std), mean_and_std(values), rtol=1e-12)
