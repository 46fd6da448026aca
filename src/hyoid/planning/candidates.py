"""Candidates for the preset `auto`, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..core.errors import ConfigError, HyoidError
from ..core.progress import stage
from ..nets.family.build import build_spec
from ..nets.unet import UNetSpec
from .budget import BACKWARD, NOMINAL, Load, Speed, Timer, fitted_speed, fitting_patch, load_of, training_gb
from .learning import Candidate, Facts, affordable_steps, expected_learning, learning_factors
from .rules import Topology, topology
from .settings import PlanningSettings, Precision

WIDTHS = {2: (8, 12, 16, 24, 32, 48, 64), 3: (8, 12, 16, 24, 32)}
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
COARSER = (1.0, 1.5, 2.0, 3.0, 4.0)
EDGES = {2: (96, 128, 192, 256, 320, 384, 512, 640, 768, 1024), 3: (32, 48, 64, 80, 96, 112, 128, 160, 192)}
LEVELS = {2: 6, 3: 5}

SMALLEST_IMAGE = {2: 96, 3: 24}
"""Voxels along the two largest axes below which images are not made coarser."""

PROBES = 3
"""Small steps that are measured first."""

FINALISTS = 4
"""Candidates that are measured themselves at most."""


@dataclass(frozen=True)
class Ground:
    """What candidates stand on.

    Attributes:
        spacing: Finest sensible spacing along each prepared axis (of the slice for a 2D net on volumes).
        median: Median shape of the images at that spacing.
        num_cases: Cases to train on.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        facts: What the rule knows of the data.
        memory_gb: Memory training may use.
        precisions: Number formats of the device, the favoured one first.
        settings: What is fixed already.
    """

    spacing: tuple[float, ...]
    median: tuple[float, ...]
    num_cases: int
    in_channels: int
    out_channels: int
    facts: Facts
    memory_gb: float
    precisions: tuple[Precision, ...]
    settings: PlanningSettings

    def spec(self, shape: Topology, width: int) -> UNetSpec:
        """The net of a candidate."""
        dims, fixed = len(self.spacing), self.settings
        # The published nets stop at 320 of 32 in 3D and 512 of 32 in 2D; narrower ones keep that shape.
        most = width * (10 if dims == 3 else 16)
        channels = fixed.channels or tuple(min(width * 2**level, most) for level in range(shape.levels))
        changes = {} if fixed.norm is None else {"norm": fixed.norm}
        spec = build_spec(
            fixed.net or "unet",
            dims,
            self.in_channels,
            self.out_channels,
            channels=channels,
            kernels=shape.kernels,
            strides=shape.strides,
            deep_supervision=False,
            **changes,
        )
        if not isinstance(spec, UNetSpec):
            raise ConfigError(f"The preset auto plans a U from levels; {fixed.net!r} is not one. Use unet.")
        return spec


@dataclass(frozen=True)
class Option:
    """A candidate with the net behind it."""

    row: Candidate
    spec: UNetSpec
    load: Load


def options(ground: Ground, precision: Precision) -> list[Option]:
    """Every combination of spacing, patch, width and batch that fits into the memory; one at least."""
    found: list[Option] = []
    for spacing, wanted, shape in _shapes(ground):
        for width in _widths(ground):
            spec = ground.spec(shape, width)
            patch = shape.patch if spec.padding == "same" else fitting_patch(spec, wanted)
            load = load_of(spec, patch)
            for batch in _batches(ground):
                memory = training_gb(load, batch, precision)
                if memory > ground.memory_gb and found:
                    break
                row = Candidate(
                    dims=len(spacing),
                    spacing_mm=spacing,
                    patch=patch,
                    batch=batch,
                    net=ground.settings.net or "unet",
                    channels=spec.channels,
                    precision=precision,
                    parameters=load.parameters,
                    gflops=batch * BACKWARD * load.flops / 1e9,
                    values=batch * load.values,
                    memory_gb=memory,
                )
                found.append(Option(row, spec, load))
    return found


def _shapes(ground: Ground) -> Iterator[tuple[tuple[float, ...], tuple[int, ...], Topology]]:
    """Spacings and, for each, the patches from small to the whole median image with their topologies."""
    dims, fixed, seen = len(ground.spacing), ground.settings, set()
    finest = min(ground.spacing)
    levels = len(fixed.channels) if fixed.channels else LEVELS[dims]
    for factor in (1.0,) if fixed.spacing_mm else COARSER:
        spacing = tuple(max(s, factor * finest) for s in ground.spacing)
        median = tuple(n * old / new for n, old, new in zip(ground.median, ground.spacing, spacing, strict=True))
        if factor > 1 and min(sorted(median)[-2:]) < SMALLEST_IMAGE[dims]:
            break
        for patch in [fixed.patch[-dims:]] if fixed.patch else _patches(spacing, median):
            shape = topology(spacing, patch, levels)
            enough = shape.levels == levels if fixed.channels else shape.levels >= 2
            if enough and (spacing, shape.patch) not in seen:
                seen.add((spacing, shape.patch))
                yield spacing, patch, shape
    if not seen:
        what = "planning.patch" if fixed.patch else "the median image"
        raise ConfigError(
            f"A net of {max(2, levels) if fixed.channels else 2} levels needs more voxels than {what} has."
        )


def _patches(spacing: Sequence[float], median: Sequence[float]) -> Iterator[tuple[int, ...]]:
    finest = min(spacing)
    for edge in (*EDGES[len(spacing)], math.inf):
        yield tuple(math.ceil(min(edge * finest / s, n)) for s, n in zip(spacing, median, strict=True))


def _widths(ground: Ground) -> tuple[int, ...]:
    fixed = ground.settings.channels
    return (fixed[0],) if fixed else WIDTHS[len(ground.spacing)]


def _batches(ground: Ground) -> list[int]:
    fixed = ground.settings.batch
    return [fixed] if fixed else [batch for batch in BATCHES if batch <= max(2, ground.num_cases)]


def choose(ground: Ground, seconds: float, timer: Timer | None, most_steps: float = math.inf) -> list[Option]:
    """The best option first, then the best of other kinds it was chosen from.

    With a timer, a few small steps give the speed of this machine and all options are rated by it. Then the one that
    seems best is measured itself and corrects the speed, until the best one is one that was measured. Without a timer
    the nominal speed decides and nothing is measured.
    """
    rate = Rating(ground.facts, seconds, most_steps)
    if timer is None:
        fixed = ground.settings.precision or ground.precisions[0]
        return _shown([rate(option, NOMINAL) for option in options(ground, fixed)])
    with stage("measuring the speed of this machine", PROBES + FINALISTS) as progress:
        precision, loads, taken = _calibrated(ground, timer)
        progress.advance(len(taken))
        found = options(ground, precision)
        measured: dict[int, float] = {}
        for _ in range(FINALISTS):
            speed = fitted_speed(loads, taken)
            rated = [rate(option, speed, measured.get(index)) for index, option in enumerate(found)]
            best = min(range(len(rated)), key=lambda index: _order(rated[index]))
            if best in measured:
                break
            option = found[best]
            measured[best] = timer(option.spec, option.row.patch, option.row.batch, precision)
            if math.isfinite(measured[best]):
                loads.append((option.load, option.row.batch))
                taken.append(measured[best])
            progress.advance(1)
    speed = fitted_speed(loads, taken)
    rated = [rate(option, speed, measured.get(index)) for index, option in enumerate(found)]
    tried = min((rated[index] for index in measured), key=_order)
    return _shown([tried, *(option for option in rated if option is not tried)], keep_first=True)


class Rating(NamedTuple):
    """Rates options for a budget.

    Attributes:
        facts: What is to be learnt.
        seconds: Time for training with its validation.
        most_steps: Steps after which training ends.
    """

    facts: Facts
    seconds: float
    most_steps: float

    def __call__(self, option: Option, speed: Speed, measured: float | None = None) -> Option:
        """The option with its time, by this speed unless measured, and what it is expected to learn."""
        took = measured if measured is not None else speed.seconds(option.load, option.row.batch)
        row = option.row.model_copy(update={"seconds_per_step": took, "measured": measured is not None})
        update = {
            "steps": int(affordable_steps(row, self.seconds, self.most_steps)),
            "learning": expected_learning(row, *self),
            "factors": learning_factors(row, *self),
        }
        return replace(option, row=row.model_copy(update=update))


def _calibrated(ground: Ground, timer: Timer) -> tuple[Precision, list[tuple[Load, int]], list[float]]:
    """The fastest number format, and the loads and times of steps of well under a second in it."""
    fixed = ground.settings.precision
    formats = (fixed,) if fixed else ground.precisions
    first, *rest = _probes(options(ground, formats[0]))
    timed: dict[Precision, float] = {
        name: timer(first.spec, first.row.patch, first.row.batch, name) for name in formats
    }
    precision = min(timed, key=lambda name: timed[name])
    taken = [timed[precision], *(timer(probe.spec, probe.row.patch, probe.row.batch, precision) for probe in rest)]
    loads = [(probe.load, probe.row.batch) for probe in (first, *rest)]
    finite = [index for index, seconds in enumerate(taken) if math.isfinite(seconds)]
    if not finite:
        raise HyoidError("The memory of this machine does not suffice for one small training step.")
    return precision, [loads[index] for index in finite], [taken[index] for index in finite]


def _probes(found: Sequence[Option], gflops: float = 30.0) -> list[Option]:
    """A middle, a narrow and a wide net whose steps take about so many operations."""
    widths = sorted({option.row.channels[0] for option in found})
    picked = [widths[len(widths) // 2], widths[0], widths[-1]]

    def distance(option: Option) -> float:
        return abs(math.log(option.row.gflops / gflops))

    return [min((o for o in found if o.row.channels[0] == width), key=distance) for width in dict.fromkeys(picked)]


def _order(option: Option) -> tuple[float, float]:
    return (-option.row.learning, option.row.gflops)


def _shown(rated: Sequence[Option], keep_first: bool = False, rows: int = 10) -> list[Option]:
    """The best one and the best of other widths, spacings and patches."""
    head = list(rated[:1]) if keep_first else []
    kinds: dict[tuple[object, ...], Option] = {}
    for option in [*head, *sorted(rated[len(head) :], key=_order)]:
        row = option.row
        kinds.setdefault((row.spacing_mm, row.patch, row.channels[0]), option)
    return list(kinds.values())[:rows]
