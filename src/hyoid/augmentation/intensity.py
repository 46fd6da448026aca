"""Brightness, contrast and gamma: other exposures of the same anatomy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from .transform import Frame, IntensityTransform, Range, split_range, transforms

if TYPE_CHECKING:
    import torch


@transforms.register("brightness")
class Brightness(IntensityTransform):
    """Multiplies each channel by a factor."""

    factor: Range = Field((0.75, 1.25), description="Half the factors lie below 1, half above.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[float]:
        return self.about(1, split_range(rng, self.factor, channels)).tolist()

    def apply(self, image: torch.Tensor, amounts: list[float]) -> None:
        for channel, factor in zip(image, amounts, strict=True):
            channel.mul_(factor)


@transforms.register("brightness_shift")
class BrightnessShift(IntensityTransform):
    """Adds a normally distributed number to each channel."""

    std: float = Field(0.5, ge=0, description="Standard deviation in units of the normalised image.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[float]:
        return (self.strength * rng.normal(0, self.std, channels)).tolist()

    def apply(self, image: torch.Tensor, amounts: list[float]) -> None:
        for channel, shift in zip(image, amounts, strict=True):
            channel.add_(shift)


@transforms.register("contrast")
class Contrast(IntensityTransform):
    """Stretches each channel about its mean and cuts what leaves the range it had."""

    factor: Range = Field((0.75, 1.25), description="Half the factors lie below 1, half above.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[float]:
        return self.about(1, split_range(rng, self.factor, channels)).tolist()

    def apply(self, image: torch.Tensor, amounts: list[float]) -> None:
        for channel, factor in zip(image, amounts, strict=True):
            low, high = channel.aminmax()
            mean = channel.mean()
            channel.mul_(factor).add_(mean * (1 - factor)).clamp_(low, high)


@transforms.register("gamma")
class Gamma(IntensityTransform):
    """Raises each channel, brought to 0..1, to a power; then gives it back its mean and standard deviation.

    With `inverted`, dark and bright change places for the power, so that it acts on the other end of the scale.
    """

    exponent: Range = Field((0.7, 1.5), description="Half the exponents lie below 1, half above.")
    inverted: bool = Field(False, description="Whether to act on the inverted image.")
    keep_statistics: bool = Field(True, description="Whether mean and standard deviation are restored.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[float]:
        return np.maximum(self.about(1, split_range(rng, self.exponent, channels)), 0.05).tolist()

    def apply(self, image: torch.Tensor, amounts: list[float]) -> None:
        for channel, exponent in zip(image, amounts, strict=True):
            low, high = channel.aminmax()
            extent = (high - low).clamp_min_(1e-7)
            start, sign = (high, -1) if self.inverted else (low, 1)
            mean, std = centred(channel)
            channel.add_(mean - start).mul_(sign / extent).clamp_min_(0).pow_(exponent)
            if self.keep_statistics:
                _, new_std = centred(channel)
                channel.mul_(sign * std / new_std.clamp_min_(1e-7)).add_(mean)
            else:
                channel.mul_(sign * extent).add_(start)


def centred(channel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Subtract the mean in place; mean and standard deviation as they were (far faster than `torch.std_mean`)."""
    import torch

    mean = channel.mean()
    return mean, torch.linalg.vector_norm(channel.sub_(mean)) / channel.numel() ** 0.5
