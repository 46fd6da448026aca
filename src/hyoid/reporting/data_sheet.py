"""What a data set is: sizes, intensities, structures, what is missing, and whether the split leaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Intensities:
    """How intensities of one channel lie inside the structures.

    Attributes:
        channel: Its name.
        low: Lower end of the first bin, the 0.5th percentile.
        high: Upper end of the last bin, the 99.5th percentile.
        shares: Share of the voxels in each bin of equal width.
    """

    channel: str
    low: float
    high: float
    shares: Sequence[float]


@dataclass(frozen=True)
class DataSheet:
    """What the data set is.

    Attributes:
        facts: Lines to show as they are, such as layout, channels, number of annotated cases.
        shapes: Shape of each case.
        spacings_mm: Spacing of each case; empty when unknown.
        split: Case ids of each part, such as {"training": ..., "validation": ...}.
        groups: Patient or other group of each case id; cases that are not named stand on their own.
        warnings: What was repaired or may go wrong.
        groups_known: Whether the data tell which cases belong together.
        digests: Of the image of each case; equal images have equal ones.
        sizes: For each structure its size in each annotated case; 0 where it is absent.
        size_unit: Of these sizes: ml, mm², µm², px² and the like.
        length_unit: That spacings are shown in.
        intensities: One for each channel.
        unlabelled: Cases without annotation.
        choices: What was measured and what was chosen because of it: property, measured, chosen.
        notes: What was decided while reading.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    shapes: Sequence[tuple[int, ...]] = ()
    spacings_mm: Sequence[tuple[float, ...]] = ()
    split: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    groups_known: bool = True
    digests: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    size_unit: str = "ml"
    length_unit: str = "mm"
    intensities: Sequence[Intensities] = ()
    unlabelled: Sequence[str] = ()
    choices: Sequence[tuple[str, str, str]] = ()
    notes: Sequence[str] = ()

    def parts(self) -> dict[str, tuple[int, int]]:
        """Cases and groups of each part of the split."""
        return {
            part: (len(cases), len({self.groups.get(case) or case for case in cases}))
            for part, cases in self.split.items()
        }

    def leaks(self) -> tuple[str, ...]:
        """Groups with cases in more than one part of the split."""
        found: dict[str, set[str]] = {}
        for part, cases in self.split.items():
            for case in cases:
                found.setdefault(self.groups.get(case) or case, set()).add(part)
        return tuple(sorted(group for group, parts in found.items() if len(parts) > 1))

    def copies(self) -> tuple[tuple[str, ...], ...]:
        """Cases whose images are equal voxel by voxel, under whatever names."""
        found = defaultdict(list)
        for case, digest in self.digests.items():
            if digest:
                found[digest].append(case)
        return tuple(tuple(cases) for cases in found.values() if len(cases) > 1)

    def leaking_copies(self) -> tuple[tuple[str, ...], ...]:
        """Those of the copies that lie in more than one part of the split."""
        part_of = {case: part for part, cases in self.split.items() for case in cases}
        return tuple(cases for cases in self.copies() if len({part_of.get(case, "") for case in cases} - {""}) > 1)

    def sizes_by_part(self, structure: str) -> dict[str, np.ndarray]:
        """Sizes of a structure where it is present, by part of the split; all cases together without a split."""
        known = {case: size for case, size in self.sizes[structure].items() if size > 0}
        split = self.split or {"all cases": list(known)}
        return {part: np.array([known[case] for case in cases if case in known]) for part, cases in split.items()}

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds of it."""
        return {
            "facts": dict(self.facts),
            "parts": {part: {"cases": cases, "groups": groups} for part, (cases, groups) in self.parts().items()},
            "groups_known": self.groups_known,
            "groups_in_several_parts": list(self.leaks()),
            "equal_images": [list(cases) for cases in self.copies()],
            "equal_images_in_several_parts": [list(cases) for cases in self.leaking_copies()],
            "shape": _range(self.shapes),
            "spacing_mm": _range(self.spacings_mm),
            "size_unit": self.size_unit,
            "structures": [
                {"structure": name, "part": part, "present": len(sizes), **_quartiles(sizes)}
                for name in self.sizes
                for part, sizes in self.sizes_by_part(name).items()
            ],
            "intensities": [{**asdict(one), "shares": list(one.shares)} for one in self.intensities],
            "unlabelled": list(self.unlabelled),
            "choices": [list(choice) for choice in self.choices],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def _range(rows: Sequence[tuple[float, ...]]) -> dict[str, list[float]] | None:
    """Smallest, median and largest value along each axis."""
    if not rows:
        return None
    table = np.asarray(rows, float)
    ends = {"smallest": table.min(0), "median": np.median(table, axis=0), "largest": table.max(0)}
    return {key: [round(value, 6) for value in values.tolist()] for key, values in ends.items()}


def _quartiles(sizes: np.ndarray) -> dict[str, float | None]:
    names = ("smallest", "q1", "median", "q3", "largest")
    if not len(sizes):
        return dict.fromkeys(names)
    return dict(zip(names, np.round(np.percentile(sizes, (0, 25, 50, 75, 100)), 6).tolist(), strict=True))
