"""Judging the cases that are kept for a test: nothing before has seen them, and each use is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..core.errors import ConfigError
from ..core.progress import log
from ..datasets.entry import listed
from ..evaluation.report import Report
from ..planning.content import content_of
from ..reporting.page import write_page
from ..reporting.verdict import story, verdict_of
from ..run_folder import EnsembleFolder, RunFolder
from .answers import MOST_SCATTERED, answer_file, fingerprint_of, judge, predict_entries, predictor_of
from .lineage import doubts, known_in, learned
from .origin import Record
from .rivals import judge_baselines
from .story import of_test

USES = "tested.json"
"""File of a run that says when its test cases were judged."""


def judge_test(folder: RunFolder, into: Path | None, changes: Sequence[str] = ()) -> Report:
    """Predict and judge the test cases of a run or an ensemble, write the report, and count this use.

    Args:
        folder: The run; its members all answer in an ensemble.
        into: Folder of cases.csv, report.json and report.html; RUN/test when None. Answers lie in RUN/test anyway.
        changes: Settings of evaluation for this once.

    Raises:
        ConfigError: When the data set of the run marks no annotated case as test.
    """
    if not folder.dataset.test:
        raise ConfigError(
            f"{folder.path}: the data set of this run marks no annotated case as test; write `test` into a column"
            " `split` of its table, and plan a new run."
        )
    log.info("%d test cases are judged, beside %d that validated.", len(folder.dataset.test), len(folder.unseen))
    answers_place = folder.tested / "predictions" / fingerprint_of(folder)
    with folder.alone():
        with folder.timed("test"):
            answers = _answers(folder, answers_place)
            found = judge(folder, answers, answers_place, folder.workers, changes)
            if folder.task.kind == "labels" and not isinstance(folder, EnsembleFolder):
                found = replace(found, baselines=judge_baselines(folder, found.cases, found, folder.workers))
        known = _known(folder)
        notes, flattering = (_counted(folder), *doubts(folder)), _flatters(folder, known)
    log.info(" ".join(notes))
    for text in flattering:
        log.warning(text)
    found = replace(found, notes=(*found.notes, *notes), flatters=flattering)
    place, told = into or folder.tested, of_test(folder, answers, len(known))
    found.write(place, story(found, told))
    write_page(place, found, told)
    verdict_of(found, told).tell()
    return found


def _answers(folder: RunFolder, place: Path) -> dict[str, Path]:
    """Files of the answers to the test cases; those that were written there before stay."""
    how = folder.experiment.prediction.format, folder.task.kind, folder.fingerprint.dims
    entries = [folder.dataset.entry(case_id) for case_id in folder.dataset.test]
    files = {entry.id: answer_file(place, entry, *how) for entry in entries}
    written = Record(place)
    if waiting := [entry for entry in entries if files[entry.id] not in written]:
        scattered = [one.name for one in folder.fingerprint.structures if one.num_objects > 1][:MOST_SCATTERED]
        predict_entries(predictor_of(folder), folder.dataset, waiting, place, scattered=scattered)
    return files


def _counted(folder: RunFolder) -> str:
    """Note this use in the run, and give a sentence on all of them."""
    used = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "made_by": fingerprint_of(folder)}
    uses = [*folder.read_json(USES).get("judged", []), used]
    folder.write_json(USES, {"judged": uses})
    dates = listed([one["date"].replace("T", " ") for one in uses], 10)
    if len(uses) == 1:
        return f"The test cases were judged once ({dates})."
    kinds = len({one["made_by"] for one in uses})
    by = f", with {kinds} different weights or settings of prediction" if kinds > 1 else ""
    return (
        f"The test cases were judged {len(uses)} times ({dates}){by}. If anything was chosen by them, they have become"
        " validation cases, and the figures flatter."
    )


def _known(folder: RunFolder) -> dict[str, str]:
    """Test cases whose very images a net behind the answers learned from, or was chosen by, and where."""
    behind = learned(folder)
    names = {**behind.judged, **behind.taught}
    images = ((case_id, folder.dataset.read(case_id).image.array) for case_id in folder.dataset.test)
    return {case_id: found for case_id, array in images if (found := known_in(names, content_of(array)))}


def _flatters(folder: RunFolder, known: dict[str, str]) -> tuple[str, ...]:
    """A sentence on such cases; nothing when there are none."""
    told = listed([f"{case_id} is {other}" for case_id, other in known.items()])
    what = f"{len(known)} of {len(folder.dataset.test)} test cases are images of training or validation ({told})"
    return (f"{what}: these numbers flatter.",) if known else ()
