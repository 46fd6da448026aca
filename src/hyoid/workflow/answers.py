"""Predicting cases into files, and judging the validation cases of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.case import Case, Image, Kind
from ..core.digest import short_name
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.lengths import Lengths
from ..core.machine import use_threads
from ..core.progress import log
from ..datasets.cases import channel_remarks
from ..datasets.dataset import Dataset, read_case
from ..datasets.entry import listed
from ..evaluation.belief import Measuring, file_of, write_beliefs
from ..evaluation.certainty import Certainty
from ..evaluation.evaluate import Judged, evaluate_pairs
from ..evaluation.report import Report
from ..files.formats import (
    check_suffix,
    read_header,
    read_image,
    suffix_for_image,
    suffix_for_labels,
    suffix_of,
    write_image,
)
from ..nets.family.nested import prune
from ..nets.net import Net
from ..planning.budget import resolved_device
from ..planning.likeness import Known, sentences, warn_of
from ..prediction.answering import Answering, Watch
from ..prediction.batches import failing, predict_cases
from ..prediction.cascade import with_answer
from ..prediction.ensemble import Averaged, plan_key
from ..prediction.predictor import Predictor
from ..prediction.united import United
from ..preparation.pipeline import Before
from ..run_folder import EnsembleFolder, RunFolder, open_run
from ..training.checkpoint import load_weights
from .beginning import check_ends
from .large import answer_large, too_large
from .lineage import doubts, flatters
from .origin import Answers, Outcome, Record, noted
from .patches import patches_of
from .question import check_device, check_structures

if TYPE_CHECKING:
    from ..datasets.layouts import Entry
    from ..experiment import Experiment
    from ..tasks.task import Task

MOST_SCATTERED = 8
"""Structures of which a whole map of probabilities is in memory, to look for lesions."""


def predictor_of(
    folder: RunFolder, changes: Sequence[str] = (), members: Sequence[int] | None = None, keeps: bool = True
) -> Answering:
    """The trained net of a run, or the nets of an ensemble, ready to answer; settings may be changed for this once.

    Members of an ensemble that have one plan are one net; others are united on the grid of the image.

    Args:
        folder: The run or the ensemble.
        changes: Settings of prediction, device or threads.
        members: The members that answer, by their place; all when None.
        keeps: Whether other engines than torch may leave their programs in the run.

    Raises:
        ConfigError: When a run was not trained yet, this machine lacks the device, or members cannot be united.
    """
    experiment = folder.experiment.changed(tuple(changes))
    check_device(experiment.device)
    check_structures(experiment, experiment.task_labels)
    use_threads(experiment.threads)
    depth = experiment.prediction.depth
    nets = {number: net_of(folder.members[number], depth) for number in members or range(len(folder.members))}
    taught = {case_id for number in nets for case_id in folder.members[number].split.training}
    known = Known.of(folder.fingerprint, taught, folder.members[0].plan.preparation.extent is not None)
    if not isinstance(folder, EnsembleFolder):
        return _predictor([folder], nets[0], experiment, folder.weights, known, keeps)
    ensemble, groups = folder.ensemble, dict[str, list[int]]()
    for number, net in nets.items():
        run = folder.members[number]
        groups.setdefault(plan_key(run.plan, run.task, net), []).append(number)
    if len(groups) > 1 and ensemble.unite == "logits":
        raise ConfigError(f"{folder.ensemble_file}: members of different plans are united by `probabilities` only.")
    predictors, weights = [], []
    for numbers in groups.values():
        runs, shares = [folder.members[n] for n in numbers], [ensemble.members[n].weight for n in numbers]
        net, place = nets[numbers[0]], runs[0].weights
        if len(numbers) > 1:
            net, place = Averaged([nets[n] for n in numbers], shares, runs[0].task, ensemble.unite), folder.weights
        predictors.append(_predictor(runs, net, experiment, place, known, keeps))
        weights.append(sum(shares))
    names = [folder.names[numbers[0]] for numbers in groups.values()]
    if len(predictors) == 1:
        return predictors[0]
    united = United(predictors, weights, names)
    united.known = known
    return united


def net_of(folder: RunFolder, depth: int | None = None) -> Net:
    """The net of a run with its weights, or the part of it that goes down so many times."""
    weights = folder.trained
    check_ends(folder)
    net = folder.plan.net.build()
    if not load_weights(net, weights).get("finished"):
        log.warning("%s: training has not finished; its last checkpoint predicts.", folder.path)
    return net if depth is None else prune(net, depth)


def _predictor(
    runs: Sequence[RunFolder], net: Net, experiment: Experiment, place: Path, known: Known, keeps: bool
) -> Predictor:
    """A predictor with the net of one run, or of several with one plan; engines may be kept in a place."""
    device, settings = resolved_device(experiment.device), experiment.prediction
    if settings.precision == "16-mixed" and not device.startswith("cuda"):
        raise ConfigError("prediction.precision = '16-mixed' needs a CUDA device; here bf16-mixed or 32-true compute.")
    parts = [run.digest[:12] for run in runs] + ([f"depth{settings.depth}"] if settings.depth else [])
    plan, digest = runs[0].plan, "-".join(parts)
    kept = (place / "engines", digest) if keeps else None
    patches = partial(patches_of, runs[0], again=keeps and settings.backend == "openvino_int8")
    predictor = Predictor.of(net, runs[0].task, plan, settings, device, kept, patches)
    predictor.known = known
    if plan.preparation.before is not None:
        first = predictor_of(run_before(plan.preparation.before), keeps=keeps)
        predictor.before = lambda case: with_answer(case, first.predict(case), first.task.labels)
    return predictor


def run_before(before: Before) -> RunFolder:
    """The run before a later stage of a cascade, which is as it was when that was planned, or a ConfigError."""
    if not Path(before.run).exists():
        raise ConfigError(
            f"{before.run}: this run answers before a later one (plan.preparation.before), and is gone; put it back."
        )
    first = open_run(before.run)
    if fingerprint_of(first) != before.made_by:
        raise ConfigError(f"{first.path}: this run has changed since a later one was planned on it; plan that anew.")
    return first


def predict_entries(
    predictor: Answering,
    dataset: Dataset,
    entries: Sequence[Entry],
    into: Path,
    probabilities: bool = False,
    scattered: Collection[str] | None = None,
    memory_gb: float = math.inf,
    origin: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the answer of each case into a folder, named after the case.

    Args:
        predictor: What answers.
        dataset: Where the images are described.
        entries: The cases.
        into: Folder of the answers.
        probabilities: Also write the probability of each structure.
        scattered: When the cases are annotated and it is to be measured how sure the net is of them: structures of
            several pieces.
        memory_gb: Images that would take more are read, answered and written in parts.
        origin: What is noted of the answers, beside them.

    Raises:
        ConfigError: When an answer would lie among images, or one is too large for what is asked.
        DataError: When cases could not be predicted; the others were.
    """
    by_id, wanted = {entry.id: entry for entry in entries}, predictor.settings.format
    kind, dims = predictor.task.kind, len(predictor.plans[0].patch)
    check_format(predictor, entries)
    outcome = Outcome({entry.id: answer_file(into, entry, wanted, kind, dims) for entry in entries})
    places = {image.resolve().parent: image for entry in entries for image in entry.images}
    owners: dict[Path, str] = {}
    for case_id, file in outcome.files.items():
        if (other := owners.setdefault(file, case_id)) != case_id:
            raise ConfigError(f"{file} would be the answer to both {other} and {case_id}; rename one of these cases.")
        if beside := places.get(file.resolve().parent):
            raise ConfigError(
                f"{into}: the answer to {case_id} would lie among images, beside {beside}; choose another --into."
            )
    maps = [f"{case_id}_{name}" for case_id in by_id for name in _written_maps(predictor.task)] if probabilities else []
    if probabilities:
        _check_names_of_probabilities(predictor, by_id)
    record = Record(into)
    record.check_free([*by_id, *maps])
    channels = len(dataset.channel_names)
    lengths = Lengths.of(dataset.seen.values())
    measuring: dict[str, Measuring] = {}
    empty: list[str] = []

    def read(case_id: str) -> Case:
        if scattered is not None:
            return checked(dataset.read(case_id))
        for remark in channel_remarks(by_id[case_id]):
            log.warning("%s: %s", case_id, remark)
        return checked(read_case(by_id[case_id], channels))

    def checked(case: Case) -> Case:
        if isinstance(case.image.array, np.ndarray) and _is_constant(case.image.array):
            log.warning("%s: every voxel has the same value; an answer to it means nothing.", case.id)
        elif differences := predictor.unlike(case):
            outcome.unlike[case.id] = differences
        return case

    def watch(case: Case) -> Watch:
        assert case.truth is not None
        labels = predictor.task.labels
        objects = dataset.read_instances(case.id).array[0] if numbers_objects(dataset, labels) else None
        names = (scattered or ()) if objects is None else labels.names
        one = measuring[case.id] = Measuring(case.truth, labels, names, case.annotated, lengths, objects)
        return lambda piece: one.add(piece.probabilities, piece.source, piece.place)

    def write(case: Case, labels: Image, maps: Image | None = None) -> None:
        source = by_id[case.id].images[0]
        further = {} if maps is None else _maps_by_file(predictor, maps, case.id, into)
        files = [outcome.files[case.id], *further, *([file_of(into, case.id)] if case.id in measuring else [])]
        record.claim(files)
        if case.id in measuring:
            write_beliefs(into, case.id, measuring.pop(case.id).finished(case.id, dataset.group_of(case.id)))
        write_image(outcome.files[case.id], labels, source, predictor.task.labels)
        outcome.written.add(case.id)
        if scattered is None and kind == "labels" and not labels.array.any():
            empty.append(case.id)
        for file, one in further.items():
            write_image(file, one, source if suffix_for_labels(source) == suffix_of(file) else None)
        record.finish(files)

    large = too_large(predictor, entries, channels, memory_gb, probabilities)
    whole = [case_id for case_id in by_id if case_id not in large]
    with nullcontext() if origin is None else noted(into, origin, outcome, predictor):
        watched = watch if scattered is not None and predictor.task.probable else None
        predict_cases(predictor, whole, read, write, outcome.fail, probabilities, watched)
        for case_id, case in large.items():
            with failing(case_id, outcome.fail):
                source = by_id[case_id].images[0]
                record.claim([outcome.files[case_id]])
                answer_large(predictor.within(memory_gb), checked(case), source, outcome.files[case_id])
                record.finish([outcome.files[case_id]])
                outcome.written.add(case_id)
    warn_of(outcome.unlike, len(by_id))
    if empty:
        what = f"{len(empty)} of {len(by_id)} answers hold no structure ({listed(empty)})"
        log.warning("%s; where that cannot be, look at values and voxel size of images.", what)
    if failed := [case_id for case_id in by_id if case_id in outcome.failed]:
        raise DataError(f"{len(failed)} of {len(by_id)} images were not predicted: {', '.join(failed)}.")
    answers = Answers(outcome.files.values())
    answers.unlike = outcome.unlike
    return answers


def check_format(predictor: Answering, entries: Sequence[Entry]) -> None:
    """Refuse a wanted format that cannot hold the answers."""
    if (wanted := predictor.settings.format) is not None:
        num_axes, task = read_header(entries[0].images[0]).grid.dims, predictor.task
        check_suffix(wanted, num_axes, max((value for _, value, _ in task.labels.named), default=0), task.kind)


def _is_constant(array: np.ndarray) -> bool:
    """Whether each channel (C, *S) holds one value only; seldom looks at more than the first plane."""
    return all((plane == channel.flat[0]).all() for channel in array for plane in channel)


def answer_file(into: Path, entry: Entry, wanted: str | None, kind: Kind = "labels", dims: int = 3) -> Path:
    """Where the answer to a case goes: named after the case, in the wanted format, or that of its image if that can."""
    if kind == "labels":
        return into / f"{entry.id}{suffix_for_labels(entry.images[0], wanted)}"
    own = suffix_of(entry.images[0])
    return into / f"{entry.id}{check_suffix(wanted, dims, kind=kind) if wanted else suffix_for_image(own, dims, kind)}"


def _check_names_of_probabilities(predictor: Answering, ids: Collection[str]) -> None:
    """Refuse cases of which one is named as the probabilities of another would be, or has such probabilities."""
    taken = {case_id: f"the answer to {case_id}" for case_id in ids}
    for case_id in ids:
        for structure in _written_maps(predictor.task):
            name, what = f"{case_id}_{structure}", f"the probabilities of {structure} of {case_id}"
            if name in taken:
                raise ConfigError(
                    f"{name} would name {what} and {taken[name]}; predict these images into different folders."
                )
            taken[name] = what


def _written_maps(task: Task) -> tuple[str, ...]:
    """Names of the last maps of a task, which are written where probabilities are wanted."""
    return task.structures if task.probable else task.outputs


def _maps_by_file(predictor: Answering, maps: Image, case_id: str, into: Path) -> dict[Path, Image]:
    """Each map that is written where probabilities are wanted, and its file."""
    names, wanted = _written_maps(predictor.task), check_suffix(predictor.settings.format or "nii.gz")
    suffix = suffix_for_image(wanted, maps.grid.dims)
    return {
        into / f"{case_id}_{name}{suffix}": Image(channel[None].astype("float32"), maps.grid, "probabilities")
        for name, channel in zip(names, maps.array[-len(names) :], strict=True)
    }


def numbers_objects(dataset: Dataset, labels: Labels) -> bool:
    """Whether annotations number objects, and answers hold structures only."""
    return dataset.encoding.kind in ("instances", "objects") and not labels.objects


def judged_cases(folder: RunFolder, ids: Sequence[str], answer: Callable[[Case], Image]) -> list[Judged]:
    """Cases of a run with what is to be judged; `answer` gives it on the grid of a case's image."""
    dataset = folder.dataset
    objects = folder.experiment.task_labels.objects
    numbered = numbers_objects(dataset, folder.experiment.task_labels)

    def judged(case_id: str) -> Judged:
        def read() -> tuple[Image, Image]:
            case = dataset.read(case_id, objects)
            assert case.truth is not None
            return answer(case), case.truth

        def numbers() -> tuple[None, np.ndarray]:
            return None, dataset.read_instances(case_id).array[0]

        group, facts = dataset.group_of(case_id), dataset.entry(case_id).facts
        return Judged(case_id, read, group, facts, numbers if numbered else None, dataset.annotated(case_id))

    return [judged(case_id) for case_id in ids]


def answers_of(folder: RunFolder) -> dict[str, Path]:
    """Recorded files of predicted validation cases, folders where these are OME-Zarr, by case id."""
    record = Record(folder.predictions)
    return {case_id: path for case_id, path in _places(folder).items() if path in record}


def _places(folder: RunFolder) -> dict[str, Path]:
    how = folder.experiment.prediction.format, folder.task.kind, folder.fingerprint.dims
    return {entry.id: answer_file(folder.predictions, entry, *how) for entry in folder.dataset.cases}


def refuse_unlisted(folder: RunFolder) -> None:
    """Refuse files in the places of answers to validation cases of which nobody knows who wrote them."""
    record, places = Record(folder.predictions), _places(folder)
    found = [places[case_id] for case_id in folder.split.validation if case_id in places]
    if unknown := [path.name for path in found if path.exists() and path not in record]:
        raise ConfigError(
            f"{folder.predictions}: its answers.jsonl does not list {listed(unknown)} as written by hyoid (earlier"
            f" versions kept no list); delete this folder or move it away, and `hyoid predict {folder.path}` makes"
            " the answers."
        )


def validation_answers(folder: RunFolder) -> dict[str, Path]:
    """The answer to each validation case, by case id; a ConfigError when some were not predicted yet."""
    answers = answers_of(folder)
    absent = [case_id for case_id in folder.split.validation if case_id not in answers]
    if absent:
        refuse_unlisted(folder)
        raise ConfigError(
            f"{folder.path}: {len(absent)} validation cases are not predicted; `hyoid predict {folder.path}` does it."
        )
    return {case_id: answers[case_id] for case_id in folder.split.validation}


def read_answer(folder: RunFolder, path: Path, grid: Grid | None = None) -> Image:
    """The answer to a validation case.

    A format other than that of the image may not hold where voxels lie; the answer then gets the grid that is given.
    """
    try:
        answer = read_image(path, folder.task.kind)
    except DataError as error:
        raise DataError(
            f"{path}: this answer cannot be read; delete it, and `hyoid predict {folder.path}` makes it again."
        ) from error
    exact = folder.experiment.prediction.format is None and folder.task.kind == "labels"
    if grid is None or exact or grid.shape != answer.grid.shape:
        return answer
    return replace(answer, grid=grid)


def fingerprint_of(folder: RunFolder) -> str:
    """What the answers depend on: weights, settings of prediction, and codes that are written into them."""
    experiment = folder.experiment
    codes = experiment.task_labels.codes or ""
    return short_name(f"{folder.digest}{experiment.prediction.to_yaml()}{codes}")


def refuse_stale(folder: RunFolder, *files: str) -> None:
    """Refuse answers or scores of other weights or settings than the run has now, as after more training."""
    with suppress(ConfigError):  # weights may have been taken away
        now = fingerprint_of(folder)
        stale = [file for file in files if folder.read_json(file).get("made_by", now) != now]
        if stale:
            raise DataError(
                f"{folder.path / stale[0]}: this is of earlier weights or settings of prediction; `hyoid predict"
                f" {folder.path}` and `hyoid evaluate {folder.path}` make it anew."
            )


def judge_validation(folder: RunFolder, workers: int, changes: Sequence[str] = ()) -> Report:
    """The report of the validation cases of a run; settings may be changed for this once."""
    found = judge(folder, validation_answers(folder), folder.predictions, workers, changes)
    notes = (*found.notes, *doubts(folder), *sentences(_unlike(folder), len(folder.unseen)))
    return replace(found, flatters=flatters(folder), notes=notes)


def _unlike(folder: RunFolder) -> dict[str, dict[str, str]]:
    """The judged cases that are unlike those the nets learned from, and in what."""
    facts, found = {case.id: case for case in folder.fingerprint.cases}, dict[str, dict[str, str]]()
    for members in set(folder.unseen.values()):
        taught = {case_id for number in members for case_id in folder.members[number].split.training}
        known = Known.of(folder.fingerprint, taught, folder.members[0].plan.preparation.extent is not None)
        mine = [case_id for case_id, numbers in folder.unseen.items() if numbers == members]
        found |= {case_id: differences for case_id in mine if (differences := known.unlike(facts[case_id]))}
    return found


def judge(
    folder: RunFolder, answers: Mapping[str, Path], place: Path, workers: int, changes: Sequence[str] = ()
) -> Report:
    """The report of cases of a run by the files of their answers, which lie in one place."""
    experiment = folder.experiment.changed(tuple(changes))
    cases = judged_cases(folder, tuple(answers), lambda case: read_answer(folder, answers[case.id], case.image.grid))
    settings, task, lengths = experiment.evaluation, folder.task, Lengths.of(folder.dataset.seen.values())
    found = evaluate_pairs(cases, experiment.task_labels, settings, workers, outputs=task.outputs, lengths=lengths)
    if not task.probable:
        return found
    sure = Certainty.read(place, found.cases, found.structures)
    if sure is None:
        why = f"since some answers were made without measuring it; to have it, delete {place}"
        log.info("%s: how sure the net was is not told, %s and predict again.", folder.path, why)
        return found
    return replace(found, certainty=sure.to_dict(lengths.margin_mm, *settings.draws))
