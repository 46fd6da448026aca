"""Losses of boundaries: errors count by how far they are from the surface of the structure.

A voxel's distance from the surface is found on the processor with an exact Euclidean transform; a patch of 96^3 takes
about 20 ms for each structure of each sample, and a whole step of these losses is measured by `benchmarks/losses.py`. A
structure that the target lacks has no surface; the Dice loss beside each of these takes care of it. The terms with
distances begin small and grow while the net learns, since in its first steps they drown the overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..ops.morphology import apart
from .compound import Growing, WeightedSum
from .loss import Loss, losses
from .masks import Structures, mean_over, shares, structures
from .options import Count, PerAxis, Positive, Share, Weight
from .overlap import Overlap


def signed_distances(masks: Tensor, spacing: Sequence[float] = ()) -> Tensor:
    """Distance of each voxel from the surface of its mask, negative inside; 0 where a mask is empty or full.

    The surface lies half a voxel between the last voxel inside and the first outside, so that no distance is 0.

    Args:
        masks: (B, R, *S), ones and zeros.
        spacing: Distance of voxels along each axis; 1 when empty.
    """
    steps = tuple(spacing) or (1.0,) * (masks.ndim - 2)
    if len(steps) != masks.ndim - 2:
        raise ConfigError(f"The spacing of a loss has a length for each of {masks.ndim - 2} axes, got {list(steps)}.")
    inside = masks.detach().cpu().numpy() > 0.5
    found = np.zeros(masks.shape, np.float32)
    for place in np.ndindex(*masks.shape[:2]):
        if inside[place].any() and not inside[place].all():
            found[place] = apart(inside[place], steps) - min(steps) / 2
    np.negative(found, out=found, where=inside)
    return torch.from_numpy(found).to(masks.device)


class Boundary:
    """The integral between two surfaces: the distance from the reference's surface, over all wrong voxels.

    With phi the signed distance from the reference's surface, g its mask and s the probability, the published loss is
    the mean of phi s. This is the mean of phi (s - g), which has the same gradient and is 0 when all is right.

    Reference:
        kervadec2019boundary, equations 4 and 5.
    """

    def __init__(self, spacing: Sequence[float] = ()) -> None:
        self.spacing = tuple(spacing)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels and the structures that are there."""
        known = structures(logits, target, weight)
        wrong = signed_distances(known.masks, self.spacing) * (known.probabilities - known.masks)
        return mean_over(shares(wrong, known.counts), known.there)


class HausdorffTransform:
    """Squared errors weighted by how far they are from both surfaces, a soft form of the Hausdorff distance.

    The answer's surface is that at one half; distances are taken as given, without gradient.

    Reference:
        karimi2020hausdorff, equation 8.
    """

    def __init__(self, power: float = 2.0, spacing: Sequence[float] = ()) -> None:
        self.power, self.spacing = power, tuple(spacing)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels and the structures that are there."""
        known = structures(logits, target, weight)
        answers = (known.probabilities > 0.5).float()
        far = [signed_distances(masks, self.spacing).abs() ** self.power for masks in (known.masks, answers)]
        wrong = (known.probabilities - known.masks).square() * (far[0] + far[1])
        return mean_over(shares(wrong, known.counts), known.there)


class GeneralisedSurface:
    """One minus the share of squared distances that are right; between 0 and 1 whatever the size of the structure.

    Reference:
        celaya2023generalized, equation 3.
    """

    def __init__(self, spacing: Sequence[float] = ()) -> None:
        self.spacing = tuple(spacing)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over the structures that are there."""
        known = structures(logits, target, weight)
        far = signed_distances(known.masks, self.spacing).square() * known.counts
        right = (far * (1 - known.probabilities - known.masks).square()).flatten(2).sum(2)
        whole = far.flatten(2).sum(2)
        return mean_over(1 - right / whole.clamp(min=1e-8), known.there * (whole > 0))


class Edges:
    """Mean squared difference of the gradients of probability and mask, by Sobel's filters (sobel1968isotropic)."""

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels and structures, of the sum over axes."""
        known = structures(logits, target, weight)
        error = known.probabilities - known.masks
        wrong = torch.stack([sobel(error, axis).square() for axis in range(2, error.ndim)]).sum(0)
        return shares(wrong, known.counts).mean()


def sobel(values: Tensor, axis: int) -> Tensor:
    """Central differences along an axis of values (B, R, *S), weights (1, 2, 1) / 4 along the others; edges repeat."""
    for other in range(2, values.ndim):
        count = values.shape[other]
        first, last = values.narrow(other, 0, 1), values.narrow(other, count - 1, 1)
        before = torch.cat([first, values.narrow(other, 0, count - 1)], other)
        after = torch.cat([values.narrow(other, 1, count - 1), last], other)
        values = (after - before) / 2 if other == axis else (before + 2 * values + after) / 4
    return values


class StarShape:
    """Errors count more where the ray from the voxel to the middle of its structure meets another answer.

    mean over voxels p inside, and places q on the line from p to the centre, of |g_p - s_p| |s_p - s_q|: what is wrong
    at p and differs from what is said nearer to the centre. Voxels q outside the reference do not count.

    Reference:
        mirikharaji2018star, equation 4.
    """

    def __init__(self, places: int = 6) -> None:
        self.places = places

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over voxels and the structures that are there."""
        known = structures(logits, target, weight)
        inside = known.masks * known.counts
        wrong = torch.zeros_like(inside)
        for step in range(1, self.places + 1):
            wrong = wrong + self._along(known, step, self.places + 1)
        whole = (wrong / self.places * inside).flatten(2).sum(2) / inside.flatten(2).sum(2).clamp(min=1e-8)
        return mean_over(whole, known.there)

    @staticmethod
    def _along(known: Structures, part: int, parts: int) -> Tensor:
        """The penalty at one place of each ray, `part` of `parts` of the way to the middle, (B, R, *S).

        Whole numbers throughout: the half way between two voxels is then rounded alike from the left and the right.
        """
        said, masks = known.probabilities, known.masks
        flat, inside = said.flatten(2), masks.flatten(2)
        within = inside.long()
        size = within.sum(2, keepdim=True).clamp(min=1)
        place = torch.zeros_like(within)
        for axis, count in enumerate(masks.shape[2:], start=2):
            shape = [1] * masks.ndim
            shape[axis] = count
            here = torch.arange(count, device=masks.device).view(shape).expand_as(masks).flatten(2)
            way = part * ((here * within).sum(2, keepdim=True) - here * size)
            steps = (2 * way.abs() + parts * size) // (2 * parts * size)
            place = place * count + here + way.sign() * steps
        nearer, also_inside = flat.gather(2, place), inside.gather(2, place)
        penalty = (inside - flat).abs() * (flat - nearer).abs() * also_inside
        return penalty.view_as(masks)


@losses.register("boundary", papers="kervadec2019boundary")
def boundary(
    dice_weight: Weight = 1.0, boundary_weight: Weight = 0.1, start: Share = 0.1, spacing: PerAxis[Positive] = ()
) -> Loss:
    """Dice plus the distance between surfaces, in voxels or the unit of `spacing`; `start` is its share at first.

    L = w_D (1 - D) + w_B mean phi (p - t), with phi the signed distance from the reference's surface, negative inside.
    """
    return WeightedSum([(dice_weight, Overlap()), (boundary_weight, Growing(Boundary(spacing), start))])


@losses.register("hausdorff_dt", papers="karimi2020hausdorff")
def hausdorff_dt(
    dice_weight: Weight = 1.0,
    hausdorff_weight: Weight = 0.1,
    start: Share = 0.1,
    power: Positive = 2.0,
    spacing: PerAxis[Positive] = (),
) -> Loss:
    """Dice plus squared errors weighted by their distance from both surfaces; `start` is their share at first.

    L = w_D (1 - D) + w_H mean (p - t)^2 (d_t^power + d_p^power), with d_t, d_p the distances from the two surfaces.
    """
    term = Growing(HausdorffTransform(power, spacing), start)
    return WeightedSum([(dice_weight, Overlap()), (hausdorff_weight, term)])


@losses.register("generalised_surface", papers="celaya2023generalized")
def generalised_surface(
    dice_weight: Weight = 1.0, surface_weight: Weight = 1.0, start: Share = 0.1, spacing: PerAxis[Positive] = ()
) -> Loss:
    """Dice plus the share of squared distances from the surface that are wrong; `start` is its share at first.

    L = w_D (1 - D) + w_S (1 - sum (phi (1 - p - t))^2 / sum phi^2), with phi the distance from the reference's surface.
    """
    return WeightedSum([(dice_weight, Overlap()), (surface_weight, Growing(GeneralisedSurface(spacing), start))])


@losses.register("edge", papers="sobel1968isotropic")
def edge(dice_weight: Weight = 1.0, edge_weight: Weight = 1.0) -> Loss:
    """Dice plus squared differences of Sobel gradients, for crisp outlines.

    L = w_D (1 - D) + w_E mean sum_a (G_a p - G_a t)^2, with G_a = Sobel's filter along axis a.
    """
    return WeightedSum([(dice_weight, Overlap()), (edge_weight, Edges())])


@losses.register("star_shape", papers="mirikharaji2018star")
def star_shape(dice_weight: Weight = 1.0, star_weight: Weight = 1.0, places: Count = 6) -> Loss:
    """Dice plus errors that break a ray to the middle, for structures seen whole from there (lesions, cells).

    L = w_D (1 - D) + w_S mean |t_x - p_x| |p_x - p_q|, over voxels x inside and places q on the ray to the middle.
    """
    return WeightedSum([(dice_weight, Overlap()), (star_weight, StarShape(places))])
