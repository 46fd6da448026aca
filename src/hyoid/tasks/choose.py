"""Which task a set of labels asks for."""

from __future__ import annotations

from ..core.errors import ConfigError, DataError
from ..core.labels import Labels
from .regions import Regions
from .semantic import Classes
from .task import Task, tasks

__all__ = ["Classes", "Regions", "task_for", "tasks"]


def task_for(labels: Labels, name: str | None = None) -> Task:
    """The task called `name`; `regions` for labels that overlap and `classes` for others when None.

    Raises:
        ConfigError: When no task has this name, or what was registered builds no task.
        DataError: When there is no structure to tell apart.
    """
    if not labels.names and name in (None, "classes", "regions"):
        raise DataError("There is no structure to segment; declare at least one name with its values.")
    name = name or ("regions" if labels.overlapping else "classes")
    task = tasks.build(name, labels=labels)
    if Task not in type(task).__mro__:
        raise ConfigError(
            f"task {name!r}: what was registered must give an object whose class has the base hyoid.tasks.Task; it gave"
            f" {task!r}."
        )
    return task
