"""Similarity of images that are brought onto each other: correlation and mutual information, as losses.

Each gives 0 or its least value for images that agree; they stand on the shelf of image losses.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import ConfigError
from .images import image_losses, weighted_mean


@image_losses.register("ncc", papers="lewis1995fast")
class Correlation:
    """One minus the normalised cross-correlation of whole images.

    L = 1 - sum (a - mean a) (b - mean b) / sqrt(sum (a - mean a)^2 sum (b - mean b)^2).
    """

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over samples and channels, from 0 to 2."""
        ours, theirs = prediction.float().flatten(2), reference.float().flatten(2)
        counts = torch.ones_like(ours) if weight is None else weight.float().expand_as(prediction).flatten(2)
        total = counts.sum(2, keepdim=True).clamp(min=1e-8)
        a = (ours - (ours * counts).sum(2, keepdim=True) / total) * counts.sqrt()
        b = (theirs - (theirs * counts).sum(2, keepdim=True) / total) * counts.sqrt()
        norm = (a.square().sum(2) * b.square().sum(2)).clamp(min=1e-12).sqrt()
        return (1 - (a * b).sum(2) / norm).mean()


@image_losses.register("local_ncc", papers="balakrishnan2019voxelmorph")
class LocalCorrelation:
    """One minus the squared cross-correlation in windows.

    L = 1 - mean_x cov_x(a, b)^2 / (var_x(a) var_x(b)), over a cube around each voxel x.

    Args:
        width: Edge of the cube in voxels, odd. Sums of windows are box filters, one axis after the other, so that the
            time does not grow with it. Windows reach over the border, where images are zero.

    Reference:
        balakrishnan2019voxelmorph, equation 6.
    """

    def __init__(self, width: int = 9) -> None:
        if width < 3 or width % 2 == 0:
            raise ConfigError(f"The window of a local correlation has an odd width from 3 on, got {width}.")
        self.width = width

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels."""
        ours, theirs = prediction.float(), reference.float()
        moments = torch.cat([ours, theirs, ours * ours, theirs * theirs, ours * theirs], 1)
        a, b, aa, bb, ab = (box_mean(moments, self.width)).chunk(5, 1)
        together, alone = ab - a * b, ((aa - a * a).clamp(min=0) * (bb - b * b).clamp(min=0))
        small = 1e-5 / self.width ** (2 * (ours.ndim - 2))
        return 1 - weighted_mean(together.square() / (alone + small), weight)


def box_mean(values: Tensor, width: int) -> Tensor:
    """The mean in a cube around each voxel of (B, C, *S), with zeros beyond the border."""
    pool = functional.avg_pool2d if values.ndim == 4 else functional.avg_pool3d
    for axis in range(values.ndim - 2):
        shape, beyond = [1] * (values.ndim - 2), [0] * (2 * (values.ndim - 2))
        shape[axis] = width
        beyond[2 * (values.ndim - 3 - axis) : 2 * (values.ndim - 2 - axis)] = [width // 2] * 2
        values = pool(functional.pad(values, beyond), shape, 1)
    return values


@image_losses.register("mutual_information", papers="mattes2003petct")
class MutualInformation:
    """Negative mutual information of soft histograms, for images of different modalities.

    L = sum_ij p_ij log(p_i p_j / p_ij), over the bins i of one image and j of the other.

    Args:
        bins: Bins along each axis of the joint histogram; they span the range of each image, and cubic B-splines of
            one bin's width spread the values over them (Parzen windows).

    Reference:
        mattes2003petct, equations 1 to 6.
    """

    def __init__(self, bins: int = 32) -> None:
        if bins < 5:
            raise ConfigError(f"A soft histogram with cubic splines needs at least 5 bins, got {bins}.")
        self.bins = bins

    def __call__(self, prediction: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over samples and channels; smaller (more negative) is better, 0 for unrelated images."""
        counts = torch.ones_like(prediction).float() if weight is None else weight.float().expand_as(prediction)
        counts = counts.flatten(2)
        ours = self._spread(prediction.float().flatten(2), counts)
        theirs = self._spread(reference.float().flatten(2), counts)
        joint = torch.einsum("bcnk,bcnl->bckl", ours * counts.unsqueeze(3), theirs)
        joint = joint / joint.sum((2, 3), keepdim=True).clamp(min=1e-8)
        alone = joint.sum(3, keepdim=True) * joint.sum(2, keepdim=True)
        return -(joint * ((joint + 1e-10) / (alone + 1e-10)).log()).sum((2, 3)).mean()

    def _spread(self, values: Tensor, counts: Tensor) -> Tensor:
        """How much each value (B, C, N) belongs to each bin, (B, C, N, bins)."""
        known = counts > 0
        low = values.detach().masked_fill(~known, torch.inf).amin(2, keepdim=True)
        high = values.detach().masked_fill(~known, -torch.inf).amax(2, keepdim=True)
        places = (values - low) / (high - low).clamp(min=1e-8) * (self.bins - 5) + 2  # splines reach two bins aside
        away = (places.unsqueeze(3) - torch.arange(self.bins, device=values.device)).abs()
        near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6
        return torch.where(away < 1, near, far)
