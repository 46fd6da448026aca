"""Candidates for the preset `auto`, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..core.progress import stage
from ..nets.family.build import build_spec
from ..nets.unet import UNetSpec
from .budget import BACKWARD, NOMINAL, Load, Speed, Timer, fitted_speed, load_of, training_gb
from .learning import Candidate, Facts, affordable_steps, expected_learning, learning_factors
from .rules import Topology, topology
from .settings import PlanningSettings, Precision

WIDTHS = {2: (8, 12, 16, 24, 32, 48, 64), 3: (8, 12, 16, 24, 32)}
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
COARSER = (1.0, 1.5, 2.0, 3.0, 4.0)
EDGES = {2: (96, 128, 192, 256, 320, 384, 512, 640, 768, 1024), 3: (32, 48, 64, 80, 96, 112, 128, 160, 192)}
LEVELS = {2: 6, 3: 5}
SMALLEST_IMAGE = {2: 96, 3: 24}
"""Voxels along the finest axes below which images are not made coarser."""

FINALISTS = 3
PROBES = 3


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
        most = 320 if dims == 3 else 512
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
        assert isinstance(spec, UNetSpec)
        return spec


@dataclass(frozen=True)
class Option:
    """A candidate with the net behind it."""

    row: Candidate
    spec: UNetSpec
    load: Load


def options(ground: Ground, precision: Precision) -> list[Option]:
    """Every combination of spacing, patch, width and batch that fits into the memory."""
    found = []
    for spacing, shape in _shapes(ground):
        for width in _widths(ground):
            spec = ground.spec(shape, width)
            load = load_of(spec, shape.patch)
            for batch in _batches(ground):
                memory = training_gb(load, batch, precision)
                if memory > ground.memory_gb and found:
                    break
                row = Candidate(
                    dims=len(spacing),
                    spacing_mm=spacing,
                    patch=shape.patch,
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


def _shapes(ground: Ground) -> Iterator[tuple[tuple[float, ...], Topology]]:
    """Spacings and, for each, the patches from small to the whole median image."""
    dims, fixed, seen = len(ground.spacing), ground.settings, set()
    finest = min(ground.spacing)
    for factor in (1.0,) if fixed.spacing_mm else COARSER:
        spacing = tuple(max(s, factor * finest) for s in ground.spacing)
        median = tuple(n * old / new for n, old, new in zip(ground.median, ground.spacing, spacing, strict=True))
        if factor > 1 and min(sorted(median)[-2:]) < SMALLEST_IMAGE[dims]:
            break
        levels = len(fixed.channels) if fixed.channels else LEVELS[dims]
        wanted = [tuple(fixed.patch[-dims:])] if fixed.patch else _patches(spacing, median)
        for patch in wanted:
            shape = topology(spacing, patch, levels)
            if shape.levels < 2 or (spacing, shape.patch) in seen:
                continue
            seen.add((spacing, shape.patch))
            yield spacing, shape


def _patches(spacing: Sequence[float], median: Sequence[float]) -> Iterator[tuple[float, ...]]:
    finest = min(spacing)
    for edge in (*EDGES[len(spacing)], math.inf):
        yield tuple(float(math.ceil(min(edge * finest / s, n))) for s, n in zip(spacing, median, strict=True))


def _widths(ground: Ground) -> tuple[int, ...]:
    fixed = ground.settings.channels
    return (fixed[0],) if fixed else WIDTHS[len(ground.spacing)]


def _batches(ground: Ground) -> list[int]:
    fixed = ground.settings.batch
    return [fixed] if fixed else [batch for batch in BATCHES if batch <= max(2, ground.num_cases)]


def choose(ground: Ground, seconds: float, timer: Timer | None) -> list[Option]:
    """The best option first, then the best of other kinds it was chosen from.

    With a timer, a few small steps give the speed of this machine, all options are rated by it, and the best of
    them are then measured themselves. Without one, the nominal speed decides and nothing is measured.
    """
    if timer is None:
        fixed = ground.settings.precision or ground.precisions[0]
        return _shown(_rated(options(ground, fixed), NOMINAL, ground.facts, seconds))
    with stage("measuring the speed of this machine", PROBES + FINALISTS) as progress:
        precision, speed = _calibrate(ground, timer, progress.advance)
        rated = _rated(options(ground, precision), speed, ground.facts, seconds)
        finalists = _distinct(rated, lambda row: (row.spacing_mm, row.channels[0]))[:FINALISTS]
        measured = []
        for option in finalists:
            took = timer(option.spec, option.row.patch, option.row.batch, precision)
            measured.append(_rate(option, took, ground.facts, seconds, True))
            progress.advance(1)
    ratio = sorted(m.row.seconds_per_step / f.row.seconds_per_step for m, f in zip(measured, finalists, strict=True))
    rows = {(o.row.spacing_mm, o.row.patch, o.row.channels, o.row.batch) for o in finalists}
    slower = min(ratio[len(ratio) // 2], 1e6)
    others = [
        _rate(o, o.row.seconds_per_step * slower, ground.facts, seconds, False)
        for o in rated
        if (o.row.spacing_mm, o.row.patch, o.row.channels, o.row.batch) not in rows
    ]
    best = max(measured, key=lambda option: option.row.learning)
    return _shown([best, *sorted([*(m for m in measured if m is not best), *others], key=_order)])


def _calibrate(ground: Ground, timer: Timer, advance: object) -> tuple[Precision, Speed]:
    """The fastest number format and the speed in it, from steps of well under a second."""
    fixed = ground.settings.precision
    formats = (fixed,) if fixed else ground.precisions
    probes = _probes(options(ground, formats[0]))
    timed: dict[Precision, float] = {
        name: timer(probes[0].spec, probes[0].row.patch, probes[0].row.batch, name) for name in formats
    }
    precision = min(timed, key=lambda name: timed[name])
    taken = [timed[precision]]
    taken += [timer(probe.spec, probe.row.patch, probe.row.batch, precision) for probe in probes[1:]]
    return precision, fitted_speed([(probe.load, probe.row.batch) for probe in probes], taken)


def _probes(found: Sequence[Option], gflops: float = 30.0) -> list[Option]:
    """A narrow, a middle and a wide net whose steps take about so many operations."""
    widths = sorted({option.row.channels[0] for option in found})
    picked = [widths[len(widths) // 2], widths[0], widths[-1]]
    nearest = lambda o: abs(math.log(o.row.gflops / gflops))  # noqa: E731
    return [min((o for o in found if o.row.channels[0] == width), key=nearest) for width in dict.fromkeys(picked)]


def _rated(found: Sequence[Option], speed: Speed, facts: Facts, seconds: float) -> list[Option]:
    rated = [_rate(o, speed.seconds(o.load, o.row.batch), facts, seconds, False) for o in found]
    return sorted(rated, key=_order)


def _rate(option: Option, seconds_per_step: float, facts: Facts, seconds: float, measured: bool) -> Option:
    row = option.row.model_copy(update={"seconds_per_step": seconds_per_step, "measured": measured})
    update = {
        "steps": int(affordable_steps(row, seconds)),
        "learning": expected_learning(row, facts, seconds),
        "factors": learning_factors(row, facts, seconds),
    }
    return replace(option, row=row.model_copy(update=update))


def _order(option: Option) -> tuple[float, float]:
    return (-option.row.learning, option.row.gflops)


def _distinct(rated: Sequence[Option], kind: object) -> list[Option]:
    seen, kept = set(), []
    for option in rated:
        key = kind(option.row)  # type: ignore[operator]
        if key not in seen:
            seen.add(key)
            kept.append(option)
    return kept


def _shown(rated: Sequence[Option], rows: int = 10) -> list[Option]:
    """The best one and the best of other widths, spacings and patches."""
    return _distinct(rated, lambda row: (row.spacing_mm, row.channels[0], row.patch))[:rows]
