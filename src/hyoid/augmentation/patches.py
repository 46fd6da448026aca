"""Augmented patches: everything is drawn and read first, and computed second, by the processor or on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..ops.warp import Warp, clipped, source_box, warp_array, warp_labels
from .transform import Changes, change


class Patch(NamedTuple):
    """What is warped together: arrays or tensors, or something that belongs to each of them.

    Attributes:
        image: Intensities (C, *S) float32, the only part whose values are changed.
        labels: Integers (1, *S), of which a voxel gets the one with the largest share; None without.
        weight: (1, *S) float32 weight in the loss; None without.
        target: (C', *S) float32 of a second image or a field that the net should give; None without.
    """

    image: Any
    labels: Any = None
    weight: Any = None
    target: Any = None

    def mapped(self, give: Callable[..., Any], *others: Patch) -> Patch:
        """What `give` makes of each part that is there, together with the same part of others."""
        return Patch(*(None if parts[0] is None else give(*parts) for parts in zip(self, *others, strict=True)))


FILLS = Patch(image=0.0, labels=0, weight=0.0, target=0.0)
"""Values outside the image; None continues its outermost voxels."""


@dataclass(frozen=True)
class Cut:
    """A sample for which everything is drawn and read, as arrays or tensors, and nothing is computed.

    Attributes:
        parts: Values of the source from `start` on; those of the patch itself when `warp` is None. Labels have a type
            that holds their fill.
        start: Index in the source of the first voxel that was read.
        warp: Where the voxels of the patch come from; None when they are there already.
        changes: What happens to the intensities.
        fills: Values outside the image; None continues its outermost voxels.
    """

    parts: Patch
    start: tuple[int, ...]
    warp: Warp | None
    changes: Changes
    fills: Patch = FILLS


def needed_box(warp: Warp, image_shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Start and shape of the box of an image of this shape that has to be read for a sample."""
    return clipped(*source_box(warp), image_shape)


def cut_patch(parts: Patch, start: tuple[int, ...], warp: Warp, changes: Changes = (), fills: Patch = FILLS) -> Cut:
    """One training sample of what was read, copied by now where nothing but whole voxels moves; arguments as `Cut`."""
    if parts.labels is not None and not np.can_cast(np.min_scalar_type(fills.labels or 0), parts.labels.dtype):
        parts = parts._replace(labels=parts.labels.astype(np.int32))
    cut = Cut(parts, start, warp, changes, fills)
    return replace(cut, parts=_warped(cut), warp=None) if warp.is_copy else cut


def augmented(cut: Cut) -> Patch:
    """The patch of a sample, computed by the processor; its arrays are those of the cut when there is no warp."""
    import torch

    patch = _warped(cut)
    change(torch.from_numpy(patch.image), cut.changes)
    return patch


def _warped(cut: Cut) -> Patch:
    """The patch of a sample before its intensities change."""
    warp = cut.warp
    if warp is None:
        return cut.parts

    def moved(values: np.ndarray, fill: Any) -> np.ndarray:
        resample = warp_labels if values.dtype.kind in "iu" else warp_array
        return resample(values, cut.start, warp, fill)

    return cut.parts.mapped(moved, cut.fills)
