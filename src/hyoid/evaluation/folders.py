"""Judging any two folders of label images, however their masks are stored."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..core.case import Image
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.lengths import Lengths
from ..core.progress import log
from ..datasets.agreement import Turn, turn_between
from ..datasets.entry import annotated_in, listed
from .evaluate import Judged, Numbers, evaluate_pairs
from .report import EvaluationSettings, Report

if TYPE_CHECKING:
    from ..datasets.masks import Encoding, Marks

_WHITE = 255

_MOST_LABELS = 128
"""So many structures no label map has; more values are shades of grey."""

_MANY_SHADES = 12

_PIECES_OF_A_SHADE = 4
"""Where values lie in so many connected pieces each, they are shades of grey: a label is one piece or two."""


@dataclass(frozen=True)
class Paired:
    """Two folders of label images, paired and understood.

    Attributes:
        cases: What is to be judged; images are read when asked for.
        labels: The structures and their values.
        notes: What was recognised, as sentences.
        lengths: Of the references.
    """

    cases: Sequence[Judged]
    labels: Labels
    notes: Sequence[str]
    lengths: Lengths

    def judged(self, settings: EvaluationSettings | None = None, workers: int = 2) -> Report:
        """The report by these metrics and rules."""
        return evaluate_pairs(self.cases, self.labels, settings, workers, self.notes, lengths=self.lengths)


def evaluate_folders(
    predictions: str | Path,
    references: str | Path,
    labels: Labels | None = None,
    settings: EvaluationSettings | None = None,
    groups: Mapping[str, str] | None = None,
    missing: Literal["error", "worst"] = "error",
    workers: int = 2,
) -> Report:
    """The report of two folders of label images by these metrics and rules; all else as for `pair_folders`."""
    return pair_folders(predictions, references, labels, groups, missing, workers).judged(settings, workers)


def pair_folders(
    predictions: str | Path,
    references: str | Path,
    labels: Labels | None = None,
    groups: Mapping[str, str] | None = None,
    missing: Literal["error", "worst"] = "error",
    workers: int = 2,
) -> Paired:
    """Two folders of label images, paired by file name without its ending, and by the folder it lies in below them.

    Masks may be stored as class values, 0 and 255, probabilities, colours or object numbers; what was recognised is
    told in the notes. Structures are named by `labels.yaml` in or beside the folder of references, or by the
    values that occur; cases of one patient by `cases.csv` there.

    Args:
        predictions: Folder of predicted label images, or one file.
        references: Folder of reference label images, or one file; each is judged.
        labels: Structures and their values, when known already.
        groups: Patient of each case id, for the intervals.
        missing: What a reference without prediction is: an error, or a pair without prediction.
        workers: Files looked at at the same time.

    Raises:
        DataError: When folders are empty or one and the same, or a prediction is missing.
    """
    if Path(predictions).resolve() == Path(references).resolve():
        raise DataError(f"{predictions}: predictions and references are the same; name two places.")
    guesses, truths = _images_in(predictions, references), _images_in(references, predictions)
    notes = _unpaired(guesses, truths, missing, predictions, references)
    beside = (_folder(references), _folder(references).parent)
    declared, instances = (labels, False) if labels else _declared(beside)
    truth_marks, truth_grids = _looked_at(truths, workers, pieces=declared is None)
    judged = {case: path for case, path in guesses.items() if case in truths}
    guess_marks, guess_grids = _looked_at(judged, workers, pieces=declared is None or len(declared.names) == 1)
    truth_encoding, labels = _reference_encoding(truth_marks, guess_marks, declared, instances, notes)
    turns = {
        case: turn_between(case, (truths[case], truth_grids[case]), (path, guess_grids[case]))
        for case, path in judged.items()
    }
    if turned := [case for case, turn in turns.items() if turn.changes]:
        notes.append(f"{_count(turned, 'prediction')} turned to the axes of the reference: {listed(turned)}.")
    guess_encoding = _prediction_encoding(guess_marks, labels, truth_encoding, notes)
    facts = _facts(beside, list(truths))
    groups = groups if groups is not None else _groups(facts, notes)
    for note in notes:
        log.info(note)
    todo = [
        Judged(
            case,
            _reader(guesses.get(case), guess_encoding, truth, truth_encoding, turns.get(case)),
            groups.get(case, ""),
            facts.get(case, {}),
            _numbers(guesses.get(case), truth, turns.get(case)) if truth_encoding.kind == "instances" else None,
            annotated_in(facts.get(case, {})),
        )
        for case, truth in truths.items()
    ]
    return Paired(todo, labels, notes, Lengths.of(truth_grids.values()))


def _images_in(place: str | Path, other: str | Path) -> dict[str, Path]:
    """Images of a folder and those below it by place and name without ending; a single file is a folder of one.

    What lies in the other folder of the comparison is not of this one.
    """
    from ..datasets.below import label_images_below
    from ..files.formats import is_image, stem_of

    root = Path(place)
    if not root.exists():
        raise DataError(f"{root}: no such folder.")
    paths = label_images_below(root, Path(other)) if root.is_dir() else {root: stem_of(root)} if is_image(root) else {}
    found: dict[str, Path] = {}
    for path, name in paths.items():
        stem = unicodedata.normalize("NFC", name)  # one letter has several spellings, by the system it was written on
        if stem in found:
            raise DataError(f"{root}: {found[stem].name} and {path.name} have one name; keep one of them.")
        found[stem] = path
    if not found:
        raise DataError(f"{root}: no label images here; expected files such as case_001.nii.gz or case_001.png.")
    return found


def _unpaired(
    guesses: Mapping[str, Path],
    truths: dict[str, Path],
    missing: str,
    predictions: str | Path,
    references: str | Path,
) -> list[str]:
    """Notes on cases that are in one folder only; two single files are a pair whatever their names."""
    if len(guesses) == len(truths) == 1 and Path(predictions).is_file() and Path(references).is_file():
        truths[next(iter(guesses))] = truths.pop(next(iter(truths)))
    notes = []
    absent = [case for case in truths if case not in guesses]
    if absent and (missing == "error" or len(absent) == len(truths)):
        raise DataError(
            f"{predictions}: no prediction for {listed(absent)} of {references}. Files are paired by name without "
            "ending; predict the missing cases, or count them as missed with `--missing worst` (in Python, "
            "missing='worst')." + _annotations_in(Path(references))
        )
    if absent:
        notes.append(f"{_count(absent, 'reference')} without prediction, counted as missed: {listed(absent)}.")
    extra = [case for case in guesses if case not in truths]
    if extra:
        notes.append(f"{_count(extra, 'prediction')} without reference, not judged: {listed(extra)}.")
    return notes


def _annotations_in(place: Path) -> str:
    """A hint where a whole data set was named, with a leading space; else empty."""
    from ..datasets.places import LABEL_FOLDERS, subfolder

    inner = subfolder(place, LABEL_FOLDERS) if place.is_dir() else None
    return f" If {place} is a data set, name its annotations, {inner}." if inner else ""


def _looked_at(paths: Mapping[str, Path], workers: int, pieces: bool) -> tuple[list[Marks], dict[str, Grid]]:
    """The facts and the grid of each mask; pieces only where values might be numbers of objects or shades of grey."""
    from ..datasets.masks import look_at

    with ThreadPoolExecutor(max(1, workers)) as pool:
        looks = list(pool.map(lambda case: look_at(case, paths[case], pieces), paths))
    return [marks for marks, _ in looks], {case: grid for case, (_, grid) in zip(paths, looks, strict=True)}


def _reference_encoding(
    marks: list[Marks], guesses: list[Marks], declared: Labels | None, instances: bool, notes: list[str]
) -> tuple[Encoding, Labels]:
    from ..datasets.masks import Encoding
    from ..datasets.recognise import recognise

    if declared and not any(value for one in marks for value in one.counts):
        notes.append("References: nothing is labelled in any of them.")
        return Encoding(), declared
    encoding, labels, told, _ = recognise(marks, declared, instances, others=guesses)
    notes += [f"References: {text}" for text in told]
    return encoding, labels


def _prediction_encoding(marks: list[Marks], labels: Labels, reference: Encoding, notes: list[str]) -> Encoding:
    """How predictions are stored: as the values of the structures, or as any mask when there is one structure."""
    from ..datasets.masks import Encoding, total_counts
    from ..datasets.shades import are_shades, blends, from_shades

    by_colour = reference.kind == "colours" and any(one.palette for one in marks)
    if by_colour or reference.kind == "levels" or any(one.coloured for one in marks):
        return reference
    found = {value for one in marks for value in one.counts if value}
    whole = not any(one.fractional or one.lossy for one in marks)
    if whole and found <= set(labels.known_values):
        return Encoding()
    threshold = _threshold(marks, labels, reference) if len(labels.names) == 1 else None
    if threshold is not None:
        range_of = f", half of the range 0 to {_WHITE}," if threshold > 1 else ""
        notes.append(f"Predictions: numbers above {threshold:g}{range_of} are {labels.names[0]}.")
        return Encoding(kind="threshold", threshold=threshold, written=labels.written[0])
    if whole and len(labels.names) == 1 and are_shades(marks):
        told: list[str] = []
        encoding = from_shades(marks, labels.written[0], single=True, notes=told)
        notes += [f"Predictions: {text}" for text in told]
        return encoding
    unknown = [f"{value:g}" for value in sorted(found - set(labels.known_values))]
    shades = 2 * len(blends(marks, total_counts(marks))) > len(found)
    if shades or not whole or not found & {value for group in labels.values for value in group}:
        raise DataError(
            f"{marks[0].case}: predictions hold {listed(unknown)}, which are not values of "
            f"{listed(labels.names)}. Predictions must hold the label values of the references."
        )
    notes.append(f"Predictions: values that no structure has ({listed(unknown, 8)}) count as background.")
    return Encoding()


def _threshold(marks: list[Marks], labels: Labels, reference: Encoding) -> float | None:
    """Where masks of one structure are cut: black and white ones, probabilities and grey; None for label values."""
    found = {value for one in marks for value in one.counts if value}
    lowest, highest = min(found, default=0), max(found, default=0)
    if any(one.lossy for one in marks):
        return _WHITE / 2
    if any(one.fractional for one in marks):
        shares, grey = lowest > -0.01 and highest < 1.5, lowest > 0 and _WHITE / 2 < highest <= _WHITE
        return 0.5 if shares else _WHITE / 2 if grey else None
    if reference.kind in ("instances", "objects") and lowest > 0:
        return 0.5
    if all(value == 1 or _WHITE / 2 < value <= _WHITE for value in found) and max(map(_num_values, marks)) <= 1:
        return 0.5
    return _WHITE / 2 if _are_grey(marks, found, labels) else None


def _are_grey(marks: list[Marks], found: set[float], labels: Labels) -> bool:
    """Whether whole numbers are shades of grey up to white: many, and more than labels are or scattered over pieces."""
    from ..datasets.shades import are_shades

    if min(found) < 0 or not _WHITE / 2 < max(found) <= _WHITE:
        return False
    if _WHITE in labels.values[0] or len(found) > _MOST_LABELS:
        return True
    pieces, values = sum(one.pieces for one in marks), sum(_num_values(one) for one in marks if one.pieces)
    return are_shades(marks) or (len(found) > _MANY_SHADES and pieces > _PIECES_OF_A_SHADE * values)


def _num_values(marks: Marks) -> int:
    return sum(value != 0 for value in marks.counts)


def _reader(
    prediction: Path | None,
    prediction_encoding: Encoding,
    reference: Path,
    reference_encoding: Encoding,
    turn: Turn | None,
) -> Callable[[], tuple[Image | None, Image]]:
    from ..datasets.masks import read_labels

    def read() -> tuple[Image | None, Image]:
        truth = Image(*read_labels(reference, reference_encoding), "labels")
        if prediction is None or turn is None:
            return None, truth
        return Image(turn(read_labels(prediction, prediction_encoding)[0]), truth.grid, "labels"), truth

    return read


def _folder(place: str | Path) -> Path:
    root = Path(place).absolute()
    return root if root.is_dir() else root.parent


def _declared(folders: Sequence[Path]) -> tuple[Labels | None, bool]:
    """Labels that a labels.yaml in one of these folders names, and whether it says that values number objects."""
    from ..datasets.declared import declared_beside

    return next((found for folder in folders if any(found := declared_beside(folder))), (None, False))


def _numbers(prediction: Path | None, reference: Path, turn: Turn | None) -> Callable[[], Numbers]:
    """Reads object numbers; a prediction with one value beside background holds a mask and no numbers."""
    from ..datasets.masks import grey, read_raw
    from ..files.formats import whole_numbers

    def read(path: Path) -> np.ndarray:
        return whole_numbers(path, grey(path, read_raw(path).array))

    def numbers() -> Numbers:
        guess = None if prediction is None or turn is None else turn(read(prediction))[0]
        return guess if guess is not None and len(np.unique(guess)) > 2 else None, read(reference)[0]

    return numbers


def _facts(folders: Sequence[Path], cases: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """What a cases.csv in one of these folders says of each case; empty when there is none."""
    from ..datasets.facts import facts_of

    for path in (folder / "cases.csv" for folder in folders):
        if path.is_file():
            known = facts_of(path, cases).of
            return {case: known.get(case, {}) for case in cases}
    return {}


def _groups(facts: Mapping[str, Mapping[str, str]], notes: list[str]) -> Mapping[str, str]:
    """Which cases belong together by what is known of them; empty when nothing says so."""
    from ..datasets.groups import grouping

    found = grouping(facts)
    if found.rule != "group":
        return {}
    notes.append("Intervals keep cases together as cases.csv groups them.")
    return found.groups


def _count(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what}{'s' if len(names) != 1 else ''}"
