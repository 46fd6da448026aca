"""From predictions and references to rows: one case, or a list of pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.lengths import Lengths
from ..core.progress import log, track
from ..datasets.agreement import coincide, difference
from ..metrics.metric import DEFAULT_METRICS
from ..metrics.objects import Objects
from ..metrics.pair import pairs_of
from ..metrics.shelves import check_kind
from .confusion import Confusion, table_of
from .identity import mark_of_reference
from .images import rows_of_image
from .report import UNKNOWN, EvaluationSettings, Report, rounded, rounded_size
from .rows import Row

OBJECT_METRIC = "object_f1"

Numbers = tuple[np.ndarray | None, np.ndarray | None]


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
    lengths: Lengths | None = None,
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
        lengths: Units of the rows, and what a tolerance is when settings give none; those of the reference when None.

    Raises:
        DataError: When the grids differ, or the arrays have not the channels they need.
        ConfigError: When a metric does not fit the number of axes, or what is judged.
    """
    lengths = lengths or Lengths.of([reference.grid])
    settings = (settings or EvaluationSettings()).measured_in(lengths)
    chosen = settings.build()
    check_kind(chosen, reference.kind)
    for metric in chosen:
        if reference.grid.dims not in metric.dims:
            needs = f"{metric.name} needs {metric.dims[0]}D images"
            raise ConfigError(f"metrics: {needs}; these have {reference.grid.dims} axes.")
    if prediction is not None and reference.kind != "labels":
        _check_grids(case, prediction.grid, reference.grid)
        return rows_of_image((case, group or case), prediction, reference, outputs, settings, lengths)
    truth = _label_array(case, "reference", reference)
    if prediction is None:
        guess = np.zeros_like(truth)
    else:
        _check_grids(case, prediction.grid, reference.grid)
        guess = _label_array(case, "prediction", prediction)
    if labels.objects:
        numbers = (guess, truth) if settings.objects == "numbers" else (None, None)
        guess, truth = labels.classed(guess), labels.classed(truth)
    rows, voxel = [], lengths.voxel_size(reference.grid.voxel_mm3, reference.grid.dims)
    for name, pair in pairs_of(guess, truth, labels, lengths.spacing_of(reference.grid), numbers):
        if annotated is not None and name not in annotated:
            unknown = {metric.name: math.nan for metric in chosen}
            rows.append(Row(case, group or case, name, UNKNOWN, math.nan, math.nan, unknown))
            continue
        values = {
            metric.name: rounded(
                metric.of(pair.objects if metric.compares is Objects else pair, settings.rules) / metric.scale(lengths)
            )
            for metric in chosen
        }
        sizes = (rounded_size(pair.num_reference * voxel), rounded_size(pair.num_predicted * voxel))
        mark = mark_of_reference(pair, reference.grid)
        num_objects = pair.objects.num_reference if OBJECT_METRIC in values else 0
        rows.append(Row(case, group or case, name, pair.finding, *sizes, values, mark, num_objects))
    return rows


def evaluate_pairs(
    cases: Iterable[Judged],
    labels: Labels,
    settings: EvaluationSettings | None = None,
    workers: int = 1,
    notes: Sequence[str] = (),
    stage: str = "evaluate",
    outputs: Sequence[str] = (),
    lengths: Lengths | None = None,
) -> Report:
    """The report of many cases; as many as there are workers are in memory at a time.

    Beside the usual metrics, `object_f1` is measured where a structure is several pieces: an overlap does not say
    whether these were found one by one.

    Args:
        cases: What is judged.
        labels: Structures and their values.
        settings: Metrics and rules.
        workers: Threads.
        notes: Sentences for the report.
        stage: What a progress bar calls the work.
        outputs: What the channels of images are called.
        lengths: Units of the report, and what a tolerance is when settings give none; when None those of the
            references, each of which is read once more for it.

    Raises:
        DataError: When there are no cases, or one of them cannot be judged.
    """
    todo = list(cases)
    if not todo:
        raise DataError("There is nothing to evaluate: no pairs of prediction and reference were given.")

    lengths = lengths or Lengths.of(one.read()[1].grid for one in todo)
    settings = (settings or EvaluationSettings()).measured_in(lengths)
    if usual := settings.metrics == DEFAULT_METRICS:
        settings = settings.model_copy(update={"metrics": (*DEFAULT_METRICS, OBJECT_METRIC)})
    numbered = settings.objects == "numbers" and any(metric.compares is Objects for metric in settings.build())

    def judge(one: Judged) -> tuple[list[Row], Grid, np.ndarray | None]:
        prediction, reference = one.read()
        numbers = one.numbers() if numbered and one.numbers else (None, None)
        about = one.group, numbers, one.annotated, outputs, lengths
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
    if usual and not _in_pieces(rows):
        settings = settings.model_copy(update={"metrics": DEFAULT_METRICS})
        rows = tuple(replace(row, values={name: row.values[name] for name in DEFAULT_METRICS}) for row in rows)
    calibrated = {grid.calibrated for grid in grids}
    told = list(notes)
    if len(calibrated) > 1:
        told.append("Some images know their pixel size and some do not; lengths of all are in pixels.")
        log.warning(told[-1])
    told += [
        f"{name} was not annotated in {count} of {len(todo)} cases, where it is not judged."
        for name in labels.names
        if (count := sum(row.structure == name and row.finding == UNKNOWN for row in rows))
    ]
    size_unit = lengths.size_unit(grids[0].dims)
    facts = {one.case: one.facts for one in todo if one.facts}
    confused = None if tables[0] is None else Confusion.of(tables, labels)
    names = labels.names or tuple(dict.fromkeys(row.structure for row in rows))
    return Report(rows, names, settings, lengths.unit, size_unit, tuple(told), facts, confused)


def _in_pieces(rows: Sequence[Row]) -> bool:
    """Whether the references of some structure hold several objects in most cases where it is."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if row.num_objects:
            counts.setdefault(row.structure, []).append(row.num_objects)
    return any(np.median(some) > 1 for some in counts.values())


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
