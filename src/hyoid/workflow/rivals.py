"""What classical methods reach on the validation cases of a run, since a net must beat them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..classical import Examples, baselines
from ..classical.baseline import Baseline
from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.progress import log
from ..evaluation.evaluate import evaluate_pairs
from ..evaluation.report import Report
from ..evaluation.rivals import Rival, against
from ..ops.morphology import components
from ..ops.resample import onto
from ..preparation.store import Store
from ..run_folder import RunFolder
from .answers import judged_cases

MOST_TEACHERS = 24
"""Training cases that classical methods learn from; they learn too little for more to matter."""


@dataclass(frozen=True)
class Prepared:
    """Annotated cases of a store, read one at a time, as often as they are gone through."""

    store: Store
    ids: Sequence[str]

    def __iter__(self) -> Iterator[Case]:
        for case_id in self.ids:
            labels = Image(np.asarray(self.store.labels(case_id)), self.store.grid(case_id), "labels")
            yield Case(case_id, image_of(self.store, case_id), labels)


def image_of(store: Store, case_id: str) -> Image:
    """The prepared image of a case, as the net gets it."""
    return Image(np.asarray(store.image(case_id)[:], np.float32), store.grid(case_id))


def judge_baselines(folder: RunFolder, store: Store, report: Report, workers: int) -> dict[str, Any]:
    """What `rivals.against` tells of every classical method, on the cases, and with the settings, of a report.

    Each learns from at most 24 training cases of the run, and gets the prepared images that the net gets.
    """
    training = folder.split.training
    steps = np.linspace(0, len(training) - 1, min(len(training), MOST_TEACHERS)).round().astype(int)
    examples = Examples(Prepared(store, [training[step] for step in steps]), folder.experiment.task_labels)
    rivals = []
    for name in baselines:
        baseline = baselines.build(name)
        try:
            baseline.fit(examples)
            rivals.append(_judged(folder, store, name, baseline, report, workers))
        except DataError as error:
            log.warning("baseline %s: %s", name, error)
            rivals.append(Rival(name, None, failure=str(error)))
    return against(report, rivals, len(steps))


def _judged(folder: RunFolder, store: Store, name: str, baseline: Baseline, report: Report, workers: int) -> Rival:
    seconds = []

    def answer(case: Case) -> Image:
        image = image_of(store, case.id)
        started = time.perf_counter()
        labels = baseline.segment(image)
        seconds.append(time.perf_counter() - started)
        found = onto(labels, case.image.grid)
        numbered = folder.experiment.task_labels.objects
        return found.with_array(components(found.array[0] > 0)[0][None]) if numbered else found

    cases = judged_cases(folder, folder.split.validation, answer)
    found = evaluate_pairs(cases, folder.experiment.task_labels, report.settings, workers, stage=f"baseline {name}")
    # The first case may pay for compiling.
    return Rival(name, found, float(np.median(seconds)))
