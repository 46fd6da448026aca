"""Intensity schemes: what makes numbers of different images comparable.

A scheme is built from its options and gives a function `(channel (*S), mask or None) -> (*S) float32`. Constant images
come out as zeros, never as NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ..core.errors import ConfigError, DataError
from ..core.registry import Registry
from ..core.settings import Settings
from .statistics import mean_and_std

Scheme = Callable[[np.ndarray, np.ndarray | None], np.ndarray]

schemes: Registry[Scheme] = Registry("intensity scheme")

_SMALLEST_STD = 1e-8

_SAME_FOR_ALL = {"fixed": 1.0, "ct": 1.0, "rgb": 255.0, "none": 1.0}
"""Schemes that scale all images alike, and by what they divide numbers before mean and deviation."""

LOW, HIGH = 0.5, 99.5
"""Percentiles to which the scheme of that name clips."""


class IntensitySettings(Settings):
    """How the intensities of one channel are made comparable."""

    scheme: str = Field("zscore", description="zscore, ct, percentiles, rgb, fixed, none, or one of an extension.")
    options: dict[str, Any] = Field({}, description="Options of the scheme, such as lower, upper, mean, std for ct.")

    @model_validator(mode="after")
    def _check(self) -> IntensitySettings:
        try:
            self.build()
        except (ConfigError, TypeError) as error:
            raise ValueError(str(error)) from None
        return self

    def build(self) -> Scheme:
        """The function that these settings describe."""
        return schemes.build(self.scheme, **self.options)

    @property
    def units(self) -> tuple[float, float]:
        """Factor and then summand that turn prepared numbers into those of files; a ConfigError if each is measured."""
        if self.scheme not in _SAME_FOR_ALL:
            raise ConfigError(
                f"plan.preparation.target: {self.scheme!r} measures each target, so that an answer cannot be scaled"
                f" back; choose {', '.join(_SAME_FOR_ALL)}."
            )
        mean, std = self.options.get("mean", 0.0), self.options.get("std", 1.0)
        return _SAME_FOR_ALL[self.scheme] * _divisor(mean, std), _SAME_FOR_ALL[self.scheme] * mean


@schemes.register("zscore")
def zscore(content_only: bool = False) -> Scheme:
    """Each image to mean 0 and standard deviation 1; with `content_only` measured inside the content, 0 outside."""

    def scheme(channel: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        if not content_only or mask is None or not mask.any():
            return standardised(channel, *mean_and_std(channel))
        return np.where(mask, standardised(channel, *mean_and_std(channel[mask])), np.float32(0))

    return scheme


@schemes.register("ct", papers="isensee2021nnunet")
def ct(lower: float, upper: float, mean: float, std: float) -> Scheme:
    """Clipped to percentiles of the data set's foreground, then its mean 0 and standard deviation 1."""

    def scheme(channel: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return standardised(np.clip(channel.astype(np.float32), lower, upper), mean, std)

    return scheme


@schemes.register("percentiles")
def percentiles(low: float = LOW, high: float = HIGH) -> Scheme:
    """Each image clipped to two of its percentiles, then mean 0 and standard deviation 1."""

    def scheme(channel: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        clipped = np.clip(channel.astype(np.float32), *np.percentile(channel, [low, high]).astype(np.float32))
        return standardised(clipped, *mean_and_std(clipped))

    return scheme


@schemes.register("rgb")
def rgb(mean: float = 0.0, std: float = 1.0) -> Scheme:
    """Divided by 255, then by the given mean and standard deviation of that."""

    def scheme(channel: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return standardised(channel.astype(np.float32) / np.float32(255), mean, std)

    return scheme


@schemes.register("fixed")
def fixed(mean: float = 0.0, std: float = 1.0) -> Scheme:
    """Less one mean and over one deviation for all images, so that differences between images stay."""
    return lambda channel, mask: standardised(channel, mean, std)


@schemes.register("none")
def none() -> Scheme:
    """Unchanged numbers, for images that are calibrated already."""
    return lambda channel, mask: channel.astype(np.float32)


def standardised(channel: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Zero mean and unit deviation; only centred when there is no deviation to speak of."""
    result = channel.astype(np.float32)
    result -= np.float32(mean)
    result /= np.float32(_divisor(mean, std))
    return result


def scaled_back(array: np.ndarray, schemes: Sequence[IntensitySettings]) -> np.ndarray:
    """Prepared numbers (C, *S), which each scheme made of a channel, in those of the files, float32."""
    if len(schemes) != len(array):
        raise DataError(f"The answer has {len(array)} channels, and target images have {len(schemes)}.")
    factors = np.array([one.units for one in schemes], np.float32).T.reshape(2, -1, *(1,) * (array.ndim - 1))
    return np.asarray(array * factors[0] + factors[1], np.float32)


def _divisor(mean: float, std: float) -> float:
    return std if std > _SMALLEST_STD * max(1.0, abs(mean)) else 1.0
