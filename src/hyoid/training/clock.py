"""Progress of a training, by steps or by time, and when to validate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import ConfigError


@dataclass
class Clock:
    """Where a training stands between 0 and 1.

    With `steps` everything depends on the number of the step alone, so that the same seed gives the same weights on
    any day, on one machine with as many threads. With `seconds` progress follows the clock, and a reserve is kept for
    what comes after the last step. A training that is shortened runs through the rest of its progress in less. One that
    is lengthened goes back to where it would stand, had it always been as long. A piece of a training begins and ends
    between 0 and 1, as if the pieces before it had been done.

    Attributes:
        steps: Steps of the whole training, or None.
        seconds: Its wall time, or None.
        piece: Shares of the whole at which this piece of it begins and ends.
        step: Steps taken, those before the piece included.
        reserve_seconds: Time kept for the last validation and checkpoint.
        step_seconds: Typical time of a step.
        length: Share of the steps or the time that is used.
        bend: Progress at which the training was shortened to that.
        lengthened: Share of this training that a shorter one was, which it goes on from; else 1.
    """

    steps: int | None = None
    seconds: float | None = None
    piece: tuple[float, float] = (0.0, 1.0)
    step: int = 0
    reserve_seconds: float = 0.0
    step_seconds: float = 0.0
    length: float = 1.0
    bend: float = 0.0
    lengthened: float = field(default=1.0, init=False)
    _earlier: float = 0.0
    _reached: float = 0.0
    _first: int = field(default=0, init=False)
    _begin: float = field(default_factory=lambda: time.perf_counter())

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ConfigError("Training needs either a number of steps or a time, and not both.")
        begin = self.piece[0]
        if self.steps is not None:
            self.step = round(begin * self.steps)
        else:
            self._earlier, self._reached = begin * (self.seconds or 0.0), begin
        self._first = self.step

    @property
    def whole(self) -> float:
        """Steps or seconds of the whole training."""
        return self.steps or self.seconds or 0.0

    def start(self) -> None:
        """Begin to count only now."""
        self._begin = time.perf_counter()

    @property
    def elapsed_seconds(self) -> float:
        """Time used, that before an interruption included."""
        return self._earlier + time.perf_counter() - self._begin

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0..1; it never falls."""
        if self.steps is not None:
            return self._bent(self.step / self.steps)
        assert self.seconds is not None
        begin, end = self.piece
        used, usable = self.elapsed_seconds - begin * self.seconds, self._usable_seconds - begin * self.seconds
        share = min(end, begin + (end - begin) * used / max(usable, 1e-9))
        self._reached = max(self._reached, self._bent(share))
        return self._reached

    def _bent(self, share: float) -> float:
        """Progress at a share of the steps or the time."""
        if self.length < 1 and share > self.bend:
            share = self.bend + (1 - self.bend) * (share - self.bend) / (self.length - self.bend)
        return min(1.0, share)

    @property
    def _usable_seconds(self) -> float:
        """Time for steps up to the end of the piece, had the training its whole length."""
        assert self.seconds is not None
        return self.piece[1] * self.seconds - self.reserve_seconds

    @property
    def _last_step(self) -> float:
        assert self.steps is not None
        return min(self.length * self.steps, round(self.piece[1] * self.steps))

    def shorten(self, rest: float) -> float:
        """Run through the rest of the progress in this share of the steps or the time; gives the seconds it saves."""
        before = self.left_seconds
        self.bend = self.progress
        self.length = self.bend + rest
        return before - self.left_seconds

    @property
    def done(self) -> bool:
        """Whether no further step fits."""
        if self.steps is not None:
            return self.step >= self._last_step
        return (
            self.step > self._first and self.elapsed_seconds + self.step_seconds >= self.length * self._usable_seconds
        )

    @property
    def expected_steps(self) -> float:
        """Steps of the whole training, as far as known."""
        if self.steps is not None:
            return self.steps
        assert self.seconds is not None
        return max(self.step, (self.seconds - self.reserve_seconds) / max(self.step_seconds, 1e-9))

    @property
    def left_seconds(self) -> float:
        """Time until the end."""
        if self.seconds is not None:
            end = self.piece[1] * self.seconds
            return max(0.0, end - (1 - self.length) * self._usable_seconds - self.elapsed_seconds)
        return (self._last_step - self.step) * self.step_seconds

    def tick(self, seconds: float) -> None:
        """A step was taken that lasted this long; the very first is slower than those that follow."""
        self.step += 1
        if self.step <= 2 or self.step_seconds == 0:
            self.step_seconds = seconds
        else:
            self.step_seconds += 0.1 * (seconds - self.step_seconds)

    def state(self) -> dict[str, Any]:
        """What has to be remembered to go on from here."""
        return {
            "whole": self.whole,
            "step": self.step,
            "seconds": self.elapsed_seconds,
            "reached": self._reached,
            "step_seconds": self.step_seconds,
            "reserve_seconds": self.reserve_seconds,
            "length": self.length,
            "bend": self.bend,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.step, self._earlier, self._reached = state["step"], state["seconds"], state["reached"]
        self.step_seconds, self.reserve_seconds = state["step_seconds"], state["reserve_seconds"]
        self.length, self.bend = state["length"], state["bend"]
        self._begin = time.perf_counter()
        self.lengthened = min(1.0, state.get("whole", self.whole) / self.whole)
        if self.lengthened < 1:
            self.length, self.bend = 1.0, 0.0
            self._reached = min(1.0, self._earlier / self.whole)


def is_over(facts: Mapping[str, Any], whole: float) -> bool:
    """Whether a checkpoint ends a training of so many steps or seconds, and not a shorter one."""
    return bool(facts.get("finished")) and facts.get("clock", {}).get("whole", whole) >= whole


@dataclass
class Rounds:
    """When validation is due: at equal parts of the training.

    Attributes:
        count: Rounds before the last one at the end.
        done: Rounds that are over.
    """

    count: int
    done: int = 0

    def due(self, progress: float) -> bool:
        """Whether the next round's time has come; the end itself is not a round."""
        return self.done < self.count and progress >= (self.done + 1) / (self.count + 1)

    def finish(self, progress: float) -> None:
        """The rounds up to this progress are over."""
        self.done = max(self.done + 1, int(progress * (self.count + 1)))

    def stop(self) -> None:
        """There are no further rounds."""
        self.count = self.done
