"""Metrics of images: how near a restored image is to the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core.errors import DataError
from ..core.registry import Registry
from .finding import Compared
from .metric import Metric, Positive, metric

image_metrics: Registry[Metric] = Registry("metric of images", checked=True)


@dataclass(frozen=True)
class Images(Compared):
    """A restored image and the true one, float64 (*S), without channels.

    Attributes:
        prediction: The restored image.
        reference: The true image.
    """

    prediction: np.ndarray
    reference: np.ndarray

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float] | None = None) -> Images:
        """Two images of one shape; the spacing is not used.

        Raises:
            DataError: When the shapes differ.
        """
        prediction, reference = np.asarray(prediction, float), np.asarray(reference, float)
        if prediction.shape != reference.shape or not reference.size:
            raise DataError(f"Two images of one shape are compared; got {prediction.shape} and {reference.shape}.")
        return cls(prediction, reference)

    @property
    def mean_square(self) -> float:
        """Mean squared difference."""
        return float(np.mean((self.prediction - self.reference) ** 2))

    def spread(self, data_range: Positive | None) -> float:
        """The range of intensities: as given, or that of the true image (1 when it is constant)."""
        return data_range or float(np.ptp(self.reference)) or 1.0


_FACTS: dict[str, Any] = {"shelf": image_metrics, "compares": Images, "defined_for_empty": True}


@metric("psnr", best=float("inf"), worst=float("-inf"), unit="dB", convention="range of the true image", **_FACTS)
def psnr(images: Images, data_range: Positive | None = None) -> float:
    """Peak signal to noise ratio, 10 log10(range² / mean squared difference); infinite for equal images.

    Args:
        data_range: Largest minus smallest possible intensity; that of the true image when None. Values with different
            ranges cannot be compared.
    """
    error = images.mean_square
    return float(10 * np.log10(images.spread(data_range) ** 2 / error)) if error else float("inf")


@metric("ssim", papers="wang2004image", best=1.0, worst=-1.0, convention="Gaussian window, sigma 1.5", **_FACTS)
def ssim(images: Images, data_range: Positive | None = None) -> float:
    """Likeness of local mean, contrast and pattern (structural similarity), averaged over places with a whole window.

    (2 m_p m_r + c1)(2 s_pr + c2) / ((m_p² + m_r² + c1)(s_p² + s_r² + c2)), c1 = (0.01 range)², c2 = (0.03 range)²;
    moments under a Gaussian window of 11 voxels and sigma 1.5. Images smaller than it are averaged over all places.

    Args:
        data_range: Largest minus smallest possible intensity; that of the true image when None.
    """
    from scipy.ndimage import gaussian_filter

    blur = lambda array: gaussian_filter(array, 1.5, truncate=3.5)  # noqa: E731
    one, other = images.prediction, images.reference
    mean, truth = blur(one), blur(other)
    variance, true_variance = blur(one * one) - mean**2, blur(other * other) - truth**2
    together = blur(one * other) - mean * truth
    first, second = ((factor * images.spread(data_range)) ** 2 for factor in (0.01, 0.03))
    value = (2 * mean * truth + first) * (2 * together + second)
    value /= (mean**2 + truth**2 + first) * (variance + true_variance + second)
    inner = tuple(slice(5, -5) if length > 10 else slice(None) for length in value.shape)
    return float(value[inner].mean())


@metric("mae", best=0.0, worst=float("inf"), **_FACTS)
def mae(images: Images) -> float:
    """Mean absolute difference, in the numbers of the images."""
    return float(np.abs(images.prediction - images.reference).mean())


@metric("nrmse", best=0.0, worst=float("inf"), convention="root mean square of the true image", **_FACTS)
def nrmse(images: Images, by: Literal["root_mean_square", "range", "mean"] = "root_mean_square") -> float:
    """Root mean squared difference relative to the true image.

    Args:
        by: What it is divided by: the root mean square of the true image, its range, or its mean. Divided by what is 0,
            it is infinite unless the images are equal.
    """
    sizes = {
        "root_mean_square": float(np.sqrt(np.mean(images.reference**2))),
        "range": float(np.ptp(images.reference)),
        "mean": float(abs(images.reference.mean())),
    }
    error = float(np.sqrt(images.mean_square))
    if not error:
        return 0.0
    return error / sizes[by] if sizes[by] else float("inf")
