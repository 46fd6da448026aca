"""Whole-image validation of prepared cases with true Dice, and how much of it training can afford."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..prediction.predictor import Predictor
from ..preparation.store import Store

Scores = dict[str, float]


def step_cost(predictor: Predictor, shape: Sequence[int], batch: int) -> float:
    """What predicting an image costs, in training steps (a step computes three times what an answer does)."""
    tiling = predictor.tiling(shape)
    seen = math.prod(t + 2 * m for t, m in zip(tiling.tile, tiling.margin, strict=True))
    return tiling.num_tiles * seen / (3 * batch * math.prod(predictor.plan.patch))


def case_dice(predictor: Predictor, store: Store, case_id: str) -> Scores:
    """Dice of each structure of a prepared case; NaN where both masks are empty. Ignored voxels do not count."""
    task = predictor.task
    reference = np.asarray(store.labels(case_id))[0]
    answer = predictor.predict_labels(np.asarray(store.image(case_id)))
    if task.labels.ignore is not None:
        answer = np.where(reference == task.labels.ignore, 0, answer)
    answers, references = task.masks(answer), task.masks(reference)
    return {name: _dice(answers[name], references[name]) for name in task.structures}


def _dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    total = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / total if total else math.nan


def mean_dice(cases: Mapping[str, Scores]) -> Scores:
    """Mean of each structure over the cases that have it; NaN when none has."""
    names = next(iter(cases.values())) if cases else {}
    return {name: _mean([scores[name] for scores in cases.values()]) for name in names}


def overall(scores: Mapping[str, float]) -> float:
    """Mean over structures; NaN when nothing was measured."""
    return _mean(list(scores.values()))


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def affordable(costs: Sequence[float], allowance: float, most_rounds: int = 20) -> tuple[int, int]:
    """How often and on how many cases to validate.

    Args:
        costs: What each case costs, in the order they are taken.
        allowance: What all rounds together may cost.
        most_rounds: Rounds that are enough.

    Returns:
        Number of rounds and cases in each; as many rounds as possible first, then cases.
    """
    if not costs or allowance < costs[0]:
        return 0, 0
    rounds = min(most_rounds, int(allowance / costs[0])) if costs[0] > 0 else most_rounds
    total, cases = 0.0, 0
    for cost in costs:
        total += cost
        if total * rounds > allowance * (1 + 1e-9) and cases:
            break
        cases += 1
    return rounds, cases


def validate(
    predictor: Predictor, store: Store, ids: Sequence[str], stopped: Callable[[], bool] = lambda: False
) -> dict[str, Scores]:
    """Dice of each structure of each case; fewer cases when stopped."""
    cases: dict[str, Scores] = {}
    for case_id in ids:
        if stopped():
            break
        cases[case_id] = case_dice(predictor, store, case_id)
    return cases
