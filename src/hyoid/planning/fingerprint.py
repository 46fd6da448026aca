"""Fingerprint: what a data set is, measured once, one case at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ..core.errors import DataError
from ..core.labels import Labels
from ..core.lengths import Lengths
from ..core.machine import cores
from ..core.progress import track
from ..core.settings import Settings
from .extent import Extent, find_extent
from .measure import CaseFacts, Drawn, Measured, measure_case
from .sides import Place, Side, find_sides

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset

SAMPLES = 2_000_000
"""Intensities kept of all cases together, per channel; cases share them equally."""

SHAPED_CASES = 40
"""Cases whose objects are counted and measured; frequencies come from all."""

HISTOGRAM_BINS = 40


class ChannelFacts(Settings):
    """Intensities of one channel inside the structures (inside the content when nothing is annotated)."""

    name: str = Field(description="Name of the channel.")
    modality: Literal["ct", "rgb", "general"] = Field("general", description="What the numbers seem to be.")
    mean: float = Field(description="Mean.")
    median: float = Field(description="Median.")
    std: float = Field(description="Standard deviation.")
    minimum: float = Field(description="Smallest value.")
    maximum: float = Field(description="Largest value.")
    low: float = Field(description="0.5th percentile.")
    high: float = Field(description="99.5th percentile.")
    spread: float = Field(0.0, description="Deviation of the cases' means, in units of the overall deviation.")
    num_samples: int = Field(description="How many voxels these figures come from.")
    histogram: tuple[float, ...] = Field((), description="Share of voxels in bins of equal width from low to high.")


class StructureFacts(Settings):
    """Size and number of the objects of one structure; lengths in mm (pixels when uncalibrated)."""

    name: str = Field(description="Name of the structure.")
    num_cases: int = Field(description="Annotated cases that contain it.")
    share: float = Field(description="Share of all annotated voxels.")
    num_objects: float = Field(0.0, description="Median number of connected components in a case with it.")
    object_mm3: float = Field(0.0, description="Median size of a component (area in 2D).")
    extent_mm: float = Field(0.0, description="Longest edge of the box of the largest component, median.")
    width_mm: float = Field(0.0, description="Diameter of the largest ball inside, median.")
    fine_mm: float = Field(0.0, description="Typical local thickness, median.")


class Fingerprint(Settings):
    """What a data set is: shapes, spacings, intensities, and how large and frequent its objects are."""

    dims: Literal[2, 3] = Field(description="Dimensions of the images.")
    channels: tuple[ChannelFacts, ...] = Field(description="One entry per channel.")
    target: tuple[ChannelFacts, ...] = Field((), description="One entry per channel of the target images, if any.")
    structures: tuple[StructureFacts, ...] = Field(description="One entry per structure.")
    num_labelled: int = Field(description="Cases with an annotation.")
    content_share: float = Field(description="Median over cases of voxels left after cropping to content.")
    object_share: float = Field(description="Share of annotated voxels in any structure.")
    cases: tuple[CaseFacts, ...] = Field(description="One entry per case.")
    extent: Extent | None = Field(None, description="How sizes vary where flat images do not know their pixel size.")
    sides: tuple[Side, ...] = Field((), description="Axes across which mirroring would mislead, and why.")

    @property
    def calibrated(self) -> bool:
        """Whether every file knows its voxel size."""
        return all(case.calibrated for case in self.cases)

    @property
    def axes(self) -> str:
        """The order of anatomical axes most cases have, in the letters R, A, S; empty in 2D."""
        return _axes(self.cases)

    @property
    def edge_mm(self) -> float:
        """Edge of the median image, root of its area; in pixels when uncalibrated."""
        return float(np.median([case.edge_mm for case in self.cases]))

    def geometry(self, common: bool = False) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
        """Spacings and content shapes of all cases, with their axes in the order of `axes`.

        With `common` every image is taken to be as large as the median one, whatever its file says.
        """
        spacings, shapes, letters = [], [], self.axes
        for case in self.cases:
            mine = positive(case.orientation)
            order = [mine.index(letter) for letter in letters] if letters else range(len(case.shape))
            scale = self.edge_mm / case.edge_mm if common else 1.0
            spacings.append(tuple(scale * case.spacing_mm[axis] for axis in order))
            shapes.append(tuple(float(case.content_shape[axis]) for axis in order))
        return spacings, shapes

    def describe(self) -> list[str]:
        """The facts in a few lines of text."""
        spacings, shapes = (np.median(np.asarray(rows), axis=0) for rows in self.geometry())
        lengths = Lengths.of(self.cases)
        size = f"spacing {lengths.text(spacings)}" if self.calibrated else "pixels of unknown size"
        axes = f" along {self.axes}" if self.axes else ""
        return [
            f"{len(self.cases)} case{'s' * (len(self.cases) != 1)} in {self.dims}D, {self.num_labelled} annotated; "
            f"median shape of the content {'x'.join(f'{n:g}' for n in shapes)}{axes}, {size}",
            "channels: " + ", ".join(f"{c.name} ({c.modality}, {c.low:.4g} to {c.high:.4g})" for c in self.channels),
            *(
                f"{s.name}: {100 * s.share:.3g} % of voxels, in {s.num_cases} case{'s' * (s.num_cases != 1)}, "
                f"{s.num_objects:g} object{'s' * (s.num_objects != 1)} each, "
                f"up to {s.width_mm / lengths.mm:.3g} {lengths.unit} thick, "
                f"typically {s.fine_mm / lengths.mm:.3g} {lengths.unit}"
                for s in self.structures
            ),
        ]


def measure_dataset(
    dataset: Dataset, seed: int = 0, workers: int | None = None, also: Callable[[str], object] | None = None
) -> Fingerprint:
    """Read every case once and measure it, in threads; memory holds as many cases as there are threads.

    Where some cases know their voxel size and some do not, lengths of all are in voxels.

    Args:
        dataset: What to measure; cases without annotation count for geometry only.
        seed: Of the drawn intensities.
        workers: Most threads; as many as there are cores when None. There are never more than 4.
        also: Done with the id of each case right after it was read, while its files are in memory.

    Raises:
        DataError: When there are no cases, or they differ in dimensions or channels.
    """
    ids = list(dataset.ids)
    if not ids:
        raise DataError(f"{dataset.root}: there are no cases to measure.")
    shaped = set(np.linspace(0, len(ids) - 1, min(len(ids), SHAPED_CASES)).round().astype(int).tolist())
    samples = max(SAMPLES // len(ids), 1000)

    mixed = len({seen.calibrated for seen in dataset.seen.values()}) > 1

    def measure(index: int) -> Measured:
        rng = np.random.default_rng([seed, index])
        case = dataset.read(ids[index])
        if mixed:
            case = replace(case, image=replace(case.image, grid=case.image.grid.in_voxels))
        if also is not None:
            also(ids[index])
        return measure_case(case, dataset.labels, samples, rng, index in shaped)

    with ThreadPoolExecutor(min(4, cores(), workers or 4)) as pool:
        measured = list(track(pool.map(measure, range(len(ids))), "measuring cases", len(ids)))
    return _pooled(measured, dataset.labels, dataset.channel_names, [dataset.group_of(case_id) for case_id in ids])


def _pooled(measured: list[Measured], labels: Labels, names: Sequence[str], patients: Sequence[str]) -> Fingerprint:
    first = measured[0]
    dims = len(first.facts.shape)
    for one in measured:
        if len(one.facts.shape) != dims or len(one.channels) != len(first.channels):
            raise DataError(
                f"{one.facts.id}: it has {len(one.facts.shape)} dimensions and {len(one.channels)} channels but "
                f"{first.facts.id} has {dims} and {len(first.channels)}. Put images of one kind into a data set."
            )
    num_annotated = sum(one.num_annotated for one in measured)
    targets = [replace(one, channels=one.target) for one in measured if one.target]
    content = [np.prod(one.facts.content_shape) / np.prod(one.facts.shape) for one in measured]
    return Fingerprint(
        dims=3 if dims == 3 else 2,
        channels=tuple(_channel(measured, index, names) for index in range(len(first.channels))),
        target=tuple(_channel(targets, index, ()) for index in range(len(targets[0].channels) if targets else 0)),
        structures=tuple(_structure(measured, index, name) for index, name in enumerate(labels.names)),
        num_labelled=sum(one.counts is not None for one in measured),
        content_share=float(np.median(content)),
        object_share=sum(one.num_inside for one in measured) / max(1, num_annotated),
        cases=tuple(one.facts for one in measured),
        extent=find_extent([one.facts for one in measured], [one.objects for one in measured]),
        sides=find_sides(_turned(measured), labels.names, patients),
    )


def _axes(cases: Sequence[CaseFacts]) -> str:
    orders = Counter(positive(case.orientation) for case in cases)
    return min(orders, key=lambda order: (-orders[order], order))


def _turned(measured: list[Measured]) -> list[list[Place | None]]:
    """Places of the structures of each case along the axes that most cases have, to the right, front and head."""
    letters, turned = _axes([one.facts for one in measured]), []
    for one in measured:
        own = one.facts.orientation
        order = [positive(own).index(letter) for letter in letters] if letters else range(len(one.facts.shape))
        signs = [-1 if letters and own[axis] in "LPI" else 1 for axis in order]
        turned.append([None if place is None else place.turned(order, signs) for place in one.places])
    return turned


def _channel(measured: list[Measured], index: int, names: Sequence[str]) -> ChannelFacts:
    annotated = [one for one in measured if one.num_inside] or measured
    parts = [one.channels[index] for one in annotated if one.channels[index].values.size]
    drawn = np.concatenate([part.values for part in parts]).astype(np.float64) if parts else np.zeros(1)
    low, median, high = np.percentile(drawn, (0.5, 50, 99.5))
    name = names[index] if index < len(names) else f"channel_{index}"
    return ChannelFacts(
        name=name,
        modality=_modality(name, [one.channels for one in measured], index),
        mean=float(drawn.mean()),
        median=float(median),
        std=float(drawn.std()),
        minimum=min((part.inside[0] for part in parts), default=0.0),
        maximum=max((part.inside[1] for part in parts), default=0.0),
        low=float(low),
        high=float(high),
        spread=float(np.std([part.values.mean() for part in parts])) / max(float(drawn.std()), 1e-8) if parts else 0.0,
        num_samples=int(drawn.size),
        histogram=_histogram(drawn, float(low), float(high)),
    )


def _histogram(values: np.ndarray, low: float, high: float) -> tuple[float, ...]:
    counts = np.histogram(values, HISTOGRAM_BINS, (low, high if high > low else low + 1))[0]
    return tuple(np.round(counts / max(1, counts.sum()), 5).tolist())


def _modality(name: str, cases: list[tuple[Drawn, ...]], index: int) -> Literal["ct", "rgb", "general"]:
    """CT by name or by whole Hounsfield numbers down to air in nearly all cases; colours: three channels of bytes.

    A name cannot make Hounsfield units of pictures, whose values are within 0 to 255 in every case.
    """
    air = [c[index].whole_numbers and -4000 < c[index].overall[0] <= -500 and c[index].overall[1] >= 100 for c in cases]
    picture = all(c[index].overall[0] >= 0 and c[index].overall[1] <= 255 for c in cases)
    if (name.lower() == "ct" and not picture) or sum(air) >= 0.9 * len(air):
        return "ct"
    bytes_only = all(c.whole_numbers and c.overall[0] >= 0 and c.overall[1] <= 255 for case in cases for c in case)
    return "rgb" if bytes_only and all(len(case) == 3 for case in cases) else "general"


def _structure(measured: list[Measured], index: int, name: str) -> StructureFacts:
    counts = [one.counts[index] for one in measured if one.counts is not None]
    objects = [one.objects[index] for one in measured if one.counts is not None]
    known = [found for found in objects if found is not None]
    return StructureFacts(
        name=name,
        num_cases=sum(count > 0 for count in counts),
        share=sum(counts) / max(1, sum(one.num_annotated for one in measured)),
        num_objects=_median([len(found.sizes_mm3) for found in known]),
        object_mm3=_median([size for found in known for size in found.sizes_mm3]),
        extent_mm=_median([found.extent_mm for found in known]),
        width_mm=_median([found.width_mm for found in known]),
        fine_mm=_median([found.fine_mm for found in known]),
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def positive(orientation: str) -> str:
    """The axes of an orientation in the letters R, A, S, whichever way they point."""
    return orientation.translate(str.maketrans("LPI", "RAS"))
