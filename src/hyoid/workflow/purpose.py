"""What is asked of a net: the task of a run, whether the data can teach it, its loss, and what it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError, DataError
from ..core.settings import split_change

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..experiment import Experiment
    from ..tasks.task import Task
    from ..training.settings import TrainingSettings


def task_of(asked: Experiment, dataset: Dataset) -> Task:
    """The task that the settings name, or else the labels ask for, with labels that number objects if it learns these.

    Raises:
        ConfigError: When no task has this name.
        DataError: When the data set has not the truth that the task learns from, or no structure.
    """
    from ..core.labels import Labels
    from ..tasks import task_for

    labels = asked.labels or dataset.labels
    if asked.task is None and dataset.truth != "labels":
        raise DataError(
            f"{dataset.root}: the truth of this data set is of the kind {dataset.truth!r}; name a task that learns from"
            " it, such as --set task=NAME."
        )
    task = task_for(labels, asked.task)
    numbers = dataset.encoding.kind in ("instances", "objects")
    has = "instances" if numbers else dataset.truth
    if task.truth != has and not (task.truth == "labels" and numbers):
        raise DataError(
            f"{dataset.root}: task {asked.task!r} learns from truth of the kind {task.truth!r}, and this data set has"
            f" {has!r}; choose another task, or other data."
        )
    if task.truth == "instances" and not labels.objects:
        one: dict[str, Any] = {"names": labels.names, "ignore": labels.ignore, "codes": labels.codes}
        return task_for(Labels(**one, values=((1,),), objects=True), asked.task)
    return task


def check_loss(training: TrainingSettings, task: Task, num_axes: int = 0) -> None:
    """Refuse a loss that does not fit the task, and options that are not as many as the classes, or as the net's axes.

    `num_axes` may be fewer than those of a patch, and is 0 when not known yet.
    """
    from ..losses.images import image_losses
    from ..losses.options import check_lengths
    from ..losses.shelf import shelf_of

    name = training.loss or task.default_loss
    shelf = shelf_of(name)
    if shelf is image_losses and task.ignores == "target":
        what = "compares maps of numbers, but the task learns classes or masks"
        raise ConfigError(f"training.loss: {name!r} {what}; choose another loss.")
    try:
        shelf.build(name, **training.loss_options)
        check_lengths(shelf[name].build, training.loss_options, task.outputs, num_axes)
    except ConfigError as error:
        raise ConfigError(f"training.loss_options: {error}") from None


def metrics_of(asked: Experiment, task: Task, changes: Sequence[str]) -> dict[str, Any]:
    """The evaluation with the task's metrics, or those usual for its answers; empty when settings name some."""
    from ..metrics.shelves import USUAL, check_kind

    named = any(split_change(change)[0] in ("evaluation", "evaluation.metrics") for change in changes)
    usual = () if named else task.default_metrics or USUAL.get(task.kind, ())
    chosen = asked.evaluation.changed({"metrics": list(usual)}) if usual else asked.evaluation
    check_kind(chosen.build(), task.kind)
    return {"evaluation": chosen} if usual else {}
