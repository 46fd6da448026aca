"""From predictions and references to rows: one case, a list of pairs, or two folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.progress import log, track
from ..metrics.pair import pairs_of
from .report import EvaluationSettings, Report, Row, rounded

SIZE_UNITS = {True: {3: "ml", 2: "mm²"}, False: {3: "px", 2: "px"}}


@dataclass(frozen=True)
class Judged:
    """One case to judge; images are read when its turn comes.

    Attributes:
        case: Its id.
        read: Gives prediction (None when there is none) and reference.
        group: Patient or other group; the case itself when empty.
    """

    case: str
    read: Callable[[], tuple[Image | None, Image]]
    group: str = ""


def evaluate_case(
    case: str,
    prediction: Image | None,
    reference: Image,
    labels: Labels,
    settings: EvaluationSettings | None = None,
    group: str = "",
) -> list[Row]:
    """The rows of one case, one for each structure.

    Args:
        case: Case id.
        prediction: Labels on the grid of the reference; None counts every structure as missed.
        reference: Labels.
        labels: Structures and their values.
        settings: Metrics and rules.
        group: Patient or other group; the case itself when empty.

    Raises:
        DataError: When the grids differ or an array has several channels.
        ConfigError: When a metric does not fit the number of axes.
    """
    settings = settings or EvaluationSettings()
    chosen = settings.build()
    _check_metrics(settings, reference.grid.dims)
    truth = _label_array(case, "reference", reference)
    if prediction is None:
        guess = np.zeros_like(truth)
    else:
        _check_grids(case, prediction.grid, reference.grid)
        guess = _label_array(case, "prediction", prediction)
    rows = []
    for name, pair in pairs_of(guess, truth, labels, reference.grid.spacing_mm):
        values = {metric.name: rounded(metric.of(pair, settings.rules)) for metric in chosen}
        sizes = (_size(pair.num_reference, reference.grid), _size(pair.num_predicted, reference.grid))
        rows.append(Row(case, group or case, name, pair.finding, *sizes, values))
    return rows


def evaluate_pairs(
    cases: Iterable[Judged],
    labels: Labels,
    settings: EvaluationSettings | None = None,
    workers: int = 1,
    notes: Sequence[str] = (),
) -> Report:
    """The report of many cases; as many as there are workers are in memory at a time.

    Raises:
        DataError: When there are no cases, or one of them cannot be judged.
    """
    settings = settings or EvaluationSettings()
    todo = list(cases)
    if not todo:
        raise DataError("There is nothing to evaluate: no pairs of prediction and reference were given.")

    def judge(one: Judged) -> tuple[list[Row], Grid]:
        prediction, reference = one.read()
        return evaluate_case(one.case, prediction, reference, labels, settings, one.group), reference.grid

    rows: list[Row] = []
    grids: list[Grid] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for found, grid in track(pool.map(judge, todo), "evaluate", len(todo)):
            rows.extend(found)
            grids.append(grid)
    calibrated = {grid.calibrated for grid in grids}
    told = list(notes)
    if len(calibrated) > 1:
        told.append("Some images know their pixel size and some do not; lengths mix mm with pixels.")
        log.warning(told[-1])
    known = calibrated == {True}
    size_unit = SIZE_UNITS[known][grids[0].dims]
    return Report(tuple(rows), labels.names, settings, "mm" if known else "px", size_unit, tuple(told))


def evaluate_folders(
    predictions: str | Path,
    references: str | Path,
    labels: Labels | None = None,
    settings: EvaluationSettings | None = None,
    groups: Mapping[str, str] | None = None,
    missing: Literal["error", "worst"] = "error",
    workers: int = 2,
) -> Report:
    """The report of two folders of label images, paired by file name without its ending.

    Args:
        predictions: Folder of predicted label images.
        references: Folder of reference label images; each is judged.
        labels: Structures and their values; taken from the values found in the references when None.
        settings: Metrics and rules.
        groups: Patient of each case id, for the intervals; each case on its own when None.
        missing: What a reference without prediction is: an error, or judged as if nothing had been found.
        workers: Cases judged at the same time.

    Raises:
        DataError: When folders are empty, a prediction is missing, or grids differ.
    """
    guesses, truths = _images_in(predictions), _images_in(references)
    absent = [case for case in truths if case not in guesses]
    notes = []
    if absent and (missing == "error" or len(absent) == len(truths)):
        raise DataError(
            f"{predictions}: no prediction for {_some(absent)} of {references}. Files are paired by name without "
            "ending; predict the missing cases, or let them count as missed."
        )
    if absent:
        notes.append(f"{len(absent)} references have no prediction and count as missed: {_some(absent)}.")
    extra = [case for case in guesses if case not in truths]
    if extra:
        notes.append(f"{len(extra)} predictions have no reference and were not judged: {_some(extra)}.")
    if labels is None:
        labels, told = _labels_in(truths.values(), [path for case, path in guesses.items() if case in truths])
        notes.append(told)
    for note in notes:
        log.warning(note)
    todo = [
        Judged(case, _reader(guesses.get(case), truth), (groups or {}).get(case, "")) for case, truth in truths.items()
    ]
    return evaluate_pairs(todo, labels, settings, workers, notes)


def _reader(prediction: Path | None, reference: Path) -> Callable[[], tuple[Image | None, Image]]:
    from ..io.formats import read_image

    def read() -> tuple[Image | None, Image]:
        guess = None if prediction is None else read_image(prediction, kind="labels")
        return guess, read_image(reference, kind="labels")

    return read


def _images_in(folder: str | Path) -> dict[str, Path]:
    """Image files of a folder by name without ending, sorted; a single file is a folder of one."""
    from ..io.formats import is_image, stem_of

    root = Path(folder)
    paths = sorted(root.iterdir()) if root.is_dir() else [root] if root.is_file() else []
    found: dict[str, Path] = {}
    for path in filter(is_image, paths):
        stem = stem_of(path)
        if stem in found:
            raise DataError(f"{root}: {found[stem].name} and {path.name} have one name; keep one of them.")
        found[stem] = path
    if not found:
        raise DataError(f"{root}: no label images here; expected files such as case_001.nii.gz or case_001.png.")
    return found


def _labels_in(references: Iterable[Path], predictions: Iterable[Path]) -> tuple[Labels, str]:
    """Structures named by the values that occur, and a sentence on how they were named."""
    truth, guess = _values_in(references), _values_in(predictions)
    if not truth:
        raise DataError("The references hold no structure: every voxel is 0. Give the right folder.")
    if len(truth) == 1 and len(guess) == 1 and truth != guess:
        labels = Labels(names=("foreground",), values=((truth[0], guess[0]),))
        return (
            labels,
            f"Value {truth[0]} of the references and {guess[0]} of the predictions are taken as one structure.",
        )
    if len(truth) == 1:
        return Labels.of({truth[0]: "foreground"}), "The one value that occurs is called foreground."
    names = {value: f"label_{value}" for value in truth}
    return Labels.of(names), f"Structures are named by the values of the references: {', '.join(names.values())}."


def _values_in(paths: Iterable[Path]) -> list[int]:
    from ..io.formats import read_image

    found: set[int] = set()
    for path in paths:
        found |= set(np.unique(read_image(path, kind="labels").array).tolist())
    return sorted(int(value) for value in found - {0})


def _label_array(case: str, what: str, image: Image) -> np.ndarray:
    if image.channels != 1:
        raise DataError(f"{case}: the {what} has {image.channels} channels; expected one channel of label values.")
    return image.array[0]


def _check_grids(case: str, prediction: Grid, reference: Grid) -> None:
    if prediction.calibrated and reference.calibrated:
        same = prediction.matches(reference, tolerance_mm=1e-2)
    else:
        same = prediction.shape == reference.shape
    if not same:
        raise DataError(
            f"{case}: the prediction lies on {prediction} and the reference on {reference}. Put the prediction onto "
            "the grid of the reference, or correct the header."
        )


def _check_metrics(settings: EvaluationSettings, dims: int) -> None:
    for metric in settings.build():
        if dims not in metric.dims:
            raise ConfigError(f"metrics: {metric.name} needs {metric.dims[0]}D images; these have {dims} axes.")


def _size(voxels: int, grid: Grid) -> float:
    """Voxels in ml (3D), mm² (2D) or pixels."""
    if not grid.calibrated:
        return float(voxels)
    return rounded(voxels * grid.voxel_mm3 / (1000 if grid.dims == 3 else 1))


def _some(names: Sequence[str], shown: int = 5) -> str:
    text = ", ".join(names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"
