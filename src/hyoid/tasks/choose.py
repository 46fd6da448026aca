"""Which task a set of labels asks for."""

from __future__ import annotations

from ..core.labels import Labels
from .regions import Regions
from .semantic import Classes
from .task import Task, tasks

__all__ = ["Classes", "Regions", "task_for", "tasks"]


def task_for(labels: Labels, name: str | None = None) -> Task:
    """The task called `name`; `regions` for labels that overlap and `classes` for others when None.

    Raises:
        ConfigError: When no task has this name.
    """
    return tasks.build(name or ("regions" if labels.overlapping else "classes"), labels=labels)
