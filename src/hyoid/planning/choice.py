"""The choice of the preset `auto`: rate every option by the speed of the machine, and time the best ones themselves."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.errors import HyoidError
from ..core.progress import stage
from .budget import NOMINAL, NOMINAL_SECONDS, Load, Speed, Timer, fitted_speed
from .candidates import Ground, Option, check_memory, options
from .learning import USABLE, affordable_steps, expected_learning, learning_factors
from .settings import Precision

FINALISTS = 4
"""Candidates that are timed themselves at most."""

MEASUREMENTS = 4 + FINALISTS
"""Steps of different nets that are timed in one calibration, about."""

SUSPICIOUS = 1.5
"""A step this much slower than expected is timed again: another program may have had the processor."""

FIRST_GFLOPS = 10.0
"""Billions of operations of the first step that is timed, well under a second on a slow machine."""

GROWTH = 3.0
"""Number formats are compared again on a larger step when it can be so many times as large."""

HOPELESS = 3.0
"""A number format so many times slower than the fastest one is not tried on a larger step."""

ALWAYS = 2.0
"""Seconds for which a step is timed also late: finding the candidates may have used up a short allowance."""

ROWS = 10
"""Candidates that are shown."""


def _rated(
    ground: Ground, option: Option, speed: Speed, seconds: float, most: float = math.inf, measured: float | None = None
) -> Option:
    """The option with its time, by this speed unless measured, and what it is expected to learn in these seconds."""
    took = speed.seconds(option.load, option.row.batch) if measured is None else measured
    option = option.changed(seconds_per_step=took, measured=measured is not None)
    return option.changed(
        steps=int(affordable_steps(option.row, seconds, most)),
        learning=expected_learning(option.row, ground.facts, seconds, most),
        factors=learning_factors(option.row, ground.facts, seconds, most),
    )


@dataclass
class _Machine:
    """What was timed so far; nets that did not fit into the memory are not counted."""

    timer: Timer
    allowance: float
    loads: list[tuple[Load, int]] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def time(self, option: Option, precision: Precision, count: bool = True) -> float:
        """Seconds of a step of this option."""
        seconds = self.timer(option.spec, option.row.patch, option.row.batch, precision)
        if count:
            self.count(option, seconds)
        return seconds

    def count(self, option: Option, seconds: float) -> None:
        """Let the speed explain what this option took."""
        if math.isfinite(seconds):
            self.loads.append((option.load, option.row.batch))
            self.taken.append(seconds)

    @property
    def speed(self) -> Speed:
        if not self.taken:
            raise HyoidError("The memory does not suffice for one small training step; close other programs.")
        return fitted_speed(self.loads, self.taken)

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.started

    def affords(self, seconds: float) -> bool:
        """Whether a step foreseen to take so long may be timed: it is taken twice, once to warm up."""
        return 2 * seconds <= max(ALWAYS, self.allowance - self.spent)


def choose_nominal(ground: Ground, steps: int) -> list[Option]:
    """The best option for a number of steps on the nominal machine, then the best of other kinds; nothing is timed."""
    seconds = steps * NOMINAL_SECONDS / USABLE
    found = options(ground, ground.formats[0])
    ranked = sorted((_rated(ground, option, NOMINAL, seconds, steps) for option in found), key=_order)
    # A large step is rated by the steps that such a machine would take in the time, but all that were asked are taken.
    return [option.changed(steps=steps) for option in _shown(ranked)]


def choose(ground: Ground, seconds: float, timer: Timer, allowance: float) -> list[Option]:
    """The best option for a time on this machine, then the best of other kinds.

    A few small steps give the speed of this machine and all options are rated by it. Then the one that seems best is
    timed itself and corrects the speed, until the best one is one that was timed, or would take longer than is left of
    the allowance.

    Args:
        seconds: Time for training with its validation.
        allowance: Seconds that timing may take; no step is timed that is foreseen to take longer than is left of them.

    Raises:
        ConfigError: When every option needs more memory than the whole machine has; before anything is timed.
    """
    machine = _Machine(timer, allowance)
    with stage("measuring the speed of this machine", MEASUREMENTS) as progress:
        leanest = min((option.row for option in options(ground, ground.formats[0])), key=lambda row: row.memory_gb)
        check_memory(leanest, ground.total_gb)
        precision = _calibrated(machine, ground)
        progress.advance(MEASUREMENTS - FINALISTS)
        found, timed = options(ground, precision), dict[int, float]()
        while True:
            speed = machine.speed
            rated = (_rated(ground, one, speed, seconds, measured=timed.get(index)) for index, one in enumerate(found))
            ranked = sorted(zip(rated, range(len(found)), strict=True), key=lambda pair: _order(pair[0]))
            best, index = ranked[0]
            ended = index in timed or len(timed) == FINALISTS or (timed and machine.spent > allowance)
            if ended or not machine.affords(best.row.seconds_per_step):
                break
            timed[index] = machine.time(best, precision)
            if timed[index] > SUSPICIOUS * best.row.seconds_per_step and machine.affords(timed[index]):
                timed[index] = min(timed[index], machine.time(best, precision))
            progress.advance(1)
    if not best.row.learning:
        raise HyoidError("The candidates did not fit into the memory; give a smaller --memory (planning.memory_gb).")
    return _shown([option for option, _ in ranked])


def _calibrated(machine: _Machine, ground: Ground) -> Precision:
    """Time a middle, a narrow and a wide net, each for about its share of time, in the fastest number format.

    How long a small step takes may be that of launching its operations, above all on a GPU, and then says nothing of
    the formats at the size that is planned. So steps grow to what the time allows, and the last one decides.
    """
    formats = ground.formats
    found = options(ground, formats[-1])  # the format of most memory, so that a step fits in every one
    widths = sorted({option.row.channels[:1] for option in found})
    middle = widths[len(widths) // 2]
    larger = _of_size(found, middle, FIRST_GFLOPS)
    while True:
        step = larger
        took = {precision: machine.time(step, precision, count=False) for precision in formats}
        precision = min(took, key=lambda name: took[name])
        gflops = step.row.gflops * machine.allowance / MEASUREMENTS / 4 / max(took[precision], 1e-6)
        larger = _of_size(found, middle, gflops)
        if larger.row.gflops < GROWTH * step.row.gflops:
            break
        formats = tuple(name for name in formats if took[name] < HOPELESS * took[precision])
    machine.count(step, took[precision])
    for width in dict.fromkeys((widths[0], widths[-1])):
        option = _of_size(found, width, gflops)
        foreseen = machine.speed.seconds(option.load, option.row.batch) if machine.taken else 0.0
        if width != middle and machine.affords(foreseen):
            machine.time(option, precision)
    return precision


def _of_size(found: Sequence[Option], width: tuple[int, ...], gflops: float) -> Option:
    """The option of this width whose step takes about so many operations; with a smaller batch where all are larger."""
    nearest = min(
        (option for option in found if option.row.channels[:1] == width),
        key=lambda option: abs(math.log(option.row.gflops / max(gflops, 1e-9))),
    )
    row = nearest.row
    if row.gflops < GROWTH * gflops:
        return nearest
    batch = max(1, int(row.batch * gflops / row.gflops))
    return nearest.changed(batch=batch, gflops=row.gflops * batch / row.batch)


def _order(option: Option) -> tuple[float, float]:
    return (-option.row.learning, option.row.gflops)


def _shown(ranked: Sequence[Option]) -> list[Option]:
    """The first option of each spacing, patch and width, a few of them."""
    kinds: dict[tuple[object, ...], Option] = {}
    for option in ranked:
        kinds.setdefault((option.row.spacing_mm, option.row.patch, option.row.channels[:1]), option)
    return list(kinds.values())[:ROWS]
