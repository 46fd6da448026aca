"""Metrics of images against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from hyoid.core.errors import DataError
from hyoid.metrics.restoration import image_metrics


def images(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.random(shape).cumsum(0)
    return reference + 0.3 * rng.standard_normal(shape), reference


@pytest.mark.parametrize("shape", [(32, 34), (16, 17, 18)])
def test_agrees_with_scikit_image(shape):
    prediction, reference = images(shape)
    extent = float(np.ptp(reference))
    psnr = peak_signal_noise_ratio(reference, prediction, data_range=extent)
    assert image_metrics.build("psnr")(prediction, reference) == pytest.approx(psnr)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = structural_similarity(reference, prediction, data_range=extent, **window)
    assert image_metrics.build("ssim")(prediction, reference) == pytest.approx(ssim)
    ssim = structural_similarity(reference, prediction, data_range=100.0, **window)
    assert image_metrics.build("ssim", data_range=100.0)(prediction, reference) == pytest.approx(ssim)
    for ours, theirs in {"root_mean_square": "euclidean", "range": "min-max", "mean": "mean"}.items():
        nrmse = normalized_root_mse(reference, prediction, normalization=theirs)
        assert image_metrics.build("nrmse", by=ours)(prediction, reference) == pytest.approx(nrmse)


def test_equal_and_flat_images():
    flat = np.zeros((12, 12))
    assert image_metrics.build("psnr")(flat, flat) == float("inf")
    assert image_metrics.build("ssim")(flat, flat) == 1.0
    assert image_metrics.build("nrmse")(flat, flat) == 0.0
    assert image_metrics.build("mae")(flat + np.linspace(-2, 2, 12), flat) == pytest.approx(12 / 11)
    assert image_metrics.build("nrmse")(flat + 1, flat) == float("inf")


def test_images_have_one_shape():
    with pytest.raises(DataError, match="one shape"):
        image_metrics.build("psnr")(np.zeros((3, 4)), np.zeros((4, 3)))
