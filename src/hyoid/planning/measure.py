"""One case, measured: geometry, drawn intensities, and the objects of each structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import Field

from ..core.case import Case
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.settings import Settings
from ..ops.morphology import bounding_box, components, distance
from .content import content_of, digest_of, levels_of
from .sides import Place, place_of


class CaseFacts(Settings):
    """One case as its file has it."""

    id: str = Field(description="Name of the case.")
    shape: tuple[int, ...] = Field(description="Voxels along each array axis.")
    content_shape: tuple[int, ...] = Field(description="The same after empty borders are cut off.")
    spacing_mm: tuple[float, ...] = Field(description="Voxel size along each array axis.")
    orientation: str = Field("", description="Where each axis points to; empty in 2D.")
    calibrated: bool = Field(True, description="Whether the file knows its voxel size.")
    object_share: float | None = Field(None, description="Share of annotated voxels in any structure.")
    voxels: tuple[int, ...] | None = Field(None, description="Voxels of each structure; none without annotation.")
    digest: str = Field("", description="Of the intensities, whatever file holds them; equal images have equal ones.")
    content: str = Field("", description="The same whatever the order and direction of axes, as formats differ in it.")
    levels: tuple[tuple[float, ...], ...] = Field(
        (), description="1st, 50th and 99th percentile of each channel, of voxels that are not 0."
    )

    @property
    def edge_mm(self) -> float:
        """Root of the area of a flat image, cube root of the volume; in pixels when uncalibrated."""
        return Grid.plain(self.shape, self.spacing_mm).edge_mm


class Drawn(NamedTuple):
    """One channel of one case: intensities drawn inside the structures, or inside the content without annotation.

    Attributes:
        inside: Smallest and largest value there.
        overall: Smallest and largest value anywhere.
    """

    values: np.ndarray
    inside: tuple[float, float]
    overall: tuple[float, float]
    whole_numbers: bool


class Objects(NamedTuple):
    """The objects of one structure in one case; lengths in mm, or pixels when uncalibrated.

    Attributes:
        sizes_mm3: Size of each connected component.
        extent_mm: Longest edge of the box of the largest one.
        width_mm: Diameter of the largest ball inside.
        fine_mm: Four times the mean distance to the border: the thickness of a sheet of that mean distance.
    """

    sizes_mm3: tuple[float, ...]
    extent_mm: float
    width_mm: float
    fine_mm: float


@dataclass(frozen=True)
class Measured:
    """What is kept of a case.

    Attributes:
        counts: Voxels of each structure; None when the case is not annotated.
        objects: Of each structure, None where it is absent or was not looked at.
        places: Where each structure is, None as in objects.
        num_annotated: Voxels that are not ignored.
        num_inside: Voxels of any structure.
    """

    facts: CaseFacts
    channels: tuple[Drawn, ...]
    counts: tuple[int, ...] | None
    objects: tuple[Objects | None, ...]
    num_annotated: int
    num_inside: int
    target: tuple[Drawn, ...] = ()
    places: tuple[Place | None, ...] = ()


def measure_case(case: Case, labels: Labels, samples: int, rng: np.random.Generator, shaped: bool) -> Measured:
    """Measure a case; `samples` intensities are drawn of each channel, and objects are measured if it is `shaped`."""
    grid, array = case.image.grid, case.image.array
    truth = case.truth.array[0] if case.truth is not None and case.truth.kind == "labels" else None
    content = (array != 0).any(axis=0)
    inside, num_annotated, num_inside = content, 0, 0
    counts: list[int] = []
    objects: list[Objects | None] = []
    places: list[Place | None] = []
    box = bounding_box(content)
    whole = box or tuple(slice(0, length) for length in grid.shape)
    if truth is not None:
        ignored = np.zeros((), bool) if labels.ignore is None else truth == labels.ignore
        inside = (truth != 0) & ~ignored
        num_annotated, num_inside = truth.size - int(ignored.sum()), int(inside.sum())
        for first, mask in _masks(truth, labels):
            counts.append(int(mask.sum()))
            looked = shaped and counts[-1]
            objects.append(_objects(mask, grid.spacing_mm) if looked else None)
            places.append(place_of(mask, first, array, whole) if looked else None)
    elif case.truth is not None:
        num_annotated = content.size
    facts = CaseFacts(
        id=case.id,
        shape=grid.shape,
        content_shape=grid.shape if box is None else tuple(side.stop - side.start for side in box),
        spacing_mm=grid.spacing_mm,
        orientation=grid.orientation if grid.dims == 3 else "",
        calibrated=grid.calibrated,
        object_share=num_inside / num_annotated if num_annotated else None,
        voxels=None if case.truth is None else tuple(counts),
        digest=digest_of(array),
        content=content_of(array),
        levels=levels_of(array),
    )
    channels = tuple(_drawn(channel, inside, samples, rng) for channel in array)
    is_image = case.truth is not None and case.truth.kind == "intensities"
    target = tuple(_drawn(one, content, samples, rng) for one in case.truth.array) if case.truth and is_image else ()
    return Measured(facts, channels, facts.voxels, tuple(objects), num_annotated, num_inside, target, tuple(places))


def _masks(truth: np.ndarray, labels: Labels) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """First voxel and mask of a box around each structure, so that many classes cost little more than one."""
    from scipy.ndimage import find_objects

    boxes = find_objects(truth)
    for values in labels.values:
        found = [boxes[value - 1] for value in values if 0 < value <= len(boxes) and boxes[value - 1] is not None]
        if not found:
            yield (0,) * truth.ndim, np.zeros((1,) * truth.ndim, bool)
            continue
        # With a border of one voxel an object ends where it ends, but not at the edge of the image.
        around = tuple(
            slice(max(0, min(side.start for side in sides) - 1), max(side.stop for side in sides) + 1)
            for sides in zip(*found, strict=True)
        )
        yield tuple(side.start for side in around), np.isin(truth[around], values)


def _drawn(channel: np.ndarray, inside: np.ndarray, samples: int, rng: np.random.Generator) -> Drawn:
    values = channel[inside]
    limits = (float(values.min()), float(values.max())) if values.size else (np.inf, -np.inf)
    if values.size > samples:
        values = values[rng.integers(0, values.size, samples)]
    whole = np.issubdtype(channel.dtype, np.integer)
    if not whole:
        some = channel.reshape(-1)[:: max(1, channel.size // 10_000)]
        whole = bool((some == np.rint(some)).all())
    return Drawn(values.astype(np.float32), limits, (float(channel.min()), float(channel.max())), bool(whole))


def _objects(mask: np.ndarray, spacing_mm: Sequence[float]) -> Objects:
    import cc3d

    spacing = np.asarray(spacing_mm, float)
    statistics = cc3d.statistics(components(mask)[0])
    counts = statistics["voxel_counts"][1:]
    sizes = tuple((counts * spacing.prod()).tolist())
    largest = statistics["bounding_boxes"][1 + int(np.argmax(counts))]
    extent = max((side.stop - side.start) * step for side, step in zip(largest, spacing, strict=True))
    depth = distance(mask, spacing_mm)[mask]
    if not np.isfinite(depth).all():  # the structure fills the whole image
        return Objects(sizes, extent, extent, extent)
    # Distances go to the centre of the next voxel outside, half a voxel beyond the border.
    half = spacing.min() / 2
    width, fine = 2 * (float(depth.max()) - half), 4 * (float(depth.mean()) - half)
    return Objects(sizes, float(extent), width, min(fine, width))
