"""What the mean mask and classical methods reach on the judged cases of a run, since a net must beat them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..classical import Examples, baselines
from ..classical.baseline import Baseline
from ..classical.mean_mask import MeanMask
from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.lengths import Lengths
from ..core.progress import log
from ..datasets.dataset import Dataset
from ..evaluation.evaluate import evaluate_pairs
from ..evaluation.report import EvaluationSettings, Report
from ..evaluation.rivals import Rival, against
from ..ops.morphology import components
from ..ops.resample import onto
from ..preparation.store import Store
from ..run_folder import RunFolder
from .answers import judged_cases

MEAN_MASK = "mean mask"
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


@dataclass(frozen=True)
class Raw:
    """Annotated cases of a data set as they are in their files, read one at a time."""

    dataset: Dataset
    ids: Sequence[str]

    def __iter__(self) -> Iterator[Case]:
        return map(self.dataset.read, self.ids)


def judge_baselines(
    folder: RunFolder, ids: Sequence[str], report: Report, workers: int, store: Store | None = None
) -> dict[str, Any]:
    """What `rivals.against` tells of the mean mask of the training cases, and of classical methods, on cases of a run.

    Each learns from at most 24 training cases of the run. The mean mask is judged by the first metric of the report
    alone. The classical methods get the prepared images that the net gets, and are judged as the report is.

    Args:
        ids: The cases that the report judges.
        store: The prepared cases, where classical methods are to be judged, too.
    """
    training, labels, settings = folder.split.training, folder.experiment.task_labels, report.settings
    steps = np.linspace(0, len(training) - 1, min(len(training), MOST_TEACHERS)).round().astype(int)
    teachers, first = [training[step] for step in steps], settings.metrics[0]
    options = {name: given for name, given in settings.options.items() if name == first}
    alone = settings.model_copy(update={"metrics": (first,), "options": options})
    judged = partial(_judged, folder, ids, workers)
    raw = Examples(Raw(folder.dataset, teachers), labels)
    rivals = [judged(MEAN_MASK, MeanMask(), raw, lambda case: case.image, alone)]
    if store is not None:
        examples = Examples(Prepared(store, teachers), labels)
        for name in baselines:
            rivals.append(judged(name, baselines.build(name), examples, lambda one: image_of(store, one.id), settings))
    return against(report, rivals, len(teachers))


def _judged(
    folder: RunFolder,
    ids: Sequence[str],
    workers: int,
    name: str,
    baseline: Baseline,
    examples: Examples,
    image: Callable[[Case], Image],
    settings: EvaluationSettings,
) -> Rival:
    """One method: it learns from examples, answers an image of each case, and is judged by the settings."""
    seconds = []

    def answer(case: Case) -> Image:
        given = image(case)
        started = time.perf_counter()
        answered = baseline.segment(given)
        seconds.append(time.perf_counter() - started)
        found = onto(answered, case.image.grid)
        numbered = folder.experiment.task_labels.objects
        return found.with_array(components(found.array[0] > 0)[0][None]) if numbered else found

    cases, labels = judged_cases(folder, ids, answer), folder.experiment.task_labels
    lengths = Lengths.of(folder.dataset.seen.values())
    try:
        baseline.fit(examples)
        found = evaluate_pairs(cases, labels, settings, workers, stage=f"baseline {name}", lengths=lengths)
    except DataError as error:
        log.warning("baseline %s: %s", name, error)
        return Rival(name, None, failure=str(error))
    # The first case may pay for compiling.
    return Rival(name, found, float(np.median(seconds)))
