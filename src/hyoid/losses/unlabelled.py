"""Losses that need no labels: normalised cuts, agreement of two answers, distance of Gaussians."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor


def soft_normalised_cut(
    probabilities: Tensor,
    image: Tensor,
    radius: int = 5,
    intensity_sigma: float = 10 / 255,
    distance_sigma: float = 4.0,
) -> Tensor:
    """How much of the likeness between neighbouring voxels is cut by a soft partition into K parts.

    K - sum_k sum_uv w_uv p_uk p_vk / sum_u p_uk sum_v w_uv,  w_uv = exp(-|I_u - I_v|^2 / s_I^2 - |u - v|^2 / s_X^2)
    within the radius, else 0. One shifted copy of image and probabilities for each offset, never a matrix of voxels by
    voxels: (2 radius + 1)^d steps of a few arrays of the size of the probabilities.

    Args:
        probabilities: (B, K, *S), adding up to one over K.
        image: (B, C, *S).
        radius: Of the neighbourhood, in voxels.
        intensity_sigma: Difference of intensity that still counts as alike.
        distance_sigma: Distance that still counts as near, in voxels.

    Returns:
        The mean over samples, from 0 to K.

    Reference:
        shi2000normalized, xia2017wnet (equation 2).
    """
    said, seen = probabilities.float(), image.float()
    parts = said.shape[1]
    within = torch.zeros(said.shape[:2], device=said.device)
    whole = torch.zeros_like(within)
    for offset in product(range(-radius, radius + 1), repeat=said.ndim - 2):
        square = sum(step * step for step in offset)
        if square >= radius * radius:
            continue
        here = (slice(None), slice(None), *(slice(max(0, -step), None if step <= 0 else -step) for step in offset))
        there = (slice(None), slice(None), *(slice(max(0, step), None if step >= 0 else step) for step in offset))
        alike = (seen[here] - seen[there]).square().sum(1, keepdim=True)
        weight = torch.exp(-alike / intensity_sigma**2 - square / distance_sigma**2)
        pulled = said[here] * weight
        within = within + (pulled * said[there]).flatten(2).sum(2)
        whole = whole + pulled.flatten(2).sum(2)
    return (parts - (within / whole.clamp(min=1e-8)).sum(1)).mean()


def consistency(logits: Tensor, others: Tensor, weight: Tensor | None = None, divergence: bool = False) -> Tensor:
    """How far two answers to the same image are apart: a student's and its teacher's, or those of two views.

    Mean squared difference of probabilities, or the divergence sum q log(q / p) of the student's p from the teacher's
    q.

    Args:
        logits: Of the student, (B, C, *S).
        others: Of the teacher, same shape; no gradient flows there.
        weight: How much each voxel counts, (B, *S); all the same when None.
        divergence: Kullback-Leibler divergence in place of squares.

    Reference:
        tarvainen2017mean, section 3.
    """
    ours, theirs = logits.float().log_softmax(1), others.detach().float().log_softmax(1)
    if divergence:
        apart = (theirs.exp() * (theirs - ours)).sum(1)
    else:
        apart = (ours.exp() - theirs.exp()).square().mean(1)
    if weight is None:
        return apart.mean()
    return (apart * weight).sum() / weight.float().sum().clamp(min=1e-8)


def rampup(progress: float, length: float = 0.2) -> float:
    """Weight of a consistency term from near 0 to 1 over the first share of the training: exp(-5 (1 - t)^2).

    Reference:
        tarvainen2017mean, appendix B.
    """
    return math.exp(-5 * (1 - min(1.0, progress / length)) ** 2)


def gaussian_divergence(
    mean: Tensor, log_variance: Tensor, prior_mean: Tensor | None = None, prior_log_variance: Tensor | None = None
) -> Tensor:
    """Kullback-Leibler divergence of diagonal Gaussians from their priors, the standard one when none is given.

    sum over dimensions of (log v_0 - log v + (v + (m - m_0)^2) / v_0 - 1) / 2, averaged over samples.

    Args:
        mean: (B, D).
        log_variance: (B, D).
        prior_mean: (B, D); 0 when None.
        prior_log_variance: (B, D); 0 when None.

    Reference:
        kingma2014auto, appendix B.
    """
    m0 = torch.zeros_like(mean) if prior_mean is None else prior_mean
    v0 = torch.zeros_like(log_variance) if prior_log_variance is None else prior_log_variance
    terms = v0 - log_variance + (log_variance.exp() + (mean - m0).square()) / v0.exp() - 1
    return terms.float().sum(1).mean() / 2
