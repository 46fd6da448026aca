"""How sure a net was and whether it was right: measured while it answers, kept in a small file for each case.

The probabilities of all structures are too large to keep. `Measuring` looks at them part by part as they are made,
counts them near the structures, and keeps one map at a time for each structure of several pieces, whose lesions it
looks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..core.case import Image
from ..core.errors import DataError
from ..core.files import regular, write_text
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.lengths import Lengths
from ..core.trees import load_json
from ..metrics.lesions import Candidates, candidates
from ..ops.morphology import components
from ..ops.resample import onto
from ..ops.scan import Box, boxes_of_values
from .record import plain
from .tally import CERTAINTY_METRICS, Tally

SUFFIX = ".certainty.json"


@dataclass(frozen=True)
class Belief:
    """One structure of one case.

    Attributes:
        case: Case id.
        group: Patient or other group.
        structure: Its name.
        values: The metrics of certainty; NaN when the reference lacks the structure.
        bins: For each bin of probability: voxels, sum of probabilities, voxels of the structure.
        lesions: Size (in the unit of sizes of the report) of each piece of the reference and the highest probability
            of the predicted piece that is matched to it, None without one; None when pieces were not looked at.
        false: Highest probability of each predicted piece that is matched to no piece of the reference.
    """

    case: str
    group: str
    structure: str
    values: Mapping[str, float]
    bins: tuple[tuple[float, ...], ...]
    lesions: tuple[tuple[float, float | None], ...] | None = None
    false: tuple[float, ...] = ()

    @property
    def candidates(self) -> Candidates:
        """What the case gives to a FROC curve."""
        hits = tuple(-math.inf if score is None else score for _, score in self.lesions or ())
        return Candidates(hits, self.false)


class Measuring:
    """Measures the certainty of one case while its probabilities are made.

    Args:
        reference: Labels on the grid of the answer.
        labels: Structures and their values.
        scattered: Structures that are several pieces, whose lesions are looked for.
        annotated: Structures that were annotated in the case, all when None; nothing is kept of the others.
        lengths: Units of sizes, and the margin around the box of a structure in which voxels are judged: all the rest
            of the image is easy background, which would make every net look well calibrated. Those of the case when
            None.
        objects: Object numbers (*S) of the reference where annotations have them; else lesions are connected pieces.
    """

    def __init__(
        self,
        reference: Image,
        labels: Labels,
        scattered: Collection[str] = (),
        annotated: Collection[str] | None = None,
        lengths: Lengths | None = None,
        objects: np.ndarray | None = None,
    ) -> None:
        self.objects = objects
        self.known = labels.names if annotated is None else annotated
        self.truth, self.grid, self.labels = labels.classed(reference.array[0]), reference.grid, labels
        self.lengths = lengths or Lengths.of([self.grid])
        self.boxes = _boxes(self.truth, self.lengths.spacing_of(self.grid), self.lengths.margin_mm, labels)
        self.tallies = [Tally() for _ in labels.names]
        self.maps = {name: np.zeros(self.grid.shape, np.float16) for name in labels.names if name in scattered}

    def add(self, probabilities: np.ndarray, source: Grid, place: tuple[slice, ...]) -> None:
        """Count a part.

        Args:
            probabilities: (K, *source.shape); the last channels are the structures.
            source: Where they lie.
            place: The voxels of the answer that they settle.
        """
        first = len(probabilities) - len(self.labels.names)
        part = tuple(slice(*one.indices(size)[:2]) for one, size in zip(place, self.grid.shape, strict=True))
        for index, name in enumerate(self.labels.names):
            box = part if name in self.maps else _common(part, self.boxes[index])
            if box is None:
                continue
            target = self.grid.cropped([one.start for one in box], [one.stop - one.start for one in box])
            channel = probabilities[first + index : first + index + 1]
            found = onto(Image(channel, source, "probabilities"), target).array[0]
            if name in self.maps:
                self.maps[name][box] = found
            if inner := _common(box, self.boxes[index]):
                self._count(index, found[_within(inner, box)], inner)

    def finished(self, case: str, group: str) -> list[Belief]:
        """What was found, one for each annotated structure."""
        return [
            self._belief(case, group, index, name) for index, name in enumerate(self.labels.names) if name in self.known
        ]

    def _count(self, index: int, probabilities: np.ndarray, box: Box) -> None:
        values = self.truth[box]
        truth = np.isin(values, self.labels.values[index])
        if self.labels.ignore is not None:
            judged = values != self.labels.ignore
            probabilities, truth = probabilities[judged], truth[judged]
        self.tallies[index].add(probabilities, truth)

    def _belief(self, case: str, group: str, index: int, name: str) -> Belief:
        tally = self.tallies[index]
        bins = tuple(tuple(round(number, 6) for number in row) for row in tally.bins().tolist())
        values = {key: round(number, 6) for key, number in tally.numbers().items()}
        found = Belief(case, group, name, values, bins)
        if name not in self.maps:
            return found
        inside = np.isin(self.truth, self.labels.values[index])
        numbers = components(inside)[0] if self.objects is None else self.objects * inside
        voxels = np.unique(numbers[numbers > 0], return_counts=True)[1]
        one = candidates(self.maps[name], numbers)
        sizes = voxels * self.lengths.voxel_size(self.grid.voxel_mm3, self.grid.dims)
        lesions = tuple(
            (round(float(size), 6), round(hit, 4) if math.isfinite(hit) else None)
            for size, hit in zip(sizes, one.hits, strict=True)
        )
        return replace(found, lesions=lesions, false=tuple(round(score, 4) for score in one.false))


def file_of(folder: str | Path, case: str) -> Path:
    """Where what was found of a case is kept: beside its answer."""
    return Path(folder) / f"{case}{SUFFIX}"


def write_beliefs(folder: str | Path, case: str, beliefs: Sequence[Belief]) -> None:
    """Keep what was found of a case beside its answer."""
    rows = [asdict(one) | {"values": plain(one.values)} for one in beliefs]
    write_text(file_of(folder, case), json.dumps(rows, ensure_ascii=False) + "\n")


def read_beliefs(path: Path) -> list[Belief]:
    """What `write_beliefs` kept."""
    try:
        rows = load_json(regular(path).read_text(encoding="utf-8"))
        return [
            Belief(
                row["case"],
                row["group"],
                row["structure"],
                {name: math.nan if row["values"][name] is None else row["values"][name] for name in CERTAINTY_METRICS},
                tuple(map(tuple, row["bins"])),
                None if row["lesions"] is None else tuple((size, score) for size, score in row["lesions"]),
                tuple(row["false"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: this is not what prediction wrote ({error}); delete it and predict again.") from None


def _boxes(truth: np.ndarray, spacing: Sequence[float], margin_mm: float, labels: Labels) -> list[Box | None]:
    """The box of each structure with the margin around it; None where the reference lacks it."""
    found = boxes_of_values(truth, sorted({value for group in labels.values for value in group}))
    margins = [math.ceil(round(margin_mm / step, 6)) for step in spacing]
    boxes: list[Box | None] = []
    for group in labels.values:
        parts = [found[value] for value in group if value in found]
        sides = [
            slice(
                max(0, min(one[axis].start for one in parts) - margin),
                min(size, max(one[axis].stop for one in parts) + margin),
            )
            for axis, (margin, size) in enumerate(zip(margins, truth.shape, strict=True))
            if parts
        ]
        boxes.append(tuple(sides) if parts else None)
    return boxes


def _common(one: Box, other: Box | None) -> Box | None:
    """What two boxes share; None when nothing."""
    if other is None:
        return None
    shared = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return shared if all(side.start < side.stop for side in shared) else None


def _within(inner: Box, outer: Box) -> Box:
    """The inner box as a part of an array that holds the outer one."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))
