"""Schemes that make intensities comparable."""

import numpy as np
import pytest

from hyoid.core.errors import ConfigError
from hyoid.preparation.intensity import IntensitySettings, scaled_back, schemes

OPTIONS = {
    "ct": {"lower": -900.0, "upper": 300.0, "mean": 40.0, "std": 80.0},
    "zscore": {"content_only": True},
}


def scheme(name, **options):
    return IntensitySettings(scheme=name, options=options).build()


def image(seed=0, shape=(6, 7, 8)):
    return np.random.default_rng(seed).normal(100, 30, shape)


@pytest.mark.parametrize("name", schemes)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_every_scheme_gives_finite_float32_and_leaves_its_input(name, dtype):
    for channel in (image().astype(dtype), np.zeros((4, 5), dtype), np.full((4, 5), 200, dtype)):
        before = channel.copy()
        result = scheme(name, **OPTIONS.get(name, {}))(channel, channel > 90)
        assert result.dtype == np.float32 and result.shape == channel.shape
        assert np.isfinite(result).all()
        np.testing.assert_array_equal(channel, before)


def test_zscore_has_mean_zero_and_deviation_one():
    result = scheme("zscore")(image(), None)
    assert result.mean() == pytest.approx(0, abs=1e-5)
    assert result.std() == pytest.approx(1, abs=1e-5)


def test_zscore_of_the_content_leaves_zero_outside():
    channel, mask = image(), np.zeros((6, 7, 8), bool)
    mask[2:4] = True
    result = scheme("zscore", content_only=True)(channel, mask)
    assert result[mask].std() == pytest.approx(1, abs=1e-5)
    assert (result[~mask] == 0).all()


@pytest.mark.parametrize("name", ["zscore", "percentiles"])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e6])
def test_constant_images_become_zeros(name, value):
    assert (scheme(name)(np.full((5, 5), value), None) == 0).all()


def test_ct_clips_and_standardises_with_the_data_set():
    result = scheme("ct", lower=-100.0, upper=200.0, mean=50.0, std=10.0)(np.array([-1000, 50, 60, 3000]), None)
    np.testing.assert_allclose(result, [-15, 0, 1, 15])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fixed", {"mean": 900.5, "std": 80.0}),
        ("fixed", {"mean": 3.0, "std": 0.0}),
        ("rgb", {"mean": 0.4, "std": 0.2}),
        ("none", {}),
        ("ct", OPTIONS["ct"]),
    ],
)
def test_what_is_scaled_alike_in_all_images_is_scaled_back(name, options):
    one = IntensitySettings(scheme=name, options=options)
    np.testing.assert_allclose(scaled_back(one.build()(image(), None)[None], [one])[0], image(), rtol=1e-4)


@pytest.mark.parametrize("name", ["zscore", "percentiles"])
def test_what_each_image_measures_cannot_be_scaled_back(name):
    with pytest.raises(ConfigError, match=f"'{name}' measures each target.*choose fixed, ct, rgb, none"):
        scaled_back(image()[None], [IntensitySettings(scheme=name)])


def test_percentiles_are_not_moved_by_an_outlier():
    channel = image(shape=(50, 50))
    spoilt = channel.copy()
    spoilt[0, 0] = 1e9
    np.testing.assert_allclose(
        scheme("percentiles")(spoilt, None)[1:], scheme("percentiles")(channel, None)[1:], atol=0.05
    )


def test_rgb_is_divided_by_255():
    channel = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(scheme("rgb")(channel, None), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(scheme("rgb", mean=0.2, std=0.4)(channel, None), [-0.5, 0, 2], atol=1e-6)


def test_calibrated_images_can_stay_as_they_are():
    np.testing.assert_array_equal(scheme("none")(np.array([1, 2, 3]), None), [1, 2, 3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scheme": "zscor"}, "Did you mean 'zscore'"),
        ({"scheme": "ct", "options": {"lowr": 1}}, "Did you mean 'lower'"),
        ({"scheme": "ct", "options": {"lower": 1}}, "upper"),
    ],
)
def test_wrong_settings_are_told_when_they_are_read(values, message):
    with pytest.raises(ConfigError, match=message):
        IntensitySettings.parse(values)
