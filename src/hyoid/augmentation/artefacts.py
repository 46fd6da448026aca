"""Noise, blur and low resolution: what cameras and scanners add or take away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from .transform import Frame, IntensityTransform, Range, transforms

if TYPE_CHECKING:
    import torch


@transforms.register("noise")
class Noise(IntensityTransform):
    """Adds normally distributed noise of one drawn standard deviation."""

    std: Range = Field((0.0, 0.1), description="Standard deviation in units of the normalised image, drawn evenly.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> tuple[float, int]:
        return self.strength * rng.uniform(*self.std), int(rng.integers(2**62))

    def apply(self, image: torch.Tensor, amounts: tuple[float, int]) -> None:
        import torch

        std, seed = amounts
        generator = torch.Generator(image.device).manual_seed(seed)
        image.add_(torch.empty_like(image).normal_(0, 1, generator=generator), alpha=std)


@transforms.register("blur")
class Blur(IntensityTransform):
    """Smooths some channels by a Gaussian, with another width along each axis."""

    sigma_voxels: Range = Field((0.5, 1.0), description="Width along each axis, drawn evenly.")
    channel_probability: float = Field(0.5, ge=0, le=1, description="How often each channel takes part.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[list[float]]:
        chosen = rng.random(channels) < self.channel_probability
        widths = self.strength * rng.uniform(*self.sigma_voxels, (channels, 3))
        return [row if use else [] for row, use in zip(widths.tolist(), chosen, strict=True)]

    def apply(self, image: torch.Tensor, amounts: list[list[float]]) -> None:
        for channel, widths in zip(image, amounts, strict=True):
            smooth = channel
            for axis, width in zip(range(channel.ndim - 1, -1, -1), widths, strict=False):
                if channel.shape[axis] > 1:
                    smooth = _smoothed(smooth, axis, width)
            if smooth is not channel:
                channel.copy_(smooth)


def _smoothed(values: torch.Tensor, axis: int, width: float) -> torch.Tensor:
    """A Gaussian along one axis, cut at four widths; the outermost voxels are continued."""
    import torch

    from ..ops import banded

    if values.device.type != "cpu":
        return smoothed_by_torch(values, axis, width)
    # In blocks that stay in the cache: a fifth of the time.
    return torch.from_numpy(banded.apply(values.numpy(), banded.smoothing(values.shape[axis], width), axis))


def smoothed_by_torch(values: torch.Tensor, axis: int, width: float) -> torch.Tensor:
    """The same, where the values are on another device."""
    import torch

    reach = max(1, int(4 * width + 0.5))
    taps = np.exp(-0.5 * (np.arange(reach + 1) / max(width, 1e-3)) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    n = values.shape[axis]
    padded = values.index_select(axis, torch.arange(-reach, n + reach, device=values.device).clamp_(0, n - 1))
    result = values * float(taps[0])
    for k, tap in enumerate(taps[1:].tolist(), 1):
        result.add_(padded.narrow(axis, reach - k, n), alpha=tap)
        result.add_(padded.narrow(axis, reach + k, n), alpha=tap)
    return result


@transforms.register("low_resolution")
class LowResolution(IntensityTransform):
    """Takes every few voxels of some channels and interpolates between them."""

    scale: Range = Field((0.5, 1.0), description="Share of the voxels along each axis that is kept, drawn evenly.")
    channel_probability: float = Field(0.5, ge=0, le=1, description="How often each channel takes part.")

    def amounts(self, rng: np.random.Generator, frame: Frame, channels: int) -> list[list[int]]:
        chosen = rng.random(channels) < self.channel_probability
        scales = np.where(chosen, self.about(1, rng.uniform(*self.scale, channels)), 1.0)
        return [[self.kept(frame, axis, s) for axis in range(frame.dims)] for s in scales.tolist()]

    def kept(self, frame: Frame, axis: int, scale: float) -> int:
        """Voxels that are left along an axis; all of them along one that is coarse already."""
        n = frame.shape[axis]
        return max(1, round(n * scale)) if axis in frame.moving else n

    def apply(self, image: torch.Tensor, amounts: list[list[int]]) -> None:
        from torch.nn.functional import interpolate

        mode = {2: "bilinear", 3: "trilinear"}[image.ndim - 1]
        for channel, kept in zip(image, amounts, strict=True):
            if kept != list(channel.shape):
                coarse = interpolate(channel[None, None], kept, mode="nearest-exact")
                channel.copy_(interpolate(coarse, list(channel.shape), mode=mode, align_corners=False)[0, 0])
