"""When the score that decides has stopped rising, so that the rest of a training would be wasted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..tasks.task import Deciding

EARLIEST = 0.5
"""Progress before which no training is stopped, unless its score is saturated."""

COOL_DOWN = 0.1
"""Share of a training in which the learning rate runs to zero after a plateau; most of the gain of a schedule comes
when the rate falls, so it must not be left out."""

FEWEST = 3
"""Rounds on either side of a comparison, and cases, that tell anything."""


class Round(NamedTuple):
    """One validation.

    Attributes:
        progress: When.
        scores: The score of each case, mean over its structures; NaN where it has none.
        structures: The score of each structure, mean over the cases; NaN where none has it.
    """

    progress: float
    scores: tuple[float, ...]
    structures: tuple[float, ...] = ()


class Plateau(NamedTuple):
    """A plateau.

    Attributes:
        since: Progress from which the score has not risen.
        score: Mean since then.
    """

    since: float
    score: float


def rounds_for(patience: float) -> int:
    """Rounds of a whole training from which a plateau can be seen: `FEWEST` lie in either half of the patience."""
    return int((2 * FEWEST - 1) / patience)


def find_plateau(rounds: Sequence[Round], patience: float, decides: Deciding) -> Plateau | None:
    """The plateau a training is on, if it is on one.

    The last stretch of the training, as long as the patience, is cut in halves, and the rounds of the second are
    compared with those of the first, case by case. It is a plateau when the mean gain of a case is below
    `decides.gain`, and below twice that with its standard error added: a few cases that scatter are no reason to stop.
    Nor is it one while a structure is hardly found yet, or rises by more than twice that beyond its standard error: the
    mean of many structures may hide one that is still being learned.

    Args:
        rounds: All so far, of the same cases.
        patience: Share of the training; 0 finds none.
        decides: The score, and which of its values count.

    Returns:
        None, also while a half has fewer than `FEWEST` rounds, with fewer than `FEWEST` cases, before `EARLIEST`,
        below a score of `decides.begun`, and when stopping would save less than the cool-down takes.
    """
    if not rounds or not patience:
        return None
    now = rounds[-1].progress
    earliest = 0.0 if _mean(rounds[-1].scores) >= decides.saturated else EARLIEST
    if not max(patience, earliest) <= now <= 1 - 2 * COOL_DOWN:
        return None
    late = [one for one in rounds if one.progress > now - patience / 2]
    early = [one for one in rounds if now - patience < one.progress <= now - patience / 2]
    if min(len(late), len(early)) < FEWEST:
        return None
    after, before = (np.mean([one.scores for one in some], 0) for some in (late, early))
    gains = (after - before)[np.isfinite(after - before)]
    if len(gains) < FEWEST or _mean(after) < decides.begun:
        return None
    gain, error = gains.mean(), gains.std(ddof=1) / math.sqrt(len(gains))
    if gain >= decides.gain or gain + error >= 2 * decides.gain or _one_rises(early, late, decides):
        return None
    return Plateau(early[0].progress, _mean(after))


def _one_rises(early: Sequence[Round], late: Sequence[Round], decides: Deciding) -> bool:
    """Whether a structure is still being learned."""
    before, after = (np.asarray([one.structures for one in some], float) for some in (early, late))
    spread = np.sqrt(before.var(0, ddof=1) / len(before) + after.var(0, ddof=1) / len(after))
    rising = (
        after.mean(0) - before.mean(0) - spread > 2 * decides.gain
    )  # a structure that no case has is NaN, and does not
    return bool((rising | (after.mean(0) < decides.begun)).any())


def _mean(values: Sequence[float] | np.ndarray) -> float:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else math.nan
