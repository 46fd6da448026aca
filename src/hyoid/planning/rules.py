"""The planning rules of nnU-Net as arithmetic on tuples: spacing, patch, topology and batch.

Axes are those of the prepared image, the coarsest one first. Nothing here builds a net: what a patch costs is
asked from a function of the topology, so the rules hold for any U.

Reference:
    isensee2021nnunet, isensee2024revisited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

ANISOTROPY = 3.0
"""Ratio of spacings (and of sizes) from which an axis counts as thick."""

MIN_EDGE = 4
"""Smallest edge of the coarsest feature map, voxels."""


class Reference(NamedTuple):
    """What a published preset regards as one full graphics card.

    Attributes:
        values: Feature map values of the largest patch at the batch below, (3D, 2D).
        memory_gb: Memory those values stand for.
        batch: Batch they stand for, (3D, 2D).
        largest_share: Largest part of the data set one batch may show.
        reduce_at: Batch at which the patch must fit; None for the reference batch.
    """

    net: str
    values: tuple[float, float]
    memory_gb: float
    batch: tuple[int, int]
    largest_share: float
    reduce_at: int | None


REFERENCES = {
    "nnunet": Reference("nnunet_plain", (560e6, 85e6), 8, (2, 12), 0.05, 2),
    "nnunet_residual_m": Reference("nnunet_residual_m", (680e6, 135e6), 8, (2, 12), 1.0, None),
    "nnunet_residual_l": Reference("nnunet_residual_l", (2.1e9, 380e6), 24, (2, 12), 1.0, None),
    "nnunet_residual_xl": Reference("nnunet_residual_xl", (3.6e9, 560e6), 40, (2, 12), 1.0, None),
}


@dataclass(frozen=True)
class Topology:
    """Where a U halves its feature maps.

    Attributes:
        strides: Stride into each level; all 1 for the first.
        patch: The patch, padded to what the strides divide.
    """

    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]

    @property
    def divisor(self) -> tuple[int, ...]:
        """What each axis of a patch must be a multiple of."""
        return tuple(math.prod(axis) for axis in zip(*self.strides, strict=True))

    @property
    def levels(self) -> int:
        """Number of resolutions, the first included."""
        return len(self.strides)


def target_spacing(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The median spacing of cases; along a thick axis with few voxels (when cropped) the finer tenth of what occurs."""
    target = np.median(np.asarray(spacings, float), axis=0)
    sizes = np.median(np.asarray(shapes, float), axis=0)
    worst = int(np.argmax(target))
    others = [axis for axis in range(len(target)) if axis != worst]
    finest_other = max(target[others])
    if target[worst] > ANISOTROPY * finest_other and sizes[worst] * ANISOTROPY < min(sizes[others]):
        tenth = float(np.percentile(np.asarray(spacings, float)[:, worst], 10))
        target[worst] = tenth if tenth >= finest_other else finest_other + 1e-5
    return tuple(target.tolist())


def coarsest_first(spacing: Sequence[float]) -> tuple[int, ...]:
    """The axis order that puts the coarsest axis first and keeps the order of the others."""
    worst = int(np.argmax(spacing))
    return (worst, *(axis for axis in range(len(spacing)) if axis != worst))


def median_shape(
    shapes: Sequence[Sequence[float]], spacings: Sequence[Sequence[float]], target: Sequence[float]
) -> tuple[float, ...]:
    """The median over cases of their shapes at the target spacing (a half voxel is possible)."""
    resized = np.round(np.asarray(shapes, float) * np.asarray(spacings, float) / np.asarray(target, float))
    return tuple(np.median(resized, axis=0).tolist())


def first_patch(spacing: Sequence[float], median: Sequence[float]) -> tuple[float, ...]:
    """The largest patch worth asking for: isotropic in millimetres, and never more than the median image."""
    dims = len(spacing)
    aspect = 1 / np.asarray(spacing, float)
    volume = 256.0**3 if dims == 3 else 2048.0**2
    whole = [round(edge) for edge in aspect * (volume / aspect.prod()) ** (1 / dims)]
    return tuple(min(edge, limit) for edge, limit in zip(whole, median, strict=True))


def topology(spacing: Sequence[float], patch: Sequence[float], max_levels: int = 99) -> Topology:
    """Halve the fine axes until feature maps get small; thick axes join when the others have caught up.

    Kernels are 1 along an axis while it is at least twice as coarse as the finest, then 3 for good.
    """
    dims = len(spacing)
    now, size = [float(s) for s in spacing], [float(n) for n in patch]
    kernel = [1] * dims
    kernels, strides = [], [(1,) * dims]
    while len(strides) < max_levels:
        axes = _halved_axes(now, size)
        if not axes:
            break
        kernel = [3 if k == 3 or s / min(now) < 2 else 1 for k, s in zip(kernel, now, strict=True)]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in axes else 1 for axis in range(dims)))
        for axis in axes:
            now[axis] *= 2
            size[axis] = math.ceil(size[axis] / 2)
    kernels.append((3,) * dims)
    shape = Topology(tuple(kernels), tuple(strides), ())
    return replace(shape, patch=tuple(math.ceil(n / d) * d for n, d in zip(patch, shape.divisor, strict=True)))


def _halved_axes(spacing: Sequence[float], size: Sequence[float]) -> list[int]:
    large = [axis for axis in range(len(size)) if size[axis] >= 2 * MIN_EDGE]
    if not large:
        return []
    finest = min(spacing[axis] for axis in large)
    axes = [axis for axis in large if spacing[axis] / finest < 2]
    return [] if len(axes) == 1 and size[axes[0]] < 3 * MIN_EDGE else axes


def features(levels: int, dims: int) -> tuple[int, ...]:
    """Channels of each level: doubled downwards, at most 320 in 3D and 512 in 2D."""
    return tuple(min(32 * 2**level, 320 if dims == 3 else 512) for level in range(levels))


class Fitted(NamedTuple):
    """A topology and the batch that go together into the memory."""

    topology: Topology
    batch: int


def fit_patch(
    spacing: Sequence[float],
    median: Sequence[float],
    num_voxels: float,
    values: Callable[[Topology], float],
    reference: Reference,
    memory_gb: float,
    max_levels: int = 99,
) -> Fitted:
    """The largest patch that fits at the least batch, then the largest batch that fits.

    Args:
        num_voxels: Voxels of all training cases at that spacing.
        values: Feature map values of a net of this topology on its patch, batch 1.
        memory_gb: Memory of the card to plan for.
    """
    flat = len(spacing) == 2
    full = reference.values[flat] * memory_gb / reference.memory_gb
    reference_batch = reference.batch[flat]
    allowed = full * reference_batch / (reference.reduce_at or reference_batch)
    fitted = topology(spacing, first_patch(spacing, median), max_levels)
    while values(fitted) > allowed:
        fitted = _smaller(fitted, spacing, median, max_levels)
    batch = round(full / values(fitted) * reference_batch)
    most = round(num_voxels * reference.largest_share / math.prod(fitted.patch))
    return Fitted(fitted, max(min(batch, most), 2))


def _smaller(fitted: Topology, spacing: Sequence[float], median: Sequence[float], max_levels: int) -> Topology:
    """One step less along the axis that is largest against the median image."""
    ratios = [edge / whole for edge, whole in zip(fitted.patch, median, strict=True)]
    axis = int(np.argsort(ratios)[-1])
    reduced = list(fitted.patch)
    reduced[axis] -= fitted.divisor[axis]
    # The divisor may shrink with the patch, and the finer step then skips no valid size.
    step = topology(spacing, reduced, max_levels).divisor[axis]
    reduced = list(fitted.patch)
    reduced[axis] -= step
    return topology(spacing, reduced, max_levels)


def low_resolution(
    spacing: Sequence[float],
    median: Sequence[float],
    patch: Sequence[int],
    fit: Callable[[tuple[float, ...], tuple[float, ...]], Fitted],
) -> tuple[tuple[float, ...], Fitted] | None:
    """The spacing at which a patch sees a quarter of the median image, and what fits there.

    Returns:
        None when the patch already sees enough, or when the coarser image would not be half as large.
    """
    coarse, fine = np.asarray(spacing, float), np.asarray(spacing, float)
    voxels, whole = float(math.prod(patch)), float(math.prod(median))
    found: Fitted | None = None
    while voxels / whole < 0.25:
        thick = coarse.max() / coarse > 2
        coarse = coarse * np.where(thick | ~thick.any(), 1.03, 1.0)
        whole = float(np.prod(np.asarray(median) * fine / coarse))
        shape = tuple(float(round(n)) for n in np.asarray(median) * fine / coarse)
        found = fit(tuple(coarse.tolist()), shape)
        voxels = float(math.prod(found.topology.patch))
    if found is None or math.prod(median) / whole < 2:
        return None
    return tuple(coarse.tolist()), found
