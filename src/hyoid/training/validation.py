"""Whole-image validation of prepared cases by the scores of the task, and how much of it training can afford."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

import numpy as np

from ..core.errors import ConfigError
from ..core.progress import log
from ..prediction.predictor import Predictor
from ..preparation.store import Store
from ..tasks.task import Task, mean_known
from .clock import Clock, Rounds
from .plateau import FEWEST, Round, rounds_for
from .settings import PATIENCE

Scores = dict[str, float]

ENOUGH = 12
"""Rounds from which more cases in each tell more than more rounds, where no plateau is sought."""


def step_cost(predictor: Predictor, shape: Sequence[int], batch: int) -> float:
    """What predicting an image costs, in training steps (a step computes three times what an answer does)."""
    tiling = predictor.tiling(shape)
    return tiling.num_tiles * tiling.seen / (3 * batch * math.prod(predictor.plan.patch))


def case_score(predictor: Predictor, store: Store, case_id: str) -> Scores:
    """The task's scores of the answer to a prepared case; NaN for structures that were not annotated in it."""
    task = predictor.task
    truth = np.asarray(store.truth(case_id))
    answer = predictor.predict_labels(np.asarray(store.image(case_id)), grid=store.grid(case_id))
    scores = task.score(answer, truth[0] if task.kind == "labels" else truth, store.grid(case_id))
    if not isinstance(scores, Mapping) or not all(isinstance(value, SupportsFloat) for value in scores.values()):
        raise ConfigError(
            f"Task {type(task).__name__}: `score` must give a dict of numbers by their names; it gave {scores!r} for"
            f" {case_id}."
        )
    annotated = store.annotated(case_id)
    if annotated is None:
        return scores
    unknown = set(task.structures) - set(annotated)
    return {key: math.nan if key.partition(":")[2] in unknown else value for key, value in scores.items()}


def check_decides(task: Task, scores: Scores) -> None:
    """Refuse scores among which none is the one that decides.

    Raises:
        ConfigError: When no score has the name that the task decides by.
    """
    name = task.decides.name
    if not any(f"{key}:".startswith(f"{name}:") for key in scores):
        raise ConfigError(
            f"Task {type(task).__name__} decides by {name!r}, but `score` gave {', '.join(scores) or 'nothing'}; it"
            f" must give {name!r} or '{name}:STRUCTURE', as NaN where nothing can be said."
        )


def mean_scores(cases: Mapping[str, Scores]) -> Scores:
    """Mean of each score over the cases that have it; NaN when none has."""
    names = dict.fromkeys(name for scores in cases.values() for name in scores)
    return {name: mean_known([scores.get(name, math.nan) for scores in cases.values()]) for name in names}


def affordable(
    costs: Sequence[float], allowance: float, most_rounds: int = 20, enough: int = ENOUGH
) -> tuple[int, int]:
    """How often and on how many cases to validate.

    Args:
        costs: What each case costs, in the order they are taken.
        allowance: What all rounds together may cost.
        most_rounds: Rounds beyond which no more are made.
        enough: Rounds from which more cases in each tell more.

    Returns:
        Number of rounds and cases in each: `enough` rounds of `FEWEST` cases when they fit, so that a plateau can be
        seen; else as many rounds as possible; then as many cases.
    """
    if not costs or allowance < costs[0]:
        return 0, 0
    few = sum(costs[:FEWEST])
    least = few if len(costs) >= FEWEST and enough * few <= allowance else costs[0]
    rounds = min(most_rounds, int(allowance / least)) if least > 0 else most_rounds
    total, cases = 0.0, 0
    for cost in costs:
        total += cost
        if total * rounds > allowance * (1 + 1e-9) and cases:
            break
        cases += 1
    return rounds, cases


@dataclass
class Validator:
    """Measures a net on whole prepared cases now and then, within a share of the training.

    The same first cases are taken in every round, so that rounds can be compared; the last measurement takes as many
    as were foreseen: all of them when training counts steps.

    Attributes:
        predictor: Holds the net that is measured.
        store: Prepared cases.
        ids: Cases in the order they are taken.
        costs: What predicting each of them costs, in training steps.
        share: Largest share of the training.
        clock: Where the training stands.
        patience: Share of the training over which a plateau is sought; 0: none is.
        num_cases: Cases of a round.
        num_final: Cases of the last measurement.
        rounds: When to measure; None until the speed of training is known.
        scores: Mean of each score over the cases, last measured.
        best: Highest value of the score that decides, of the cases of a round.
        history: The rounds so far.
    """

    predictor: Predictor
    store: Store
    ids: list[str]
    costs: list[float]
    share: float
    clock: Clock
    patience: float = 0.0
    num_cases: int = 0
    num_final: int = 0
    rounds: Rounds | None = None
    scores: Scores = field(default_factory=dict)
    best: float = -math.inf
    history: list[Round] = field(default_factory=list)
    spent_seconds: float = 0.0
    seconds_per_cost: float | None = None

    def due(self) -> bool:
        """Whether it is time for a round, and time allows it."""
        if self.rounds is None and not self._plan():
            return False
        assert self.rounds is not None
        if not self.rounds.due(self.clock.progress):
            return False
        if self._affords():
            return True
        self.rounds.finish(self.clock.progress)
        return False

    def measure(self, num_cases: int, stopped: Callable[[], bool]) -> bool:
        """Score the first `num_cases` cases; gives False, and forgets, when stopped on the way."""
        begin = time.perf_counter()
        cases: dict[str, Scores] = {}
        for case_id in self.ids[:num_cases]:
            if stopped():
                return False
            cases[case_id] = case_score(self.predictor, self.store, case_id)
        seconds = time.perf_counter() - begin
        self.spent_seconds += seconds
        self.seconds_per_cost = seconds / sum(self.costs[:num_cases])
        self.scores = mean_scores(cases)
        check_decides(self.predictor.task, self.scores)
        compared = {case_id: cases[case_id] for case_id in self.ids[: self.num_cases or num_cases]}
        means, of = mean_scores(compared), self.predictor.task.decides.of
        of_structures = tuple(of({name: value}) for name, value in means.items())
        self.history.append(Round(self.clock.progress, tuple(map(of, compared.values())), of_structures))
        score = of(means)
        self.best = max(self.best, -math.inf if math.isnan(score) else score)
        return True

    def foresee_end(self) -> float:
        """Seconds the last measurement will take."""
        if self.rounds is None:
            self._plan(late=True)
        per_cost = self.seconds_per_cost or 1.5 * self.clock.step_seconds
        return 1.1 * per_cost * sum(self.costs[: self.num_final])

    def _plan(self, late: bool = False) -> bool:
        """Decide how often to measure how many cases; by time only once the speed is known."""
        clock = self.clock
        if clock.seconds is not None and not late and clock.step < 5 and clock.elapsed_seconds < 0.03 * clock.seconds:
            return False
        begin, end = clock.piece
        allowance = self.share * clock.expected_steps
        ending = allowance / 2 * (end - begin)  # each piece of a training has its own
        self.num_final = len(self.costs) if clock.seconds is None else affordable(self.costs, ending, 1)[1]
        enough = rounds_for(self.patience) if self.patience else ENOUGH
        count, self.num_cases = affordable(self.costs, allowance - sum(self.costs[: self.num_final]), enough=enough)
        past = begin if clock.lengthened == 1 else clock.progress
        self.rounds = Rounds(count, int(past * (count + 1)))
        if self.patience not in (0, PATIENCE) and (count < enough or self.num_cases < FEWEST):
            told = (
                "No plateau can end this training: training.patience=%g needs %d rounds of %d validation cases, and"
                " %d of %d are made; a longer training, a larger training.validation or a longer patience gives more."
            )
            log.info(told, self.patience, enough, FEWEST, count, self.num_cases)
        return True

    def _affords(self) -> bool:
        """Whether time allows a round now; predicting may turn out slower than foreseen."""
        if self.clock.seconds is None or self.seconds_per_cost is None:
            return True
        spent = self.spent_seconds + self.seconds_per_cost * sum(self.costs[: self.num_cases])
        return spent <= 1.5 * self.share * self.clock.elapsed_seconds

    def state(self) -> dict[str, Any]:
        """What has to be remembered to go on from here."""
        return {
            "num_cases": self.num_cases,
            "num_final": self.num_final,
            "rounds": None if self.rounds is None else [self.rounds.count, self.rounds.done],
            "scores": self.scores,
            "best": None if math.isinf(self.best) else self.best,
            "history": self.history,
            "spent_seconds": self.spent_seconds,
            "seconds_per_cost": self.seconds_per_cost,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.num_cases, self.num_final = state["num_cases"], state["num_final"]
        share = self.clock.lengthened
        self.rounds = None if state["rounds"] is None or share < 1 else Rounds(*state["rounds"])
        self.scores, self.best = state["scores"], -math.inf if state["best"] is None else state["best"]
        self.history = [Round(share * progress, *map(tuple, scores)) for progress, *scores in state["history"]]
        self.spent_seconds, self.seconds_per_cost = state["spent_seconds"], state["seconds_per_cost"]
