"""A case small enough to travel in the page: its image, reference and answer as three pictures that a script unfolds.

A volume travels as a mosaic of its axial slices. It is cut to the region of the structures and thinned until it fits
the bytes it may have; labels stay labels, since thinning takes the voxel in the middle of each block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.grid import Grid
from ..core.labels import Labels
from ..evaluation.report import Report
from .facts import Overlay
from .overlays import address, eight_bits, error_map, flat, upright, worst_slice

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

TOTAL_BYTES = 3_600_000
"""What the views of all cases may take of the page."""

_MOST_BYTES = 300_000
_MOST_VIEWS = 150
_LONGEST_2D = 900
_NOT_JUDGED = 255


@dataclass(frozen=True)
class View:
    """One case as the page keeps it.

    Attributes:
        shape: Slices, rows and columns that travel; one slice in 2D.
        spacing: Distance of neighbours along each of these, in mm or pixels.
        columns: Slices side by side in the mosaic.
        start: Slice, row and column to show first: where most voxels are wrong.
        codes: For each structure the codes that belong to it; 255 is not judged.
        thinned: Voxels of the file for each voxel that travels, along slices, rows and columns.
        image: Data address of the mosaic of the image, lossy; empty when it is not known.
        reference: Data address of the mosaic of the reference's codes, exact.
        prediction: Data address of the mosaic of the prediction's codes, exact.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    columns: int
    start: tuple[int, int, int]
    codes: Mapping[str, Sequence[int]]
    thinned: tuple[int, int, int]
    image: str
    reference: str
    prediction: str

    @property
    def num_bytes(self) -> int:
        """What its pictures take of the page."""
        return len(self.image) + len(self.reference) + len(self.prediction)


def viewed_cases(report: Report, most: int = _MOST_VIEWS) -> tuple[str, ...]:
    """Cases that get a view: all, or in large sets the worst two thirds of what fits and an even sample of the rest."""
    ranked = report.ranked()
    if len(ranked) <= most:
        return ranked
    worst = 2 * most // 3
    places = np.linspace(worst, len(ranked) - 1, most - worst).round().astype(int)
    return (*ranked[:worst], *(ranked[place] for place in places))


def allowance(num_views: int) -> int:
    """Bytes that one of so many views may take."""
    return int(min(_MOST_BYTES, TOTAL_BYTES / max(1, num_views)))


def view(overlay: Overlay, num_bytes: int) -> View:
    """The case in at most about `num_bytes` of text; never less than a few voxels."""
    image, reference, prediction, spacing = _sliced(overlay)
    box = _region(reference, prediction, overlay.grid)
    reference, prediction = reference[box], prediction[box]
    grey = None if image is None else eight_bits(image[(*box, slice(None))])
    most = num_bytes * 4.0 if overlay.grid.dims == 3 else float(_LONGEST_2D**2)
    for _ in range(6):
        steps = _steps(reference.shape, spacing, most)
        thin = [_picked(values, steps) for values in (reference, prediction)]
        coded, codes = _coded(overlay.labels, thin)
        thin_grey = None if grey is None else _averaged(grey, steps)
        found = _packed(thin_grey, coded[0], coded[1], spacing, steps, codes)
        if found.num_bytes <= num_bytes or max(found.shape) <= 8:
            break
        most = min(most, math.prod(found.shape)) * max(0.2, 0.85 * num_bytes / found.num_bytes)
    return found


def _sliced(overlay: Overlay) -> tuple[np.ndarray | None, np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Image (slices, rows, columns, C) if known, reference and prediction as they lie on the screen, and their spacing.

    Volumes: slices from head to feet, rows from front to back, columns from the patient's right to the left.
    """
    if overlay.grid.dims == 2:
        image = None if overlay.image is None else np.moveaxis(overlay.image, 0, -1)[None]
        rows, columns = overlay.grid.spacing_mm
        return image, overlay.reference[None], overlay.prediction[None], (1.0, rows, columns)
    image, reference, spacing = upright(overlay, overlay.reference)
    _, prediction, _ = upright(overlay, overlay.prediction)
    turned = [values[::-1, ::-1, ::-1].transpose(2, 1, 0) for values in (reference, prediction)]
    x, y, z = spacing
    if image is not None:
        image = image[:, ::-1, ::-1, ::-1].transpose(3, 2, 1, 0)
    return image, turned[0], turned[1], (z, y, x)


def _region(reference: np.ndarray, prediction: np.ndarray, grid: Grid) -> tuple[slice, slice, slice]:
    """Where the structures are in a volume, with a quarter of their extent around them; all of a flat image."""
    marked = (reference != 0) | (prediction != 0)
    if grid.dims == 2 or not marked.any():
        return (slice(None),) * 3
    box = []
    for axis, length in enumerate(marked.shape):
        hit = np.flatnonzero(marked.any(tuple(a for a in range(3) if a != axis)))
        margin = max(4, (hit[-1] + 1 - hit[0]) // 4)
        box.append(slice(max(0, hit[0] - margin), min(length, hit[-1] + 1 + margin)))
    return box[0], box[1], box[2]


def _coded(labels: Labels | None, images: Sequence[np.ndarray]) -> tuple[list[np.ndarray], dict[str, list[int]]]:
    """Label images as small codes, and the codes of each structure.

    Values that belong to the same structures share a code; 0 belongs to none, 255 is not judged.
    """
    values = np.unique(np.concatenate([np.unique(image) for image in images])).astype(np.int64)
    if labels is None:
        labels = Labels.of({int(value): f"value {value}" for value in values if value != 0} or {1: "structure"})
    kinds: list[frozenset[str]] = [frozenset()]
    found = np.zeros(len(values), np.uint8)
    for place, value in enumerate(values):
        members = frozenset(name for name, group in zip(labels.names, labels.values, strict=True) if value in group)
        if members not in kinds:
            kinds.append(members)
        found[place] = _NOT_JUDGED if value == labels.ignore else min(kinds.index(members), _NOT_JUDGED - 1)
    codes = {name: [code for code, kind in enumerate(kinds) if name in kind] for name in labels.names}
    return [found[np.searchsorted(values, image)] for image in images], codes


def _steps(shape: Sequence[int], spacing: Sequence[float], most: float) -> tuple[int, int, int]:
    """How many voxels become one along each axis so that at most `most` are left; fine axes are thinned first."""
    steps = [1, 1, 1]
    left = lambda: math.prod(math.ceil(n / step) for n, step in zip(shape, steps, strict=True))  # noqa: E731
    while left() > most:
        open_axes = [axis for axis in range(3) if steps[axis] < shape[axis]]
        if not open_axes:
            break
        steps[min(open_axes, key=lambda axis: (steps[axis] * spacing[axis], -axis))] += 1
    return steps[0], steps[1], steps[2]


def _picked(values: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """The voxel in the middle of each block."""
    places = [
        np.minimum(np.arange(step // 2, n + step // 2, step), n - 1)
        for n, step in zip(values.shape, steps, strict=True)
    ]
    return values[np.ix_(*places)]


def _averaged(image: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """The mean of each block of an image (slices, rows, columns, C) of bytes."""
    if max(steps) == 1:
        return image
    ends = [(0, -n % step) for n, step in zip(image.shape, steps, strict=False)]
    whole = np.pad(image, [*ends, (0, 0)], mode="edge")
    sizes = [part for n, step in zip(whole.shape, steps, strict=False) for part in (n // step, step)]
    return whole.reshape(*sizes, -1).mean((1, 3, 5), dtype=np.float32).round().astype(np.uint8)


def _packed(
    image: np.ndarray | None,
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: Sequence[float],
    steps: tuple[int, int, int],
    codes: Mapping[str, Sequence[int]],
) -> View:
    errors = error_map(prediction, np.where(reference == _NOT_JUDGED, prediction, reference))
    slices, rows, columns = reference.shape
    across = max(1, min(slices, round(math.sqrt(slices * rows / columns))))
    return View(
        (slices, rows, columns),
        (spacing[0] * steps[0], spacing[1] * steps[1], spacing[2] * steps[2]),
        across,
        (worst_slice(errors, 0), worst_slice(errors, 1), worst_slice(errors, 2)),
        codes,
        steps,
        "" if image is None else address(_mosaic(image, across), quality=72),
        *(address(_mosaic(values[..., None], across), "PNG") for values in (reference, prediction)),
    )


def _mosaic(slices: np.ndarray, across: int) -> PillowImage:
    """(slices, rows, columns, C) side by side, row by row."""
    from PIL import Image

    count, rows, columns, channels = slices.shape
    down = math.ceil(count / across)
    whole = np.zeros((down * across, rows, columns, channels), np.uint8)
    whole[:count] = slices
    mosaic = whole.reshape(down, across, rows, columns, channels).swapaxes(1, 2)
    return Image.fromarray(flat(mosaic.reshape(down * rows, across * columns, channels)))
