"""Preparing an image that stays on disk: each box of the prepared image is made when it is asked for.

What a box needs of the whole image (the content's box, means, percentiles) is measured before, part by part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from ..core.boxes import Boxes, walk
from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.progress import stage
from ..ops.morphology import bounding_box
from ..ops.resample import onto
from .intensity import HIGH, LOW, IntensitySettings, standardised
from .pipeline import PreparationSettings, check, is_colour, oriented, prepared_grid
from .statistics import Moments, Ranks

Pointwise = Callable[[np.ndarray], np.ndarray]
"""Intensities of a part of a channel in, float32 out."""

Parts = Callable[[], Iterable[np.ndarray]]
"""Reads a channel once, part by part."""

_HALO = {0: 1, 1: 2, 3: 11}  # voxels beyond a box that splines of an order read
_ALONE = ("ct", "rgb", "fixed", "none")


def needs_all(settings: PreparationSettings) -> str | None:
    """What of these settings can only be done with the whole image in memory, in words; None when nothing."""
    if settings.before is not None:
        return "the run before it answers whole images"
    for one in settings.intensity:
        if one.options.get("content_only"):
            return "its intensities are measured inside the filled content"
        if one.scheme not in (*_ALONE, "zscore", "percentiles"):
            return f"the intensity scheme {one.scheme} is not known to work on parts"
    return None


@dataclass(frozen=True)
class Streamed:
    """A prepared image (C, *S) float32 that is made box by box."""

    name: str
    source: Boxes  # the image on disk, (C, *file.shape)
    file: Grid  # where it lies
    content: tuple[slice, ...]  # the box of it that is used
    grid: Grid  # where the prepared image lies
    intensity: tuple[Pointwise, ...]  # what each channel goes through
    order: int | None  # spline order of resampling; None when voxels stay as they are
    averaged: bool  # whether voxels that become one are averaged

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *S)."""
        return (len(self.intensity), *self.grid.shape)

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        """A box of all channels, as it is in the whole prepared image."""
        box = [range(*part.indices(size)) for part, size in zip(index[1:], self.grid.shape, strict=True)]
        shape = [len(part) for part in box]
        if not all(shape):
            return np.zeros((len(self.intensity), *shape), np.float32)
        target = self.grid.cropped([part.start for part in box], shape)
        needed = self._needed(target)
        part = self.source[(slice(None), *needed)]
        _check_finite(self.name, part)
        made = np.stack([make(channel) for make, channel in zip(self.intensity, part, strict=True)])
        lies = self.file.cropped([one.start for one in needed], made.shape[1:])
        return onto(Image(made, lies), target, self.order, averaged=self.averaged).array

    def _needed(self, target: Grid) -> tuple[slice, ...]:
        """The box of the file that a part of the prepared grid reads."""
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in target.shape], indexing="ij"), -1)
        reach = self.file.to_index(target.to_world(corners.reshape(-1, target.dims)))
        halo = 0 if self.order is None else _HALO[self.order]
        if self.averaged:
            halo = max(halo, math.ceil(max(target.spacing_mm) / min(self.file.spacing_mm) / 2) + 1)
        low, high = np.floor(reach.min(0) + 1e-2) - halo, np.ceil(reach.max(0) - 1e-2) + halo
        needed = []
        for first, last, limit in zip(low, high, self.content, strict=True):
            start = min(max(int(first), limit.start), limit.stop - 1)
            needed.append(slice(start, max(min(int(last) + 1, limit.stop), start + 1)))
        return tuple(needed)


def prepare_streamed(case: Case, settings: PreparationSettings) -> Image:
    """The image of a case on disk as the net sees it: what `prepare` gives, made where it is read.

    The array of the image is `Boxes`, and `needs_all` has no objection to the settings.

    Raises:
        DataError: When channels or axes are not those of the settings, or numbers are NaN or infinite.
    """
    check(case, settings)
    image = case.image
    boxes = cast(Boxes, image.array)
    content: tuple[slice, ...] = tuple(slice(0, n) for n in image.grid.shape)
    if settings.crop == "content" and not is_colour(case):
        content = _content(boxes) or content

    def parts(channel: int) -> Iterator[np.ndarray]:
        for _, part in _parts(boxes, [slice(channel, channel + 1), *content]):
            _check_finite(case.id, part)
            yield part

    intensity = settings.intensity or (IntensitySettings(),) * image.channels
    made = tuple(_settled(one, partial(parts, channel)) for channel, one in enumerate(intensity))
    lies = image.grid.cropped([one.start for one in content], [one.stop - one.start for one in content])
    grid = prepared_grid(image.grid, settings, lies)
    order = None if grid.shape == oriented(lies, settings).shape else settings.order
    streamed = Streamed(case.id, boxes, image.grid, content, grid, made, order, settings.extent is not None)
    return Image(cast(np.ndarray, streamed), grid)


def _content(boxes: Boxes) -> tuple[slice, ...] | None:
    """The box of what is not zero; None when all is."""
    low, high = list(boxes.shape[1:]), [0] * len(boxes.shape[1:])
    for index, part in _parts(boxes, [slice(0, n) for n in boxes.shape]):
        for axis, one in enumerate(bounding_box((part != 0).any(0)) or ()):
            low[axis] = min(low[axis], index[axis + 1].start + one.start)
            high[axis] = max(high[axis], index[axis + 1].start + one.stop)
    return tuple(map(slice, low, high)) if any(high) else None


def _settled(one: IntensitySettings, parts: Parts) -> Pointwise:
    """What a channel goes through, once what it needs of the whole channel is known."""
    if one.scheme in _ALONE:
        scheme = one.build()
        return lambda channel: scheme(channel, None)
    clipped = _clipping(one, parts) if one.scheme == "percentiles" else lambda channel: channel
    moments = Moments()
    for part in parts():
        moments.add(clipped(part))
    return lambda channel: standardised(clipped(channel), moments.mean, moments.std)


def _clipping(one: IntensitySettings, parts: Parts) -> Pointwise:
    ranks = Ranks([one.options.get("low", LOW), one.options.get("high", HIGH)])
    for part in parts():
        ranks.count(part)
    for part in parts():
        ranks.refine(part)
    limits = np.asarray(ranks.found(), np.float32)
    return lambda channel: np.clip(channel.astype(np.float32), *limits)


def _parts(boxes: Boxes, within: Sequence[slice]) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Places and numbers of parts that together are a box (C, *S) of an image."""
    total = math.prod(one.stop - one.start for one in within)
    with stage("measure", 1) as progress:
        for index in walk(boxes, within):
            part = boxes[index]
            progress.advance(part.size / total)
            yield index, part


def _check_finite(name: str, part: np.ndarray) -> None:
    if part.dtype.kind == "f" and not np.isfinite(part.sum(dtype=np.float64)) and not np.isfinite(part).all():
        raise DataError(f"{name}: some voxels are NaN or infinite. Replace them (for example by 0) and try again.")
