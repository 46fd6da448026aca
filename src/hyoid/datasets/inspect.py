"""What a file or a data set holds, as structured facts that a command line or a page can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.grid import Grid
from ..core.lengths import Lengths
from ..core.progress import track
from ..core.result import Column, Line, Result, Table
from ..files import dicom
from ..files.formats import is_image, read_stored
from ..files.header import Header
from .dataset import Dataset, open_dataset
from .entry import Entry, amount, listed
from .groups import GROUP_COLUMNS
from .survey import Seen, implausible

SHOWN_CASES = 12
SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class Inspection(Result):
    """What was found at a path.

    Attributes:
        title: One line that says what it is.
        facts: Names and values in the order to show them.
        cases: One row for each case of a data set; all rows have the same columns.
        problems: What is wrong, one sentence each; empty when all is well.
        warnings: What may go wrong.
        notes: What was decided while reading.
    """

    title: str
    facts: Mapping[str, str]
    cases: tuple[Mapping[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self, width: int) -> Iterable[Line | Table]:
        """Facts, the first cases, and what is or may go wrong."""
        yield Line(self.title, look="strong")
        yield Table((Column("", look="name"), Column("", long="fold")), tuple(self.facts.items()), header=False)
        if self.cases:
            columns = list(self.cases[0])
            rows = tuple(tuple(row.values())[:SHOWN_COLUMNS] for row in self.cases[:SHOWN_CASES])
            yield Line("")
            yield Table(tuple(Column(name, long="fold") for name in columns[:SHOWN_COLUMNS]), rows)
            for what, more in (("columns", len(columns) - SHOWN_COLUMNS), ("cases", len(self.cases) - SHOWN_CASES)):
                if more > 0:
                    yield Line(f"... and {more} more {what}", look="faint")
        yield from (Line(text, "note") for text in self.notes)
        yield from (Line(text, "warning") for text in self.warnings)
        yield from (Line(text, "problem") for text in self.problems)

    def to_json(self) -> Mapping[str, Any]:
        """Every field."""
        return asdict(self)


def inspect_path(path: str | Path) -> Inspection:
    """What a file, a DICOM series folder or a data set holds.

    Problems are reported, not raised, except that a missing path is an error.

    Raises:
        DataError: When there is no such path.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    tables = (".csv", ".tsv", ".yaml", ".yml", "dataset.json")
    single = path.is_file() and not path.name.lower().endswith(tables)
    try:
        if single or (path.is_dir() and is_image(path)):
            return _inspect_image(path)
        return _inspect_dataset(open_dataset(path))
    except DataError as error:
        kind = "image file" if single else "data set"
        return Inspection(f"{path.name}: not a readable {kind}", {"path": str(path)}, problems=(str(error),))


def _inspect_image(path: Path) -> Inspection:
    stored = read_stored(path)
    header, array = stored.header, stored.array
    facts = {"path": str(path), "format": header.format, **_geometry(header)}
    problems, warnings = [], implausible(header)
    for index, channel in enumerate(array):
        name = "values" if len(array) == 1 else f"values of channel {index}"
        facts[name] = _values(channel)
        if channel.dtype.kind == "f" and (bad := int((~np.isfinite(channel)).sum())):
            problems.append(f"{bad} voxels{f' of channel {index}' if len(array) > 1 else ''} are NaN or infinite.")
    if _is_constant(array):
        warnings.append("All voxels have one value; the image shows nothing.")
    if path.is_dir() and header.format.startswith("DICOM"):
        if header.grid.dims == 3:
            facts["slices"] = str(header.grid.shape[2])
        facts["DICOM files"] = str(len(dicom.series_files(path)))
    return Inspection(f"{path.name}: {header.format} image", facts, (), tuple(problems), tuple(warnings), header.notes)


def _is_constant(array: np.ndarray) -> bool:
    return bool(array.size and array.max() == array.min())  # NaN equals nothing


def _geometry(header: Header) -> dict[str, str]:
    grid = header.grid
    facts = {"shape": _x(grid.shape), "channels": str(header.channels), "numbers": header.dtype}
    if not grid.calibrated:
        return {**facts, "voxel size": "unknown"}
    lengths = Lengths.of([grid])
    facts["spacing"] = lengths.text(grid.spacing_mm)
    facts["extent"] = lengths.text(np.multiply(grid.shape, grid.spacing_mm))
    if grid.dims == 3:
        facts["orientation"] = f"{grid.orientation}{_obliquity(grid)}"
        facts["origin"] = lengths.text(grid.origin_mm, ", ")
    return facts


def _obliquity(grid: Grid) -> str:
    direction = np.asarray(grid.direction)
    degrees = float(np.degrees(np.arccos(np.clip(np.abs(direction).max(axis=0), 0, 1))).max())
    sheared = np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3
    return (f", oblique by {degrees:.1f} degrees" if degrees > 0.1 else "") + (", sheared" if sheared else "")


def _values(channel: np.ndarray) -> str:
    finite = channel[np.isfinite(channel)] if channel.dtype.kind == "f" else channel.ravel()
    if not finite.size:
        return "none finite"
    low, high = finite.min(), finite.max()
    if channel.dtype.kind in "biu":
        sample = np.unique(finite)
        if len(sample) <= 12:
            return ", ".join(map(str, sample.tolist()))
    p1, p50, p99 = np.percentile(finite[:: max(1, finite.size // 200_000)], (1, 50, 99))
    return f"{low:.5g} to {high:.5g}, median {p50:.5g}, 1 % {p1:.5g}, 99 % {p99:.5g}"


def _inspect_dataset(dataset: Dataset) -> Inspection:
    seen = [dataset.seen[entry.id] for entry in (*dataset.cases, *dataset.unlabelled)]
    facts = {
        "path": str(dataset.root),
        "layout": dataset.layout,
        "cases": _cases(dataset),
        "groups": _groups(dataset),
        "channels": ", ".join(dataset.channel_names),
        "formats": ", ".join(sorted({one.format for one in seen})),
        "dimensions": str(len(seen[0].shape)),
        "shapes": _range([one.shape for one in seen]),
        "spacings": _spacings(seen),
        "numbers": ", ".join(sorted({one.dtype for one in seen})),
        "labels": _labels(dataset),
        "annotation": dataset.encoding.kind if dataset.truth == "labels" else dataset.truth,
    }
    if len(seen[0].shape) == 3:
        facts["orientations"] = ", ".join(sorted({one.orientation for one in seen}))
    if dataset.num_others:
        facts["second images"] = f"{dataset.num_others} of {len(seen)}"
    problems, doubts = _read_in_full(dataset)
    rows = tuple(_row(dataset, entry) for entry in (*dataset.cases, *dataset.unlabelled))
    return Inspection(
        f"{dataset.root.name}: data set of {amount(len(dataset), 'case', 'cases')}",
        facts,
        rows,
        problems,
        (*dataset.warnings, *doubts),
        dataset.notes,
    )


def _read_in_full(dataset: Dataset) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What goes wrong when every case is read in full, and a warning of images that show nothing."""
    problems, constant = [], []
    for case in track([entry.id for entry in (*dataset.cases, *dataset.unlabelled)], "Reading cases"):
        try:
            if _is_constant(dataset.read(case, other=True).image.array):
                constant.append(case)
        except DataError as error:
            problems.append(str(error))
    doubts = [f"All voxels have one value in {listed(constant)}; these images show nothing."] if constant else []
    return tuple(problems), tuple(doubts)


def _cases(dataset: Dataset) -> str:
    more = {"without annotation": dataset.unlabelled, "kept out": dataset.held_out}
    apart = ", ".join(f"{len(entries)} more {where}" for where, entries in more.items() if entries)
    return str(len(dataset)) + (f" ({apart})" if apart else "")


def _row(dataset: Dataset, entry: Entry) -> dict[str, str]:
    seen = dataset.seen[entry.id]
    total = sum(seen.counts.values())
    row = {
        "case": entry.id,
        "group": dataset.group_of(entry.id),
        "shape": _x(seen.shape),
        "spacing": Lengths.of([seen]).text(seen.spacing_mm) if seen.calibrated else "",
        "image": ", ".join(path.name for path in entry.images),
    }
    for name, group in zip(dataset.labels.names, dataset.labels.values, strict=True):
        count = sum(seen.counts.get(value, 0) for value in group)
        known = total and name in (entry.annotated or dataset.labels.names)
        row[name] = f"{100 * count / total:.3g} %" if known else "not annotated"
    if dataset.truth != "labels":
        row["target"] = entry.target.name if entry.target else "none"
    if dataset.num_others:
        row["other"] = ", ".join(path.name for path in entry.other) or "none"
    return row


def _groups(dataset: Dataset) -> str:
    rule = dataset.grouping.rule
    if dataset.has_groups and rule != "stack":
        columns = [f" (column `{c}`)" for c in GROUP_COLUMNS if any(entry.facts.get(c) for entry in dataset.cases)]
        together = f"{len({dataset.group_of(case) for case in dataset.ids})}{next(iter(columns), ' stacks')}"
        return together + ("; folds are given by the split column" if rule == "split" else "")
    return {"stack": "slices of a stack", "split": "given by the split column"}.get(rule, "none known")


def _labels(dataset: Dataset) -> str:
    rows = zip(dataset.labels.names, dataset.labels.values, dataset.labels.coded, strict=True)
    told = ", ".join(f"{n} ({'+'.join(map(str, v))}{f', {c.scheme} {c.value}' if c else ''})" for n, v, c in rows)
    return told + (f", ignored ({dataset.labels.ignore})" if dataset.labels.ignore is not None else "")


def _spacings(seen: Sequence[Seen]) -> str:
    known = [one for one in seen if one.calibrated]
    if not known:
        return "unknown"
    lengths = Lengths.of(known)
    unknown = f" (unknown for {len(seen) - len(known)})" if len(known) < len(seen) else ""
    return f"{_range([np.divide(one.spacing_mm, lengths.mm) for one in known])} {lengths.unit}{unknown}"


def _range(rows: Sequence[Sequence[float] | np.ndarray]) -> str:
    """Smallest, median and largest along each axis, or the one value that all share."""
    table = np.asarray(rows, float)
    if np.allclose(table, table[0], rtol=1e-4):
        return _x(table[0])
    low, middle, high = table.min(0), np.median(table, axis=0), table.max(0)
    return f"{_x(low)} to {_x(high)}, median {_x(middle)}"


def _x(numbers: Sequence[float] | np.ndarray, between: str = "x") -> str:
    return between.join(f"{n:.4g}" for n in numbers)
