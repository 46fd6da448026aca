"""Augmented patches: everything is drawn and read first, and computed second, by the processor or on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops.warp import Warp, clipped, source_box, warp_array, warp_labels
from .policies import Policy
from .transform import Changes, change

Read = Callable[[tuple[int, ...], tuple[int, ...]], np.ndarray]
Patch = tuple[Any, Any, Any]
"""Image (C, *patch) float32, labels (1, *patch) or None, weight (1, *patch) float32 or None: arrays, or tensors."""


@dataclass(frozen=True)
class Cut:
    """A sample of which everything is drawn and read, as arrays or tensors, and nothing is computed.

    Attributes:
        image: Intensities (C, *S) float32 of the source from `start` on; the patch itself when `warp` is None.
        labels: The same for labels (1, *S), in a type that holds `fill_label`; None when there are none.
        weight: The same for weights (1, *S) float32, or None.
        start: Index in the source of the first voxel that was read.
        warp: Where the voxels of the patch come from; None when they are there already.
        changes: What happens to the intensities.
        fill: Value outside the image; None continues its outermost voxels.
        fill_label: Label outside the image, likewise.
        fill_weight: Weight outside the image, likewise.
    """

    image: Any
    labels: Any
    weight: Any
    start: tuple[int, ...]
    warp: Warp | None
    changes: Changes
    fill: float | None
    fill_label: int | None
    fill_weight: float | None


def cut_patch(
    read: Read,
    read_labels: Read | None,
    image_shape: Sequence[int],
    centre: Sequence[int],
    policy: Policy,
    rng: np.random.Generator,
    fill: float | None = 0.0,
    fill_label: int | None = 0,
    read_weight: Read | None = None,
    fill_weight: float | None = 0.0,
) -> Cut:
    """One training sample, drawn and read from the part of the source that it needs.

    Args:
        read: Gives the intensities (C, *shape) of a box (start, shape) that lies inside the image.
        read_labels: The same for labels (1, *shape); None when the case has none.
        image_shape: Voxels of the whole image.
        centre: Index of the voxel the patch is centred on.
        policy: What to draw from.
        rng: Gives every number of this sample.
        fill: Value outside the image; None continues its outermost voxels.
        fill_label: Label outside the image; None continues its outermost voxels.
        read_weight: The same as `read` for a map of loss weights, resampled but not otherwise changed.
        fill_weight: Weight outside the image; None continues its outermost voxels.
    """
    warp = policy.draw_warp(rng, [c - n // 2 for c, n in zip(centre, policy.frame.shape, strict=True)])
    start, shape = clipped(*source_box(warp), image_shape)
    image = read(start, shape)
    labels = None if read_labels is None else read_labels(start, shape)
    if labels is not None and not np.can_cast(np.min_scalar_type(fill_label or 0), labels.dtype):
        labels = labels.astype(np.int32)
    weight = None if read_weight is None else read_weight(start, shape)
    changes = policy.draw_intensity(rng, len(image))
    cut = Cut(image, labels, weight, start, warp, changes, fill, fill_label, fill_weight)
    if not warp.is_copy:
        return cut
    image, labels, weight = _warped(cut)
    return replace(cut, image=image, labels=labels, weight=weight, warp=None)


def augmented(cut: Cut) -> Patch:
    """The patch of a sample, computed by the processor."""
    import torch

    image, labels, weight = _warped(cut)
    change(torch.from_numpy(image), cut.changes)
    return image, labels, weight


def _warped(cut: Cut) -> Patch:
    """The patch of a sample before its intensities change."""
    image, labels, weight = cut.image, cut.labels, cut.weight
    if cut.warp is None:
        return image, labels, weight
    return (
        warp_array(image, cut.start, cut.warp, 1, cut.fill),
        None if labels is None else warp_labels(labels, cut.start, cut.warp, 1, cut.fill_label),
        None if weight is None else warp_array(weight, cut.start, cut.warp, 1, cut.fill_weight),
    )


def augmented_patch(
    read: Read,
    read_labels: Read | None,
    image_shape: Sequence[int],
    centre: Sequence[int],
    policy: Policy,
    rng: np.random.Generator,
    fill: float | None = 0.0,
    fill_label: int | None = 0,
    read_weight: Read | None = None,
    fill_weight: float | None = 0.0,
) -> Patch:
    """One training sample, drawn, read and computed; the arguments are those of `cut_patch`."""
    return augmented(
        cut_patch(read, read_labels, image_shape, centre, policy, rng, fill, fill_label, read_weight, fill_weight)
    )
