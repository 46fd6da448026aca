"""Fingerprint: what a data set is, measured once, one case at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ..core.errors import DataError
from ..core.labels import Labels
from ..core.progress import track
from ..core.settings import Settings

if TYPE_CHECKING:
    from ..core.case import Case
    from ..io.dataset import Dataset

SAMPLES = 2_000_000
"""Intensities kept of all cases together, per channel; cases share them equally."""

SHAPED_CASES = 40
"""Cases whose objects are counted and measured; frequencies come from all."""

Modality = Literal["ct", "rgb", "general"]


class CaseFacts(Settings):
    """One case as its file has it."""

    id: str = Field(description="Name of the case.")
    shape: tuple[int, ...] = Field(description="Voxels along each array axis.")
    content_shape: tuple[int, ...] = Field(description="The same after empty borders are cut off.")
    spacing_mm: tuple[float, ...] = Field(description="Voxel size along each array axis.")
    orientation: str = Field("", description="Where each axis points to; empty in 2D.")
    calibrated: bool = Field(True, description="Whether the file knows its voxel size.")
    object_share: float | None = Field(None, description="Share of annotated voxels in any structure.")


class ChannelFacts(Settings):
    """Intensities of one channel inside the structures (anywhere when nothing is annotated)."""

    name: str = Field(description="Name of the channel.")
    modality: Modality = Field("general", description="What the numbers seem to be.")
    mean: float = Field(description="Mean.")
    median: float = Field(description="Median.")
    std: float = Field(description="Standard deviation.")
    minimum: float = Field(description="Smallest value in any structure.")
    maximum: float = Field(description="Largest value in any structure.")
    low: float = Field(description="0.5th percentile.")
    high: float = Field(description="99.5th percentile.")
    num_samples: int = Field(description="How many voxels these figures come from.")


class StructureFacts(Settings):
    """Size and number of the objects of one structure; lengths in mm (pixels when uncalibrated)."""

    name: str = Field(description="Name of the structure.")
    num_cases: int = Field(description="Annotated cases that contain it.")
    share: float = Field(description="Share of all annotated voxels.")
    num_objects: float = Field(0.0, description="Median number of connected components in a case with it.")
    object_mm3: float = Field(0.0, description="Median size of a component (area in 2D).")
    extent_mm: float = Field(0.0, description="Longest edge of the box of the largest component, median.")
    width_mm: float = Field(0.0, description="Diameter of the largest ball inside, median.")
    fine_mm: float = Field(0.0, description="Typical local thickness: four times the mean distance to the border.")


class Fingerprint(Settings):
    """What a data set is: shapes, spacings, intensities, and how large and frequent its objects are."""

    dims: Literal[2, 3] = Field(description="Dimensions of the images.")
    channels: tuple[ChannelFacts, ...] = Field(description="One entry per channel.")
    structures: tuple[StructureFacts, ...] = Field(description="One entry per structure.")
    num_labelled: int = Field(description="Cases with an annotation.")
    content_share: float = Field(description="Median over cases of voxels left after cropping to content.")
    object_share: float = Field(description="Share of annotated voxels in any structure.")
    cases: tuple[CaseFacts, ...] = Field(description="One entry per case.")

    @property
    def calibrated(self) -> bool:
        """Whether every file knows its voxel size."""
        return all(case.calibrated for case in self.cases)

    @property
    def axes(self) -> str:
        """The order of anatomical axes most cases have, in the letters R, A, S; empty in 2D."""
        orders = Counter(_positive(case.orientation) for case in self.cases)
        return min(orders, key=lambda order: (-orders[order], order))

    def geometry(self) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
        """Spacings and content shapes of all cases, with their axes in the order of `axes`."""
        spacings, shapes = [], []
        for case in self.cases:
            mine = _positive(case.orientation)
            order = [mine.index(letter) for letter in self.axes] if mine else range(len(case.shape))
            spacings.append(tuple(case.spacing_mm[axis] for axis in order))
            shapes.append(tuple(float(case.content_shape[axis]) for axis in order))
        return spacings, shapes

    def describe(self) -> list[str]:
        """The facts in a few lines of text."""
        spacings, shapes = (np.median(np.asarray(rows), axis=0) for rows in self.geometry())
        unit = "mm" if self.calibrated else "pixels of unknown size"
        lines = [
            f"{len(self.cases)} cases in {self.dims}D, {self.num_labelled} annotated; median shape after cropping "
            f"{'x'.join(f'{n:g}' for n in shapes)}, spacing {'x'.join(f'{s:.3g}' for s in spacings)} {unit}",
            "channels: " + ", ".join(f"{c.name} ({c.modality}, {c.low:.4g} to {c.high:.4g})" for c in self.channels),
        ]
        for s in self.structures:
            lines.append(
                f"{s.name}: {100 * s.share:.3g} % of voxels, in {s.num_cases} cases, {s.num_objects:g} objects each, "
                f"up to {s.width_mm:.3g} {'mm' if self.calibrated else 'px'} thick"
            )
        return lines


def measure_dataset(dataset: Dataset, seed: int = 0, workers: int | None = None) -> Fingerprint:
    """Read every case once and measure it, in threads; memory holds as many cases as there are threads.

    Args:
        dataset: What to measure; cases without labels count for geometry only.
        seed: Of the drawn intensities.
        workers: Number of threads; one per core, at most 4, when None.

    Raises:
        DataError: When there are no cases, or they differ in dimensions or channels.
    """
    if not len(dataset.ids):
        raise DataError(f"{dataset.root}: there are no cases to measure.")
    ids = list(dataset.ids)
    shaped = set(np.linspace(0, len(ids) - 1, min(len(ids), SHAPED_CASES)).round().astype(int).tolist())
    samples = max(SAMPLES // len(ids), 1000)

    def measure(index: int) -> _Measured:
        rng = np.random.default_rng([seed, index])
        return _measure(dataset.read(ids[index]), dataset.labels, samples, rng, index in shaped)

    with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        measured = list(track(pool.map(measure, range(len(ids))), "measuring cases", len(ids)))
    return _pooled(measured, dataset.labels, dataset.channel_names)


class _Channel(NamedTuple):
    """One channel of one case: drawn intensities and how the whole channel looks."""

    drawn: np.ndarray
    inside: tuple[float, float]
    overall: tuple[float, float]
    whole_numbers: bool


class _Shape(NamedTuple):
    """One structure of one case."""

    sizes_mm3: tuple[float, ...]
    extent_mm: float
    width_mm: float
    fine_mm: float


@dataclass(frozen=True)
class _Measured:
    facts: CaseFacts
    channels: tuple[_Channel, ...]
    counts: tuple[int, ...]
    annotated: int
    objects: int
    shapes: tuple[_Shape | None, ...]


def _measure(case: Case, labels: Labels, samples: int, rng: np.random.Generator, shaped: bool) -> _Measured:
    grid, array = case.image.grid, case.image.array
    content = np.zeros(grid.shape, bool)
    for channel in array:
        content |= channel != 0
    box = _box(content)
    truth: np.ndarray | None = None if case.labels is None else case.labels.array[0]
    known = np.asarray(sorted(set(labels.known_values) - {0, labels.ignore}))
    inside = content if truth is None else np.isin(truth, known)
    annotated = 0 if truth is None else int(np.count_nonzero(truth != labels.ignore)) if labels.ignore else truth.size
    objects = 0 if truth is None else int(np.count_nonzero(inside))
    counts, shapes = [], []
    for values in labels.values if truth is not None else ():
        mask = np.isin(truth, values)
        counts.append(int(np.count_nonzero(mask)))
        shapes.append(_shape(mask, grid.spacing_mm) if shaped and counts[-1] else None)
    facts = CaseFacts(
        id=case.id,
        shape=grid.shape,
        content_shape=tuple(side.stop - side.start for side in box),
        spacing_mm=grid.spacing_mm,
        orientation=grid.orientation if grid.dims == 3 else "",
        calibrated=grid.calibrated,
        object_share=objects / annotated if annotated else None,
    )
    channels = tuple(_channel(channel, inside, samples, rng) for channel in array)
    return _Measured(facts, channels, tuple(counts), annotated, objects, tuple(shapes))


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a mask; all of it when the mask is empty."""
    sides = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        sides.append(slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0, mask.shape[axis]))
    return tuple(sides)


def _channel(channel: np.ndarray, inside: np.ndarray, samples: int, rng: np.random.Generator) -> _Channel:
    values = channel[inside]
    limits = (float(values.min()), float(values.max())) if values.size else (np.inf, -np.inf)
    if values.size > samples:
        values = values[rng.integers(0, values.size, samples)]
    row = channel.reshape(-1)[:: max(1, channel.size // 10_000)]
    whole = bool(np.issubdtype(channel.dtype, np.integer) or (row == np.rint(row)).all())
    return _Channel(values.astype(np.float32), limits, (float(channel.min()), float(channel.max())), whole)


def _shape(mask: np.ndarray, spacing_mm: Sequence[float]) -> _Shape:
    import cc3d
    import edt

    box = _box(mask)
    # One voxel of surroundings, so that an object ends at its border but not at the border of the image.
    crop = mask[tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)]
    spacing = np.asarray(spacing_mm, float)
    components = cc3d.connected_components(np.ascontiguousarray(crop), binary_image=True)
    statistics = cc3d.statistics(components)
    counts = statistics["voxel_counts"][1:]
    largest = statistics["bounding_boxes"][1 + int(np.argmax(counts))]
    extent = max((side.stop - side.start) * step for side, step in zip(largest, spacing, strict=True))
    distance = edt.edt(np.ascontiguousarray(crop), anisotropy=tuple(spacing), black_border=False)[crop]
    distance = distance[np.isfinite(distance)]
    if not distance.size:
        distance = np.full(1, extent / 2)
    half = spacing.min() / 2
    width, fine = 2 * (float(distance.max()) - half), 4 * (float(distance.mean()) - half)
    return _Shape(tuple((counts * spacing.prod()).tolist()), float(extent), width, min(fine, width))


def _pooled(measured: list[_Measured], labels: Labels, names: Sequence[str]) -> Fingerprint:
    dims, channels = len(measured[0].facts.shape), len(measured[0].channels)
    for one in measured:
        if len(one.facts.shape) != dims or len(one.channels) != channels:
            raise DataError(
                f"{one.facts.id}: it has {len(one.facts.shape)} dimensions and {len(one.channels)} channels but "
                f"{measured[0].facts.id} has {dims} and {channels}. Put only images of one kind into a data set."
            )
    annotated = sum(one.annotated for one in measured) or 1
    content = [np.prod(one.facts.content_shape) / np.prod(one.facts.shape) for one in measured]
    return Fingerprint(
        dims=3 if dims == 3 else 2,
        channels=_channel_facts(measured, names),
        structures=tuple(_structure_facts(measured, labels, annotated)),
        num_labelled=sum(1 for one in measured if one.annotated),
        content_share=float(np.median(content)),
        object_share=sum(one.objects for one in measured) / annotated,
        cases=tuple(one.facts for one in measured),
    )


def _channel_facts(measured: list[_Measured], names: Sequence[str]) -> tuple[ChannelFacts, ...]:
    labelled = [one for one in measured if one.objects] or measured
    colour = _is_colour(measured)
    found = []
    for index in range(len(measured[0].channels)):
        parts = [one.channels[index] for one in labelled]
        drawn = np.concatenate([part.drawn for part in parts]) if parts else np.zeros(0)
        drawn = drawn.astype(np.float64) if drawn.size else np.zeros(1)
        low, median, high = np.percentile(drawn, (0.5, 50, 99.5))
        name = names[index] if index < len(names) else f"channel_{index}"
        ct = name.lower() == "ct" or _is_ct([one.channels[index] for one in measured])
        found.append(
            ChannelFacts(
                name=name,
                modality="rgb" if colour else "ct" if ct else "general",
                mean=float(drawn.mean()),
                median=float(median),
                std=float(drawn.std()),
                minimum=min((part.inside[0] for part in parts if part.drawn.size), default=0.0),
                maximum=max((part.inside[1] for part in parts if part.drawn.size), default=0.0),
                low=float(low),
                high=float(high),
                num_samples=int(drawn.size),
            )
        )
    return tuple(found)


def _is_ct(channels: list[_Channel]) -> bool:
    """Whole Hounsfield numbers that reach down to air, in nearly all cases."""
    looks = [c.whole_numbers and -4000 < c.overall[0] <= -500 and c.overall[1] >= 100 for c in channels]
    return sum(looks) >= 0.9 * len(looks)


def _is_colour(measured: list[_Measured]) -> bool:
    """Three channels of bytes in every case."""
    return all(
        len(one.channels) == 3
        and all(c.whole_numbers and c.overall[0] >= 0 and c.overall[1] <= 255 for c in one.channels)
        for one in measured
    )


def _structure_facts(measured: list[_Measured], labels: Labels, annotated: int) -> Iterator[StructureFacts]:
    for index, name in enumerate(labels.names):
        counts = [one.counts[index] for one in measured if one.counts]
        shapes = [one.shapes[index] for one in measured if one.shapes and one.shapes[index] is not None]
        known = [shape for shape in shapes if shape is not None]
        sizes = [size for shape in known for size in shape.sizes_mm3]
        yield StructureFacts(
            name=name,
            num_cases=sum(1 for count in counts if count),
            share=sum(counts) / annotated,
            num_objects=_median([len(shape.sizes_mm3) for shape in known]),
            object_mm3=_median(sizes),
            extent_mm=_median([shape.extent_mm for shape in known]),
            width_mm=_median([shape.width_mm for shape in known]),
            fine_mm=_median([shape.fine_mm for shape in known]),
        )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _positive(orientation: str) -> str:
    """The axes of an orientation in the letters R, A, S, whichever way they point."""
    return orientation.translate(str.maketrans("LPI", "RAS"))
