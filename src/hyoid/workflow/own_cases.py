"""The cases of a run: the answers to those that judge it, and how its net learns from them after another run.

A later stage of a cascade learns from the answers of the run before, which enter as channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.case import Case
from ..core.digest import short_name
from ..core.errors import ConfigError, DataError
from ..core.files import remove
from ..core.labels import Labels
from ..core.progress import log
from ..core.sources import stats_of
from ..datasets.dataset import Dataset
from ..files.formats import read_header, read_image
from ..planning.fingerprint import Fingerprint
from ..planning.plan import Plan
from ..prediction.cascade import with_answer
from ..preparation.intensity import IntensitySettings
from ..preparation.pipeline import Before
from ..preparation.store import Store
from ..run_folder import RunFolder, open_run
from .answers import (
    MOST_SCATTERED,
    answer_file,
    answers_of,
    check_format,
    fingerprint_of,
    predict_entries,
    predictor_of,
    refuse_unlisted,
    run_before,
    validation_answers,
)
from .lineage import known_in, learned
from .origin import Record
from .prepared import prepared, unlabelled_of

if TYPE_CHECKING:
    from ..datasets.entry import Entry
    from ..experiment import Experiment


def predict_validation(folder: RunFolder) -> list[Path]:
    """Answers to the validation cases of a run; those that the same weights gave before stay if they can be read.

    In an ensemble each case is answered by the members that did not learn from it.
    """
    refuse_unlisted(folder)
    made_by, done = fingerprint_of(folder), _answered(folder)
    stale, sources = not done, folder.read_json("predictions.json").get("sources", {})
    if folder.dataset.num_others:
        log.info("Answers come from the first image of a case alone; its second image is not asked for.")
    scattered = [one.name for one in folder.fingerprint.structures if one.num_objects > 1][:MOST_SCATTERED]
    groups: dict[tuple[int, ...], list[str]] = {}
    for case_id, numbers in folder.unseen.items():
        groups.setdefault(numbers, []).append(case_id)
    for members in groups:
        runs = [folder.members[number] for number in members]
        before, *others = (run.plan.preparation.before for run in runs)
        if any(other != before for other in others):
            raise ConfigError(f"{folder.path}: members that answer one case follow different runs; leave some out.")
    for members, ids in groups.items():
        if waiting := [folder.dataset.entry(case_id) for case_id in ids if case_id not in done]:
            predictor = predictor_of(folder, members=members)
            cases = cases_of(folder.members[members[0]])
            check_format(predictor, waiting)
            if stale:  # only now: what is refused must not cost the earlier answers
                Record(folder.predictions).forget()
                sources, stale = {}, False
            for case_id, path in answers_of(folder).items():
                if case_id in ids and case_id not in done:  # stopped here, it must not be taken for an answer to come
                    remove(path)
            sources |= {entry.id: _look(entry) for entry in waiting}
            folder.write_json("predictions.json", {"made_by": made_by, "sources": sources})
            predict_entries(predictor, cases, waiting, folder.predictions, scattered=scattered)
    return list(validation_answers(folder).values())


def _answered(folder: RunFolder) -> set[str]:
    """Cases with an answer that the same weights and settings gave to the same files."""
    known = folder.read_json("predictions.json")
    sources, answers = known.get("sources", {}), answers_of(folder)
    if known.get("made_by") != fingerprint_of(folder):
        return set()
    fresh = [one for one in answers if sources.get(one) in (None, _look(folder.dataset.entry(one)))]
    return {one for one in fresh if _is_readable(answers[one])}


def _look(entry: Entry) -> str:
    """Changes when a file of the case does."""
    return short_name(repr(stats_of(entry)))


def _is_readable(path: Path) -> bool:
    """Whether an answer is there and its header can be read; a warning when that is damaged."""
    if not path.exists():
        return False
    try:
        read_header(path)
    except DataError as error:
        log.warning("This answer is made again: %s", error)
        return False
    return True


@dataclass(frozen=True)
class Staged(Dataset):
    """A data set whose images have the answers of the run before, in `answers`, as channels."""

    answers: Mapping[str, Path] = field(default_factory=dict)
    answered: Labels = Labels(names=(), values=())  # noqa: RUF009

    def read(self, case_id: str, numbered: bool = False, other: bool = False) -> Case:
        case, answer = super().read(case_id, numbered, other), read_image(self.answers[case_id], "labels")
        return with_answer(case, answer, self.answered)


def cases_of(folder: RunFolder) -> Dataset:
    """The cases of a run as it learns from them: for a later stage of a cascade with honest answers as channels.

    Cases that the run before saw with leave, or does not know, it answers into `before/`.
    """
    before, dataset = folder.plan.preparation.before, folder.dataset
    if before is None:
        return dataset
    first = run_before(before)
    honest, _ = honest_cases(first, folder.fingerprint)
    if honest and not set(first.unseen) <= _answered(first):
        with first.alone():
            predict_validation(first)
    found = validation_answers(first) if honest else {}
    answers = {mine: found[its] for mine, its in honest.items()}
    place, wanted = folder.before, first.experiment.prediction.format
    entries = (*dataset.cases, *map(dataset.entry, unlabelled_of(folder)))
    others = [entry for entry in entries if entry.id not in answers]
    answers |= {entry.id: answer_file(place, entry, wanted) for entry in others}
    record = Record(place)
    if waiting := [one for one in others if answers[one.id] not in record or not _is_readable(answers[one.id])]:
        predict_entries(predictor_of(first), dataset, waiting, place)
    known = {one.name: getattr(dataset, one.name) for one in fields(dataset)}
    return Staged(**known, answers=answers, answered=first.task.labels)


def prepare_cases(folder: RunFolder) -> Store:
    """The prepared cases of a run; those that are not there yet are prepared."""
    return prepared(folder, cases_of(folder))


def before_of(asked: Experiment, fingerprint: Fingerprint) -> Before | None:
    """The run before the one that is being planned; refused when it learned from cases that it has to answer."""
    if asked.planning.before is None:
        return None
    first = open_run(asked.planning.before)
    if first.task.kind != "labels":
        raise ConfigError(f"planning.before: {first.path} answers images or fields; a cascade follows structures.")
    _, saw = honest_cases(first, fingerprint)
    if saw and not asked.planning.before_saw:
        raise ConfigError(
            f"planning.before: {first.path} learned from {len(saw)} of {len(fingerprint.cases)} cases, and answers"
            " them better than new ones. Name an ensemble of folds, which answers each case by a member that did not"
            " learn from it, or allow this with --set planning.before_saw=true."
        )
    return Before(run=str(first.path.resolve()), made_by=fingerprint_of(first), structures=first.task.structures)


def with_before(plan: Plan, before: Before | None) -> Plan:
    """The plan of a later stage, whose net takes the answers of the run before as they are."""
    if before is None:
        return plan
    count = len(before.structures)
    intensity = (*plan.preparation.intensity, *(IntensitySettings(scheme="none"),) * count)
    preparation = plan.preparation.model_copy(update={"before": before, "intensity": intensity})
    net = plan.net.changed({"in_channels": plan.net.in_channels + count})
    return plan.model_copy(update={"preparation": preparation, "net": net})


def honest_cases(first: RunFolder, fingerprint: Fingerprint) -> tuple[dict[str, str], list[str]]:
    """Cases that the run before answers without having learned from them, with its name for them; and those it saw.

    Images are told apart by their content, whatever files and data sets hold them.
    """
    known = {case.digest: case.id for case in first.fingerprint.cases if case.digest}
    taught, judged = learned(first).taught, set(first.split.validation)
    learnt = {case.id for case in first.fingerprint.cases if known_in(taught, case.content)} | set(first.split.training)
    shared = {case.id: known[case.digest] for case in fingerprint.cases if case.digest in known}
    honest = {mine: its for mine, its in shared.items() if its in judged and its not in learnt}
    others = {case.id for case in fingerprint.cases if known_in(taught, case.content)}
    return honest, [case.id for case in fingerprint.cases if case.id not in honest and case.id in {*shared, *others}]
