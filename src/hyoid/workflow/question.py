"""What was asked of a run, whether it is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError
from ..core.extensions import load_extensions
from ..core.progress import log
from ..experiment import Experiment, RunFolder

DEFAULT_MINUTES = 20.0
_PLAN = "plan."


def ask(data: str | Path, minutes: float | None, steps: int | None, seed: int, changes: Sequence[str]) -> Experiment:
    """The experiment that these arguments describe, without labels and plan.

    Raises:
        ConfigError: When both minutes and steps are given, or a change does not fit.
    """
    if minutes is not None and steps is not None:
        raise ConfigError("Give either --minutes or --steps, not both.")
    if not Path(data).exists():
        raise ConfigError(f"{data}: there is no such file or folder.")
    asked = Experiment(data=str(Path(data).resolve()), seed=seed)
    if minutes is not None or steps is not None:
        training = Experiment.model_validate({**asked.model_dump(), "training": {"minutes": minutes, "steps": steps}})
        asked = training
    asked = asked.changed([change for change in changes if not change.strip().startswith(_PLAN)])
    if asked.training.minutes is not None and asked.training.steps is not None:
        raise ConfigError("Set either training.minutes or training.steps, not both.")
    if asked.training.minutes is None and asked.training.steps is None:
        asked = asked.changed({"training.minutes": DEFAULT_MINUTES})
    extensions = tuple(str(Path(path).expanduser().resolve()) for path in asked.extensions)
    load_extensions(extensions)
    _check_names(asked)
    return asked.changed({"extensions": list(extensions)})


def _check_names(asked: Experiment) -> None:
    """Look up every part that settings name, so that a wrong name fails before any work is done."""
    from ..losses import losses
    from ..training.optim import optimisers, schedules
    from ..training.regimes import regimes

    asked.evaluation.build()
    training = asked.training
    if training.loss is not None:
        losses.build(training.loss, **training.loss_options)
    for shelf, name in (
        (optimisers, training.optimiser.name),
        (schedules, training.optimiser.schedule),
        (regimes, training.regime),
    ):
        shelf[name]


def plan_changes(changes: Sequence[str]) -> list[str]:
    """Changes to the plan itself, which can only be made once there is one."""
    return [change.strip().removeprefix(_PLAN) for change in changes if change.strip().startswith(_PLAN)]


def is_answered(folder: RunFolder, asked: Experiment, changes: Sequence[str]) -> bool:
    """Whether the run was planned for just this question.

    Raises:
        ConfigError: When the folder holds a run that was asked something else.
    """
    if not folder.experiment_file.is_file():
        return False
    before = folder.read_json("asked.json")
    now: dict[str, Any] = asked.model_dump(mode="json")
    if before.get("experiment") == now and plan_changes(before.get("changes", [])) == plan_changes(changes):
        log.info("%s goes on where it was.", folder.path)
        return True
    other = _differences(before.get("experiment", {}), now) or ["plan"]
    raise ConfigError(
        f"{folder.path} already holds a run with other settings ({', '.join(other[:4])}). Choose another --into, "
        "or delete that folder."
    )


def _differences(before: Any, now: Any, place: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [
            found for key in keys for found in _differences(before.get(key), now.get(key), f"{place}.{key}".strip("."))
        ]
    return [] if before == now else [f"{place} was {before}, now {now}"]
