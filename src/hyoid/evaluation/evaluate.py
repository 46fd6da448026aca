"""From predictions and references to rows: one case, or a list of pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.progress import log, track
from ..datasets.agreement import coincide, difference
from ..metrics.objects import Objects
from ..metrics.pair import pairs_of
from ..metrics.shelves import check_kind
from .confusion import Confusion, table_of
from .identity import mark_of_reference
from .images import rows_of_image
from .report import UNKNOWN, EvaluationSettings, Report, rounded
from .rows import Row

Numbers = tuple[np.ndarray | None, np.ndarray | None]

SIZE_UNITS = {True: {3: "ml", 2: "mm²"}, False: {3: "px", 2: "px"}}


@dataclass(frozen=True)
class Judged:
    """One case to judge; images are read when its turn comes.

    Attributes:
        case: Its id.
        read: Gives prediction (None when there is none) and reference.
        group: Patient or other group; the case itself when empty.
        facts: What else is known of the case, carried into cases.csv.
        numbers: Gives the object numbers (*S) of prediction and reference, None where none are known.
        annotated: Structures that were annotated in the case; None when all were. Only these are judged.
    """

    case: str
    read: Callable[[], tuple[Image | None, Image]]
    group: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    numbers: Callable[[], Numbers] | None = None
    annotated: tuple[str, ...] | None = None


def evaluate_case(
    case: str,
    prediction: Image | None,
    reference: Image,
    labels: Labels,
    settings: EvaluationSettings | None = None,
    group: str = "",
    numbers: Numbers = (None, None),
    annotated: Sequence[str] | None = None,
    outputs: Sequence[str] = (),
) -> list[Row]:
    """The rows of one case, one for each structure, or for each channel of an image.

    Args:
        case: Case id.
        prediction: Labels on the grid of the reference; None counts every structure as missed. Or an image, or a field.
        reference: The truth of the same kind.
        labels: Structures and their values.
        settings: Metrics and rules.
        group: Patient or other group; the case itself when empty.
        numbers: Object numbers (*S) of prediction and reference, for metrics of objects; pieces where None.
        annotated: Structures that were annotated, all when None; rows of others have no numbers.
        outputs: What the channels of an image are called.

    Raises:
        DataError: When the grids differ, or the arrays have not the channels they need.
        ConfigError: When a metric does not fit the number of axes, or what is judged.
    """
    settings = settings or EvaluationSettings()
    chosen = settings.build()
    check_kind(chosen, reference.kind)
    for metric in chosen:
        if reference.grid.dims not in metric.dims:
            needs = f"{metric.name} needs {metric.dims[0]}D images"
            raise ConfigError(f"metrics: {needs}; these have {reference.grid.dims} axes.")
    if prediction is not None and reference.kind != "labels":
        _check_grids(case, prediction.grid, reference.grid)
        return rows_of_image((case, group or case), prediction, reference, outputs, settings)
    truth = _label_array(case, "reference", reference)
    if prediction is None:
        guess = np.zeros_like(truth)
    else:
        _check_grids(case, prediction.grid, reference.grid)
        guess = _label_array(case, "prediction", prediction)
    if labels.objects:
        numbers = (guess, truth) if settings.objects == "numbers" else (None, None)
        guess, truth = labels.classed(guess), labels.classed(truth)
    rows = []
    for name, pair in pairs_of(guess, truth, labels, reference.grid.spacing_mm, numbers):
        if annotated is not None and name not in annotated:
            unknown = {metric.name: math.nan for metric in chosen}
            rows.append(Row(case, group or case, name, UNKNOWN, math.nan, math.nan, unknown))
            continue
        values = {
            metric.name: rounded(metric.of(pair.objects if metric.compares is Objects else pair, settings.rules))
            for metric in chosen
        }
        sizes = (_size(pair.num_reference, reference.grid), _size(pair.num_predicted, reference.grid))
        mark = mark_of_reference(pair, reference.grid)
        rows.append(Row(case, group or case, name, pair.finding, *sizes, values, mark))
    return rows


def evaluate_pairs(
    cases: Iterable[Judged],
    labels: Labels,
    settings: EvaluationSettings | None = None,
    workers: int = 1,
    notes: Sequence[str] = (),
    stage: str = "evaluate",
    outputs: Sequence[str] = (),
) -> Report:
    """The report of many cases; as many as there are workers are in memory at a time.

    Args:
        cases: What is judged.
        labels: Structures and their values.
        settings: Metrics and rules.
        workers: Threads.
        notes: Sentences for the report.
        stage: What a progress bar calls the work.
        outputs: What the channels of images are called.

    Raises:
        DataError: When there are no cases, or one of them cannot be judged.
    """
    settings = settings or EvaluationSettings()
    todo = list(cases)
    if not todo:
        raise DataError("There is nothing to evaluate: no pairs of prediction and reference were given.")

    numbered = settings.objects == "numbers" and any(metric.compares is Objects for metric in settings.build())

    def judge(one: Judged) -> tuple[list[Row], Grid, np.ndarray | None]:
        prediction, reference = one.read()
        numbers = one.numbers() if numbered and one.numbers else (None, None)
        about = one.group, numbers, one.annotated, outputs
        rows = evaluate_case(one.case, prediction, reference, labels, settings, *about)
        if reference.kind != "labels":
            return rows, reference.grid, None
        table = table_of(None if prediction is None else prediction.array[0], reference.array[0], labels)
        if one.annotated is not None:
            known = np.array([True, *(name in one.annotated for name in labels.names)])
            table = table * np.outer(known, known)
        return rows, reference.grid, table

    with ThreadPoolExecutor(max(1, workers)) as pool:
        by_case, grids, tables = zip(*track(pool.map(judge, todo), stage, len(todo)), strict=True)
    rows = tuple(itertools.chain.from_iterable(by_case))
    calibrated = {grid.calibrated for grid in grids}
    told = list(notes)
    if len(calibrated) > 1:
        told.append("Some images know their pixel size and some do not; lengths mix mm with pixels.")
        log.warning(told[-1])
    told += [
        f"{name} was not annotated in {count} of {len(todo)} cases, where it is not judged."
        for name in labels.names
        if (count := sum(row.structure == name and row.finding == UNKNOWN for row in rows))
    ]
    known = calibrated == {True}
    size_unit = SIZE_UNITS[known][grids[0].dims]
    facts = {one.case: one.facts for one in todo if one.facts}
    confused = None if tables[0] is None else Confusion.of(tables, labels)
    names = labels.names or tuple(dict.fromkeys(row.structure for row in rows))
    return Report(rows, names, settings, "mm" if known else "px", size_unit, tuple(told), facts, confused)


def _label_array(case: str, what: str, image: Image) -> np.ndarray:
    if image.channels != 1:
        raise DataError(f"{case}: the {what} has {image.channels} channels; expected one channel of label values.")
    return image.array[0]


def _check_grids(case: str, prediction: Grid, reference: Grid) -> None:
    if not coincide(reference, prediction):
        raise DataError(
            f"{case}: prediction and reference are not on one grid: {difference(reference, prediction)} Put the "
            "prediction onto the grid of the reference, or correct the header."
        )


def _size(voxels: int, grid: Grid) -> float:
    """Voxels in ml (3D), mm² (2D) or pixels."""
    if not grid.calibrated:
        return float(voxels)
    return rounded(voxels * grid.voxel_mm3 / (1000 if grid.dims == 3 else 1))
