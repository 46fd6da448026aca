"""From a fingerprint, labels and a budget to a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigError
from ..core.labels import Labels
from ..nets.cost import feature_map_size
from ..nets.family.build import build_spec
from ..nets.unet import UNetSpec
from ..preparation.intensity import IntensitySettings
from ..preparation.pipeline import PreparationSettings
from ..tasks.choose import task_for
from . import rules
from .budget import (
    BACKWARD,
    NOMINAL,
    NOMINAL_SECONDS,
    Stopwatch,
    Timer,
    available_gb,
    load_of,
    precisions,
    prediction_gb,
    training_gb,
)
from .candidates import Ground, Option, choose
from .fingerprint import Fingerprint
from .learning import USABLE, Candidate, Facts, Target
from .plan import Expected, Plan
from .settings import PlanningSettings

DEFAULT_SECONDS = 3600.0
"""Time that is planned for when nobody names one."""

PUBLISHED_STEPS = 250_000
"""Steps of the published recipe: 1000 rounds of 250."""

CALIBRATION_SHARE = 0.03
"""Share of the training time that may be spent on measuring the machine, within 2 to 30 seconds."""


def make_plan(
    fingerprint: Fingerprint,
    labels: Labels,
    settings: PlanningSettings | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    calibrate: Timer | None = None,
    device: str = "cpu",
) -> Plan:
    """Decide everything that is needed to prepare and train.

    With `steps` nothing is measured: the plan depends on the data, the settings and the size of the machine only.

    Args:
        fingerprint: What the data are.
        labels: What is to be learnt.
        settings: What is fixed already.
        seconds: Time for training with its validation; an hour when neither this nor `steps` is given.
        steps: Number of training steps instead of a time.
        calibrate: Times a training step; a `Stopwatch` on the device when None.
        device: Where training will run, such as "cpu" or "cuda:0".

    Raises:
        ConfigError: When both a time and steps are given, or a fixed setting does not fit the data.
    """
    settings = settings or PlanningSettings()
    if seconds is not None and steps is not None:
        raise ConfigError("Planning needs either a time or a number of steps, not both; leave one of them out.")
    if (seconds or 1) <= 0 or (steps or 1) <= 0:
        raise ConfigError(f"A budget is more than nothing; got {seconds if seconds is not None else steps}.")
    frame = _frame(fingerprint, settings)
    out_channels = task_for(labels).channels
    if settings.preset == "auto":
        made = _auto(fingerprint, labels, settings, frame, out_channels, seconds, steps, calibrate, device)
    else:
        made = _published(fingerprint, labels, settings, frame, out_channels, seconds, steps, calibrate, device)
    return made


@dataclass(frozen=True)
class Frame:
    """The prepared axes.

    Attributes:
        orientation: Their letters, coarsest axis first; None in 2D.
        spacing: Target spacing.
        median: Median shape at that spacing.
        flat: 1 when a 2D net works on slices of volumes along axis 0, else 0.
        dims: Dimensions of the net.
    """

    orientation: str | None
    spacing: tuple[float, ...]
    median: tuple[float, ...]
    flat: int
    dims: int


def _frame(fingerprint: Fingerprint, settings: PlanningSettings) -> Frame:
    spacings, shapes = fingerprint.geometry()
    target = rules.target_spacing(spacings, shapes)
    order: tuple[int, ...] = tuple(range(fingerprint.dims))
    orientation = None
    if fingerprint.dims == 3:
        order = rules.coarsest_first(target)
        orientation = "".join(fingerprint.axes[axis] for axis in order)
        if settings.orientation:
            orientation = settings.orientation
            letters = settings.orientation.upper().translate(str.maketrans("LPI", "RAS"))
            if sorted(letters) != sorted(fingerprint.axes):
                raise ConfigError(
                    f"planning.orientation {settings.orientation!r} does not name three axes, as SRA does."
                )
            order = tuple(fingerprint.axes.index(letter) for letter in letters)
    turn = lambda rows: [tuple(row[axis] for axis in order) for row in rows]  # noqa: E731
    spacing = tuple(target[axis] for axis in order)
    if settings.spacing_mm:
        if len(settings.spacing_mm) != fingerprint.dims:
            raise ConfigError(
                f"planning.spacing_mm needs {fingerprint.dims} numbers for these images; got {settings.spacing_mm}."
            )
        spacing = settings.spacing_mm
    median = rules.median_shape(turn(shapes), turn(spacings), spacing)
    dims = settings.dims or (2 if fingerprint.dims == 2 or median[0] == 1 else 3)
    if dims > fingerprint.dims:
        raise ConfigError("planning.dims is 3 but the images are 2D; leave it out or set it to 2.")
    return Frame(orientation, spacing, median, fingerprint.dims - dims, dims)


def _published(
    fingerprint: Fingerprint,
    labels: Labels,
    settings: PlanningSettings,
    frame: Frame,
    out_channels: int,
    seconds: float | None,
    steps: int | None,
    calibrate: Timer | None,
    device: str,
) -> Plan:
    """A plan by the published rules, whatever it takes."""
    reference = rules.REFERENCES[settings.preset]
    spacing, median = frame.spacing[frame.flat :], frame.median[frame.flat :]
    name = settings.net or reference.net

    def spec(shape: rules.Topology, **changes: Any) -> UNetSpec:
        channels = settings.channels or rules.features(shape.levels, frame.dims)
        given = dict(channels=channels, kernels=shape.kernels, strides=shape.strides, **changes)
        made = build_spec(name, frame.dims, len(fingerprint.channels), out_channels, **given)
        if not isinstance(made, UNetSpec):
            raise ConfigError(f"Preset {settings.preset!r} plans a U from levels; net {name!r} is none. Use unet.")
        return made

    def values(shape: rules.Topology) -> float:
        return feature_map_size(spec(shape, deep_supervision=False), shape.patch)

    def fit(target: tuple[float, ...], size: tuple[float, ...]) -> rules.Fitted:
        voxels = math.prod(frame.median) * fingerprint.num_labelled
        if not frame.flat:
            voxels = math.prod(size) * fingerprint.num_labelled
        memory = settings.memory_gb or reference.memory_gb
        return rules.fit_patch(target, size, voxels, values, reference, memory)

    fitted = fit(spacing, median)
    shape, batch = fitted.topology, settings.batch or fitted.batch
    if settings.patch:
        shape = rules.topology(spacing, settings.patch[-frame.dims :])
    reasons = [f"patch, levels and batch by the published rules of {settings.preset}"]
    coarse = rules.low_resolution(spacing, median, shape.patch, fit) if frame.dims == 3 and not settings.patch else None
    if coarse:
        there = "x".join(f"{s:.3g}" for s in coarse[0])
        reasons.append(f"a patch sees little of an image; a first stage at {there} mm would see a quarter of it")
    precision = settings.precision or precisions(device)[0]
    supervised = {} if settings.deep_supervision is None else {"deep_supervision": settings.deep_supervision}
    net = spec(shape, **supervised)
    load = load_of(net, shape.patch)
    if steps is None and seconds is not None:
        took = (calibrate or Stopwatch(device, 5.0))(net, shape.patch, batch, precision)
    else:
        took = NOMINAL.seconds(load, batch)
    row = Candidate(
        dims=frame.dims,
        spacing_mm=spacing,
        patch=shape.patch,
        batch=batch,
        net=name,
        channels=net.channels,
        precision=precision,
        parameters=load.parameters,
        gflops=batch * BACKWARD * load.flops / 1e9,
        values=batch * load.values,
        memory_gb=training_gb(load, batch, precision),
        seconds_per_step=took,
        measured=seconds is not None,
    )
    steps = steps if seconds is not None or steps else PUBLISHED_STEPS
    chosen = Option(row, net, load)
    return _plan(fingerprint, labels, settings, frame, chosen, (), seconds, steps, reasons)


def _auto(
    fingerprint: Fingerprint,
    labels: Labels,
    settings: PlanningSettings,
    frame: Frame,
    out_channels: int,
    seconds: float | None,
    steps: int | None,
    calibrate: Timer | None,
    device: str,
) -> Plan:
    """A plan that is expected to learn most in the time."""
    if steps is None and seconds is None:
        seconds = DEFAULT_SECONDS
    budget = seconds if seconds is not None else (steps or 1) * NOMINAL_SECONDS / USABLE
    ground = Ground(
        spacing=frame.spacing[frame.flat :],
        median=frame.median[frame.flat :],
        num_cases=max(1, fingerprint.num_labelled),
        in_channels=len(fingerprint.channels),
        out_channels=out_channels,
        facts=_facts(fingerprint, frame),
        memory_gb=settings.memory_gb or available_gb(device, free=steps is None),
        precisions=precisions(device),
        settings=settings,
    )
    timer: Timer | None = None
    if seconds is not None:
        allowance = min(30.0, max(2.0, CALIBRATION_SHARE * seconds))
        timer = calibrate or Stopwatch(device, allowance / 7)
    ranked = choose(ground, budget, timer)
    reasons = _why(ranked[0].row, ground)
    rows = tuple(option.row for option in ranked)
    return _plan(fingerprint, labels, settings, frame, ranked[0], rows, seconds, steps, reasons)


def _facts(fingerprint: Fingerprint, frame: Frame) -> Facts:
    """What each structure asks for: three times its width, and much of the image when its place tells what it is."""
    spacing = frame.spacing[frame.flat :]
    whole = [n * s for n, s in zip(frame.median[frame.flat :], spacing, strict=True)]
    least = (160 if frame.dims == 2 else 48) * min(spacing)
    targets = []
    for structure in fingerprint.structures:
        if not structure.num_cases:
            continue
        placed = 0.75 if _placed(structure) else 0.0
        needed = tuple(min(side, max(least, 3 * structure.width_mm, placed * side)) for side in whole)
        targets.append(Target(structure.fine_mm or structure.width_mm or min(spacing), needed))
    return Facts(spacing, tuple(targets))


def _placed(structure: Any) -> bool:
    """Whether there are one or two compact objects, whose place in the image tells what they are."""
    return structure.num_objects <= 2 and structure.extent_mm <= 6 * structure.width_mm


def _why(best: Candidate, ground: Ground) -> list[str]:
    factor = min(best.spacing_mm) / min(ground.spacing)
    lines = [
        f"among candidates in the time, {best.steps} steps of width {best.channels[0]} are expected to learn most "
        f"({best.learning:.2f} of 1)"
    ]
    if factor > 1.01:
        lines.append(
            f"images are made {factor:.3g} times coarser: objects are large, and a patch then shows them whole"
        )
    if best.factors.get("view", 1) < 0.8:
        lines.append("a patch shows less than the objects need to be recognised; more time or memory would help")
    if best.factors.get("practice", 1) < 0.7:
        lines.append("the time is short for this task: expect better results from more of it")
    return lines


def _plan(
    fingerprint: Fingerprint,
    labels: Labels,
    settings: PlanningSettings,
    frame: Frame,
    chosen: Option,
    candidates: tuple[Candidate, ...],
    seconds: float | None,
    steps: int | None,
    reasons: list[str],
) -> Plan:
    row, net = chosen.row, chosen.spec
    num_steps = steps or int(USABLE * (seconds or DEFAULT_SECONDS) / row.seconds_per_step)
    auto = settings.preset == "auto"
    supervised = settings.deep_supervision
    if auto and supervised is None:
        supervised = num_steps >= 4000 and len(net.channels) >= 5
    if supervised is not None:
        net = net.model_copy(update={"deep_supervision": supervised})
    axes, note = mirror_axes(fingerprint, labels, frame, row.patch, auto)
    policy = settings.policy or ("light" if auto and num_steps < 5000 else "nnunet")
    share = settings.foreground_share
    if share is None:
        share = (
            0.33 if not auto or fingerprint.object_share >= 0.01 else 0.5 if fingerprint.object_share >= 0.001 else 0.67
        )
    intensity, intensity_notes = _intensity(fingerprint, settings)
    crop = settings.crop or ("content" if not auto or fingerprint.content_share < 0.95 else "none")
    spacing = (*((None,) if frame.flat else ()), *row.spacing_mm)
    uncalibrated = not fingerprint.calibrated and all(s == 1 for s in row.spacing_mm)
    target = None if uncalibrated else spacing
    return Plan(
        preset=settings.preset,
        dims=2 if frame.dims == 2 else 3,
        spacing_mm=target,
        preparation=PreparationSettings(
            orientation=frame.orientation, crop=crop, intensity=intensity, spacing_mm=target
        ),
        patch=(1,) * frame.flat + tuple(row.patch),
        batch=row.batch,
        net_name=row.net,
        net=net,
        precision=row.precision,
        policy=policy,
        mirror_axes=settings.mirror_axes if settings.mirror_axes is not None else axes,
        foreground_share=share,
        batch_dice=settings.batch_dice if settings.batch_dice is not None else frame.dims == 2,
        steps=steps,
        seconds=seconds,
        expected=Expected(
            seconds_per_step=row.seconds_per_step,
            steps=num_steps,
            training_seconds=seconds or num_steps * row.seconds_per_step / USABLE,
            memory_gb=row.memory_gb,
            prediction_gb=prediction_gb(chosen.load, row.batch),
            parameters=row.parameters,
            measured=row.measured,
        ),
        reasons=(*reasons, *note, *intensity_notes),
        candidates=candidates,
    )


def mirror_axes(
    fingerprint: Fingerprint, labels: Labels, frame: Frame, patch: tuple[int, ...], by_place: bool
) -> tuple[tuple[int, ...], list[str]]:
    """The axes that may be mirrored, and why not all.

    Args:
        by_place: Whether structures known by their place forbid mirroring up-down and front-back.
    """
    dims = fingerprint.dims
    full = (1,) * frame.flat + tuple(patch)
    axes = [axis for axis in range(dims) if full[axis] > 1]
    across = dims - 1
    if frame.orientation:
        across = next(axis for axis, letter in enumerate(frame.orientation) if letter.upper() in "LR")
    notes = []
    known = [s for s in fingerprint.structures if s.num_cases]
    if by_place and known and all(_placed(s) for s in known):
        axes = [axis for axis in axes if axis == across]
        notes.append("structures are known by their place, so mirroring is only across left and right")
    if labels.pairs():
        one, other = labels.pairs()[0]
        axes = [axis for axis in axes if axis != across]
        notes.append(
            f"{labels.names[one]} and {labels.names[other]} are a left and right pair, so these sides are not mirrored"
        )
    return tuple(axes), notes


def _intensity(fingerprint: Fingerprint, settings: PlanningSettings) -> tuple[tuple[IntensitySettings, ...], list[str]]:
    """The intensity scheme of each channel."""
    names = settings.intensity or ()
    if len(names) == 1:
        names = names * len(fingerprint.channels)
    if names and len(names) != len(fingerprint.channels):
        raise ConfigError(
            f"planning.intensity names {len(names)} schemes but images have {len(fingerprint.channels)} channels."
        )
    found, notes = [], []
    for index, channel in enumerate(fingerprint.channels):
        default = "ct" if channel.modality == "ct" else "zscore"
        name = names[index] if names else default
        options: dict[str, Any] = {}
        if name == "ct":
            options = {"lower": channel.low, "upper": channel.high, "mean": channel.mean, "std": max(channel.std, 1e-8)}
            notes.append(f"{channel.name} looks like CT: clipped to {channel.low:.0f} to {channel.high:.0f}")
        if name == "zscore" and fingerprint.content_share < 0.75:
            options = {"content_only": True}
        found.append(IntensitySettings(scheme=name, options=options))
    return tuple(found), notes
