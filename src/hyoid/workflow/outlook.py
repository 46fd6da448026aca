"""Why a net may be worth less than its numbers or its time, and what would help: steps, cases, another machine."""

from __future__ import annotations

import numpy as np

from ..core.errors import HyoidError
from ..planning.fingerprint import Fingerprint
from ..reporting.figures import read_curves
from ..reporting.verdict import THIN
from ..reporting.wording import several
from ..run_folder import RunFolder

FEW_CASES, FEW_STEPS = 20, 200
SHORT = 0.6
"""Share of the expected steps below which a training fell short."""

RISING = 0.02
"""Rise of the score in the last third of a training that promises more."""


def thin(fingerprint: Fingerprint) -> list[str]:
    """Structures typically thinner than a few voxels along the axis of the finest ones."""
    finest = float(np.median([min(case.spacing_mm) for case in fingerprint.cases]))
    return [one.name for one in fingerprint.structures if 0 < one.fine_mm < THIN * finest]


def scattered(fingerprint: Fingerprint) -> list[str]:
    """Structures that are several objects in most cases."""
    return [one.name for one in fingerprint.structures if one.num_objects > 1]


def shortfall(run: RunFolder) -> tuple[str, ...]:
    """A sentence where a training made far fewer steps than were expected; a plateau that ended it is none."""
    training, expected, settings = run.read_json("training.json"), run.plan.expected, run.experiment.training
    steps = settings.steps or round(expected.steps * (settings.seconds or 0) / expected.training_seconds)
    if not training or training.get("length", 1) < 1 or training["steps"] >= SHORT * steps:
        return ()
    slower = training["step_seconds"] / expected.seconds_per_step
    told = f"Training made {training['steps']} of {steps} expected steps"
    if slower > 1.3:
        told += f", which took {slower:.1f} times as long each as measured before: the machine was busy"
    return (f"{told}.",)


def remedy(run: RunFolder) -> str:
    """What would help a net that is not worth using, in sentences."""
    training = run.read_json("training.json")
    steps = training.get("steps", 0)
    told = [f"{one} Train again when the machine is free, or with more --minutes." for one in shortfall(run)]
    if not told and steps < FEW_STEPS:
        told.append(f"Training of {several(steps, 'step')} teaches little: give more --minutes or --steps.")
    rise = _rise(run)
    if not told and rise is not None and rise > RISING:
        told.append("The score still rose when training ended: more --minutes or --steps would help.")
    elif not told and rise is not None:
        told.append("The score no longer rose when training ended, so time alone will not help.")
    if training.get("waiting", 0) > 0.2:
        told.append(
            f"The net waited for data {100 * training['waiting']:.0f} % of the time: use a faster disk or more threads."
        )
    if (count := len(run.split.training)) < FEW_CASES:
        told.append(f"{several(count, 'training case')} are few: more annotated ones help most.")
    return " ".join(told)


def _rise(run: RunFolder) -> float | None:
    """By how much the score that decides rose in the last third of a training; None when it was seldom measured."""
    try:
        curves = read_curves(run.weights / "curves.csv")
    except HyoidError:
        return None
    columns = [values for name, values in curves.items() if name.startswith(f"{run.task.decides.name}:")]
    known = [row for row in np.array(columns).T if np.isfinite(row).any()] if columns else []
    if len(known) < 3:
        return None
    scores = np.nanmean(np.array(known), axis=1)
    last = max(1, len(scores) // 3)
    return float(scores[-last:].mean() - scores[-2 * last : -last].mean())
