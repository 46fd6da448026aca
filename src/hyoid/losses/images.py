"""Losses between images: restoration, synthesis and reconstruction; registration adds those of `similarity`.

An image loss compares a prediction with a reference, both (B, C, *S), and gives a scalar that is 0 for equal images. A
weight (B, 1, *S) or (B, C, *S) says how much each voxel counts. Sums are taken in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..core.registry import Registry
from .options import Positive


class ImageLoss(Protocol):
    """Judges an image; smaller is better."""

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """A scalar that has a gradient.

        Args:
            prediction: (B, C, *S) of any float type.
            reference: Same shape.
            weight: How much each voxel counts, (B, 1, *S) or (B, C, *S); all the same when None.
        """


image_losses: Registry[ImageLoss] = Registry("image loss", checked=True)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean over all entries, weighted; 0 when nothing counts."""
    if weight is None:
        return values.mean()
    counts = weight.float().expand_as(values)
    return (values * counts).sum() / counts.sum().clamp(min=1e-8)


@image_losses.register("l1", papers="zhao2017loss")
class AbsoluteDifference:
    """Mean absolute difference.

    L = mean |a - b|.
    """

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        return weighted_mean((prediction.float() - reference.float()).abs(), weight)


@image_losses.register("l2", papers="zhao2017loss")
class SquaredDifference:
    """Mean squared difference.

    L = mean (a - b)^2.
    """

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        return weighted_mean((prediction.float() - reference.float()).square(), weight)


def gaussian_smoothed(values: Tensor, sigma: float, width: int) -> Tensor:
    """Values (B, C, *S) under a Gaussian window, one axis after the other; only where the window fits.

    Along an axis shorter than the window, the window is as long as the axis.
    """
    channels = values.shape[1]
    convolve = functional.conv2d if values.ndim == 4 else functional.conv3d
    for axis in range(2, values.ndim):
        count = min(width, values.shape[axis])
        places = torch.arange(count, device=values.device, dtype=values.dtype) - (count - 1) / 2
        window = torch.exp(-(places**2) / (2 * sigma**2))
        shape = [1] * values.ndim
        shape[axis] = count
        kernel = (window / window.sum()).view(shape).expand(channels, 1, *shape[2:])
        with torch.autocast(values.device.type, enabled=False):
            values = convolve(values, kernel, groups=channels)
    return values


class StructuralSimilarity:
    """One minus the structural similarity, in Gaussian windows, of one or several scales.

    l = (2 m_a m_b + c1) / (m_a^2 + m_b^2 + c1),  cs = (2 v_ab + c2) / (v_a + v_b + c2),  SSIM = mean l cs, with m the
    means, v the variances of a window and c1 = (0.01 R)^2, c2 = (0.03 R)^2 for a data range R. Several scales multiply
    the mean cs of each, to the power of its factor, and the mean SSIM of the coarsest; each scale has half the
    resolution of the one before. A window is at most as long as the image.

    Args:
        data_range: Largest minus smallest value that images can have.
        sigma: Of the window, in voxels.
        factors: One for each scale, finest first, adding up to 1. Scales on which an image would be shorter than two
            voxels are left out and their factors given to the others.

    Reference:
        wang2004image (equations 6 to 13), wang2003multiscale (equation 7).
    """

    def __init__(self, data_range: float, sigma: float, factors: Sequence[float]) -> None:
        self.data_range, self.sigma, self.factors = data_range, sigma, tuple(factors)

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over samples and channels; both images are faded by the weight before they are compared."""
        ours, theirs = prediction.float(), reference.float()
        if weight is not None:
            faded = weight.float() / weight.float().max().clamp(min=1e-8)
            ours, theirs = ours * faded, theirs * faded
        factors = self.factors[: max(1, int(math.log2(min(ours.shape[2:]))))]
        terms = []
        for scale, factor in enumerate(factors):
            both, contrast = self._similar(ours, theirs)
            last = scale == len(factors) - 1
            kept = (both if last else contrast).clamp(min=1e-8)
            terms.append(kept ** (factor / sum(factors)))
            if not last:
                pool = functional.avg_pool2d if ours.ndim == 4 else functional.avg_pool3d
                ours, theirs = pool(ours, 2), pool(theirs, 2)
        return (1 - torch.stack(terms).prod(0)).mean()

    def _similar(self, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean SSIM and mean contrast-structure term of each sample and channel, (B, C)."""
        c1, c2 = (0.01 * self.data_range) ** 2, (0.03 * self.data_range) ** 2
        width = 2 * math.ceil(3.5 * self.sigma) - 1
        moments = torch.cat([ours, theirs, ours * ours, theirs * theirs, ours * theirs], 1)
        a, b, aa, bb, ab = gaussian_smoothed(moments, self.sigma, width).chunk(5, 1)
        contrast = (2 * (ab - a * b) + c2) / ((aa - a * a).clamp(min=0) + (bb - b * b).clamp(min=0) + c2)
        light = (2 * a * b + c1) / (a * a + b * b + c1)
        return (light * contrast).flatten(2).mean(2), contrast.flatten(2).mean(2)


@image_losses.register("ssim", papers="wang2004image")
def ssim(data_range: Positive = 1.0, sigma: Positive = 1.5) -> ImageLoss:
    """One minus the structural similarity in Gaussian windows; images span `data_range`.

    L = 1 - mean (2 m_a m_b + c1) (2 v_ab + c2) / ((m_a^2 + m_b^2 + c1) (v_a + v_b + c2)), m means, v variances.
    """
    return StructuralSimilarity(data_range, sigma, (1.0,))


SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Factors of the scales in wang2003multiscale, finest first."""


@image_losses.register("ms_ssim", papers="wang2003multiscale")
def ms_ssim(data_range: Positive = 1.0, sigma: Positive = 1.5) -> ImageLoss:
    """One minus the structural similarity on up to five scales.

    L = 1 - l_M^b_M prod_j cs_j^b_j, with l_j, cs_j the means of brightness and structure on scale j = 1 to M.
    """
    return StructuralSimilarity(data_range, sigma, SCALES)


class Perceptual:
    """Mean squared difference of features, on each scale of an encoder that is not trained.

    Args:
        encoder: Gives features of several scales for an image; its weights are frozen.

    Reference:
        johnson2016perceptual, equation 2.
    """

    def __init__(self, encoder: torch.nn.Module) -> None:
        self.encoder = encoder.eval().requires_grad_(False)

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over scales; weights are brought to each scale by averaging."""
        with torch.no_grad():
            wanted = self.encoder(reference.float())
        found = self.encoder(prediction.float())
        terms = []
        for ours, theirs in zip(found, wanted, strict=True):
            pool = functional.adaptive_avg_pool2d if ours.ndim == 4 else functional.adaptive_avg_pool3d
            near = None if weight is None else pool(weight.float(), ours.shape[2:]).mean(1, keepdim=True)
            terms.append(weighted_mean((ours - theirs).square(), near))
        return torch.stack(terms).mean()
