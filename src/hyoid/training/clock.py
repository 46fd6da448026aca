"""Progress of a training, by steps or by time, and when to validate."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import ConfigError


@dataclass
class Clock:
    """Where a training stands between 0 and 1.

    With `steps` everything depends on the number of the step alone, so that the same seed gives the same weights on
    any day, on one machine with as many threads. With `seconds` progress follows the clock, and a reserve is kept for
    what comes after the last step. A training that is shortened runs through the rest of its progress in less.

    Attributes:
        steps: Steps to take, or None.
        seconds: Wall time to use, or None.
        step: Steps taken.
        reserve_seconds: Time kept for the last validation and checkpoint.
        step_seconds: Typical time of a step.
        length: Share of the steps or the time that is used.
        bend: Progress at which the training was shortened to that.
    """

    steps: int | None = None
    seconds: float | None = None
    step: int = 0
    reserve_seconds: float = 0.0
    step_seconds: float = 0.0
    length: float = 1.0
    bend: float = 0.0
    _earlier: float = 0.0
    _reached: float = 0.0
    _begin: float = field(default_factory=lambda: time.perf_counter())

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ConfigError("Training needs either a number of steps or a time, and not both.")

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
        self._reached = max(self._reached, self._bent(self.elapsed_seconds / max(self._usable_seconds, 1e-9)))
        return self._reached

    def _bent(self, share: float) -> float:
        """Progress at a share of the steps or the time."""
        if self.length < 1 and share > self.bend:
            share = self.bend + (1 - self.bend) * (share - self.bend) / (self.length - self.bend)
        return min(1.0, share)

    @property
    def _usable_seconds(self) -> float:
        """Time for steps, had the training its whole length."""
        assert self.seconds is not None
        return self.seconds - self.reserve_seconds

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
            return self.step >= self.length * self.steps
        return self.step > 0 and self.elapsed_seconds + self.step_seconds >= self.length * self._usable_seconds

    @property
    def expected_steps(self) -> float:
        """Steps of the whole training, as far as known."""
        if self.steps is not None:
            return self.steps
        return max(self.step, self._usable_seconds / max(self.step_seconds, 1e-9))

    @property
    def left_seconds(self) -> float:
        """Time until the end."""
        if self.seconds is not None:
            return max(0.0, self.seconds - (1 - self.length) * self._usable_seconds - self.elapsed_seconds)
        assert self.steps is not None
        return (self.length * self.steps - self.step) * self.step_seconds

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
        self.length, self.bend = state.get("length", 1.0), state.get("bend", 0.0)  # 0.1.0 had no plateaus
        self._begin = time.perf_counter()


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
