"""Values after each intensity transform, against formulas and SciPy, and how often policies draw them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from hyoid.augmentation.artefacts import Blur, LowResolution, Noise, _smoothed, smoothed_by_torch
from hyoid.augmentation.intensity import Brightness, BrightnessShift, Contrast, Gamma
from hyoid.augmentation.policies import build_policy
from hyoid.augmentation.transform import IntensityTransform, split_range

FRAME = build_policy("none", (20, 24, 22)).frame


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(2, *FRAME.shape, generator=torch.Generator().manual_seed(0)) + 1


def test_factors_lie_half_below_and_half_above_one():
    factors = split_range(np.random.default_rng(0), (0.5, 2.0), 4000)
    assert (factors < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert factors[factors < 1].mean() == pytest.approx(0.75, abs=0.02)
    assert factors[factors > 1].mean() == pytest.approx(1.5, abs=0.04)
    assert 0.5 <= factors.min() < factors.max() <= 2


def test_brightness_scales_each_channel(image):
    before = image.clone()
    Brightness().apply(image, [0.5, 2.0])
    torch.testing.assert_close(image, before * torch.tensor([0.5, 2.0]).reshape(2, 1, 1, 1))


def test_brightness_shift_adds_to_each_channel(image):
    before = image.clone()
    BrightnessShift().apply(image, [0.5, -2.0])
    torch.testing.assert_close(image, before + torch.tensor([0.5, -2.0]).reshape(2, 1, 1, 1))


def test_contrast_stretches_about_the_mean_within_the_old_range(image):
    before = image.clone()
    Contrast().apply(image, [0.5, 2.0])
    mean = before.mean((1, 2, 3), keepdim=True)
    factor = torch.tensor([0.5, 2.0]).reshape(2, 1, 1, 1)
    truth = (before - mean) * factor + mean
    truth = truth.clamp(before.amin((1, 2, 3), keepdim=True), before.amax((1, 2, 3), keepdim=True))
    torch.testing.assert_close(image, truth)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_is_a_power_of_the_range_that_keeps_mean_and_deviation(image, inverted):
    before = image.clone()
    Gamma(inverted=inverted).apply(image, [0.7, 1.5])
    for channel, old, exponent in zip(image, before, (0.7, 1.5), strict=True):
        sign = -1 if inverted else 1
        unit = (sign * old - (sign * old).min()) / (old.max() - old.min())
        truth = sign * unit**exponent
        truth = (truth - truth.mean()) / truth.std(correction=0) * old.std(correction=0) + old.mean()
        torch.testing.assert_close(channel, truth, atol=1e-4, rtol=1e-4)


def test_gamma_without_statistics_keeps_the_range(image):
    before = image.clone()
    Gamma(keep_statistics=False).apply(image, [0.5, 2.0])
    torch.testing.assert_close(image.amin((1, 2, 3)), before.amin((1, 2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(image.amax((1, 2, 3)), before.amax((1, 2, 3)), atol=1e-5, rtol=0)
    assert image[0].mean() > before[0].mean()
    assert image[1].mean() < before[1].mean()


def test_noise_has_its_deviation_and_belongs_to_its_seed(image):
    before = image.clone()
    again = image.clone()
    Noise().apply(image, (0.3, 11))
    Noise().apply(again, (0.3, 11))
    assert float((image - before).std()) == pytest.approx(0.3, rel=0.03)
    assert float((image - before).mean()) == pytest.approx(0, abs=0.01)
    assert torch.equal(image, again)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [0.0, 0.3, 1.0, 2.5])
def test_other_devices_smooth_as_the_processor_does(axis, width):
    values = torch.randn(7, 30, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_smoothed(values, axis, width), smoothed_by_torch(values, axis, width))


def test_blur_is_the_gaussian_of_scipy(image):
    before = image.numpy().copy()
    Blur().apply(image, [[], [0.5, 1.0, 0.8]])
    truth = before[1]
    for axis, sigma in ((2, 0.5), (1, 1.0), (0, 0.8)):
        truth = gaussian_filter1d(truth, sigma, axis, mode="nearest", radius=int(4 * sigma + 0.5))
    np.testing.assert_array_equal(image[0].numpy(), before[0])
    np.testing.assert_allclose(image[1].numpy(), truth, atol=1e-5)


def test_low_resolution_takes_the_nearest_voxels_and_interpolates():
    image = torch.arange(8.0).repeat(1, 4, 1)
    LowResolution().apply(image, [[4, 4]])
    # Voxels 1, 3, 5, 7 stand for pairs whose centres lie at 0.5, 2.5, 4.5 and 6.5.
    torch.testing.assert_close(image[0, 0], torch.tensor([1, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7]))


def test_low_resolution_leaves_a_thick_axis_alone():
    frame = build_policy("none", (10, 40, 40), (5.0, 1, 1)).frame
    drawn = LowResolution(channel_probability=1).draw(np.random.default_rng(0), frame, 3)
    assert all(kept[0] == 10 and 20 <= kept[1] == kept[2] <= 40 for kept in drawn)


@pytest.mark.parametrize(
    ("kind", "inverted", "probability", "low", "high"),
    [
        (Noise, None, 0.1, 0, 0.1),
        (Blur, None, 0.2, 0.5, 1),
        (Brightness, None, 0.15, 0.75, 1.25),
        (Contrast, None, 0.15, 0.75, 1.25),
        (LowResolution, None, 0.25, 0.5, 1),
        (Gamma, True, 0.1, 0.7, 1.5),
        (Gamma, False, 0.3, 0.7, 1.5),
    ],
)
def test_the_nnunet_policy_draws_by_its_table(kind, inverted, probability, low, high):
    policy = build_policy("nnunet", (100, 100))
    (transform,) = [t for t in policy.intensity if type(t) is kind and getattr(t, "inverted", None) in (inverted, None)]
    values, happened = amounts(transform, policy.frame, 4000)
    assert happened / 4000 == pytest.approx(probability, abs=0.025)
    reach = high - low
    assert low <= min(values) < low + 0.05 * reach
    assert high - 0.05 * reach < max(values) <= high


def amounts(transform: IntensityTransform, frame, count: int) -> tuple[list[float], int]:
    """All single numbers that were drawn, as the table gives them, and how often something was."""
    rng = np.random.default_rng(0)
    drawn = [d for d in (transform.draw(rng, frame, 2) for _ in range(count)) if d is not None]
    if isinstance(transform, Noise):
        return [std for std, _ in drawn], len(drawn)
    values = np.concatenate([np.ravel(row) for one in drawn for row in one])
    return (values / 100 if isinstance(transform, LowResolution) else values).tolist(), len(drawn)


def test_the_order_of_the_nnunet_policy_is_the_recipes():
    policy = build_policy("nnunet", (16, 16))
    names = [type(t).__name__ for t in policy.intensity]
    assert names == ["Noise", "Blur", "Brightness", "Contrast", "LowResolution", "Gamma", "Gamma"]
    assert [getattr(t, "inverted", None) for t in policy.intensity[-2:]] == [True, False]
