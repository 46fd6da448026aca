"""From a fingerprint, a task and a budget to a plan."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import ConfigError
from ..nets.net import NetSpec
from ..nets.unet import UNetSpec
from ..preparation.pipeline import PreparationSettings
from ..tasks.task import Task
from .budget import (
    NOMINAL_SECONDS,
    Load,
    Stopwatch,
    Timer,
    available_gb,
    load_of,
    precisions,
    prediction_gb,
    resolved_device,
    total_gb,
    training_gb,
)
from .candidates import Ground, Option, check_memory
from .check import check_settings
from .choice import MEASUREMENTS, choose, choose_nominal
from .fingerprint import Fingerprint
from .frame import Frame, frame_of, known_by_place, mirror_axes
from .intensity import intensity_of, target_of
from .learning import USABLE, Candidate, Facts, Target
from .plan import Expected, Plan
from .published import Published
from .settings import PlanningSettings

DEFAULT_SECONDS = 3600.0
"""Time that is planned for when nobody names one."""

PUBLISHED_STEPS = 250_000
"""Steps of the published recipe: 1000 rounds of 250."""

CALIBRATION_SHARE = 0.03
"""Share of the training time that may be spent on measuring the machine, within 2 and 30 seconds."""

START_SECONDS = 4.0
"""Time until the first step: libraries are loaded and loops compiled."""

LONG = 5000
"""Steps from which strong augmentation and deep supervision pay."""


def make_plan(
    fingerprint: Fingerprint,
    task: Task,
    settings: PlanningSettings | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    calibrate: Timer | None = None,
    device: str = "auto",
    earlier: Plan | None = None,
) -> Plan:
    """Decide everything that is needed to prepare and train.

    With `steps` nothing is measured: the plan depends on the data, the settings and the kind of machine only.

    Args:
        fingerprint: What the data are.
        task: What is to be learnt.
        settings: What is fixed already.
        seconds: Time for training with its validation; an hour when neither this nor `steps` is given.
        steps: Number of training steps instead of a time.
        calibrate: Times a training step; a `Stopwatch` on the device when None.
        device: Where training will run: "auto", "cpu", "cuda:0" and the like.
        earlier: The plan of a run that this one starts from; `auto` takes its net, for the channels of this one,
            unless the settings name a net.

    Raises:
        ConfigError: When both a time and steps are given, or a fixed setting does not fit the data.
    """
    settings = settings or PlanningSettings()
    check_settings(settings)
    if seconds is not None and steps is not None:
        raise ConfigError("Planning needs either a time or a number of steps, not both; leave one of them out.")
    budget = seconds if seconds is not None else steps if steps is not None else DEFAULT_SECONDS
    if budget <= 0:
        raise ConfigError(f"A budget of time or steps is more than nothing; got {budget}.")
    if seconds is None and steps is None:
        seconds = DEFAULT_SECONDS if settings.preset == "auto" else None
        steps = None if settings.preset == "auto" else PUBLISHED_STEPS
    if earlier is not None and (settings.preset != "auto" or settings.net or settings.channels):
        earlier = None
    if earlier is not None:
        settings = settings.changed({"net": earlier.net_name, "dims": earlier.dims})
    frame = frame_of(fingerprint, settings)
    device = resolved_device(device)
    # Asked before anything is timed, since timing takes memory of its own.
    memory_gb = settings.memory_gb or available_gb(device, free=seconds is not None)
    asked = _Asked(fingerprint, task, settings, frame, seconds, steps, calibrate, device, memory_gb, earlier)
    return _plan(asked, *(_auto(asked) if settings.preset == "auto" else _published(asked)))


@dataclass(frozen=True)
class _Asked:
    """What a plan has to answer: either `seconds` or `steps` is given."""

    fingerprint: Fingerprint
    task: Task
    settings: PlanningSettings
    frame: Frame
    seconds: float | None
    steps: int | None
    calibrate: Timer | None
    device: str
    memory_gb: float
    earlier: Plan | None

    @property
    def given(self) -> NetSpec | None:
        """The net of an earlier run, for the channels of this one."""
        changes = {"in_channels": self.in_channels, "out_channels": self.out_channels}
        return None if self.earlier is None else self.earlier.net.changed(changes)

    @property
    def in_channels(self) -> int:
        return len(self.fingerprint.channels)

    @property
    def out_channels(self) -> int:
        return self.task.channels


def _published(asked: _Asked) -> tuple[list[Option], list[str]]:
    """The one option of the published rules."""
    preset = Published(
        asked.frame, asked.settings, asked.fingerprint.num_labelled, asked.in_channels, asked.out_channels
    )
    timer = None if asked.seconds is None else asked.calibrate or Stopwatch(asked.device, 5.0)
    option = preset.option(asked.settings.precision or precisions(asked.device)[0], timer)
    return [option], preset.reasons(option.row.patch)


def _auto(asked: _Asked) -> tuple[list[Option], list[str]]:
    """The options that are expected to learn most in the time, the best one first."""
    settings, frame = asked.settings, asked.frame
    ground = Ground(
        spacing=frame.net_spacing,
        median=frame.net_median,
        num_cases=max(1, asked.fingerprint.num_labelled),
        in_channels=asked.in_channels,
        out_channels=asked.out_channels,
        facts=learning_facts(asked.fingerprint, frame),
        memory_gb=asked.memory_gb,
        total_gb=total_gb(asked.device),
        precisions=precisions(asked.device),
        settings=settings,
        given=asked.given,
    )
    if asked.seconds is not None:
        allowance = min(30.0, max(2.0, CALIBRATION_SHARE * asked.seconds))
        timer = asked.calibrate or Stopwatch(asked.device, allowance / MEASUREMENTS)
        ranked = choose(ground, asked.seconds, timer, allowance)
    else:
        steps = asked.steps or PUBLISHED_STEPS
        ranked = choose_nominal(ground, steps * NOMINAL_SECONDS / USABLE, steps)
    return ranked, _why(ranked[0].row, ground)


def learning_facts(fingerprint: Fingerprint, frame: Frame) -> Facts:
    """What each structure asks for: three times its width, and much of the image when its place tells what it is."""
    spacing = frame.net_spacing
    whole = [n * s for n, s in zip(frame.net_median, spacing, strict=True)]
    least = (160 if frame.dims == 2 else 48) * min(spacing)
    targets = []
    for structure in fingerprint.structures:
        if structure.num_cases:
            share = 0.75 if known_by_place(structure) else 0.0
            needed = tuple(min(side, max(least, 3 * structure.width_mm, share * side)) for side in whole)
            targets.append(Target(structure.fine_mm or min(spacing), needed))
    return Facts(spacing, tuple(targets))


def _why(best: Candidate, ground: Ground) -> list[str]:
    factor = min(best.spacing_mm) / min(ground.spacing)
    what = "the net" if ground.whole is not None else f"a net of width {best.channels[0]}"
    lines = [f"{what} at this patch and batch is expected to learn most in the budget"]
    if factor > 1.01:
        lines.append(
            f"images are made {factor:.3g} times coarser: a patch then shows more, and objects stay thick enough"
        )
    if best.factors["view"] < 0.8:
        lines.append("a patch shows less than the objects need to be recognised; more time or memory would help")
    if best.factors["practice"] < 0.7:
        lines.append("the budget is short for this task; expect better results from more of it")
    return lines


def _plan(asked: _Asked, ranked: list[Option], reasons: list[str]) -> Plan:
    """The plan around the first option."""
    fingerprint, settings, frame = asked.fingerprint, asked.settings, asked.frame
    chosen, auto = ranked[0], settings.preset == "auto"
    row, net = chosen.row, chosen.spec
    num_steps = asked.steps or max(1, int(USABLE * (asked.seconds or 0) / row.seconds_per_step))
    if asked.task.heads == 1:
        net = _one_head(net, settings)
    elif settings.deep_supervision is not None:
        net = net.changed({"deep_supervision": settings.deep_supervision})
    elif auto and asked.earlier is None and settings.net in (None, "unet") and isinstance(net, UNetSpec):
        net = net.changed({"deep_supervision": num_steps >= LONG and len(net.channels) >= 5})
    patch = (1,) * frame.flat + row.patch
    axes, mirror_notes = mirror_axes(fingerprint, asked.task.labels, frame, patch, auto)
    intensity, intensity_notes = intensity_of(fingerprint, settings)
    spacing = None if _keeps_pixels(fingerprint, row) else (None,) * frame.flat + row.spacing_mm
    crop = settings.crop or ("content" if not auto or fingerprint.content_share < 0.95 else "none")
    return Plan(
        preset=settings.preset,
        dims=frame.dims,
        preparation=PreparationSettings(
            orientation=frame.orientation,
            crop=crop,
            intensity=intensity,
            target=target_of(fingerprint),
            spacing_mm=spacing,
        ),
        patch=patch,
        batch=row.batch,
        net_name=row.net,
        net=net,
        precision=row.precision,
        policy=settings.policy or ("light" if auto and num_steps < LONG else "nnunet"),
        mirror_axes=axes if settings.mirror_axes is None else settings.mirror_axes,
        foreground_share=_foreground_share(asked) if settings.foreground_share is None else settings.foreground_share,
        batch_dice=frame.dims == 2 if settings.batch_dice is None else settings.batch_dice,
        expected=Expected(
            seconds_per_step=row.seconds_per_step,
            steps=num_steps,
            training_seconds=asked.seconds or START_SECONDS + num_steps * row.seconds_per_step / USABLE,
            memory_gb=row.memory_gb,
            prediction_gb=prediction_gb(_kept(chosen), row.batch),
            parameters=row.parameters,
            measured=row.measured,
        ),
        reasons=(*_memory_notes(asked, chosen), *_net_notes(frame, row.net), *reasons, *mirror_notes, *intensity_notes),
        candidates=tuple(option.row for option in ranked) if auto else (),
    )


OTHER_PURPOSE = {
    "w_net": "was made to learn without annotation; here its first U learns from annotation as any other net does",
    "diffusion_unet": "was made to take noise away in many steps; here it answers in one step, at time 0",
    "probabilistic_unet": "was made to draw many plausible answers; here it learns one",
}
"""What nets lose that are trained from annotation alone."""


def _net_notes(frame: Frame, name: str) -> list[str]:
    """What a user who named a net should know of how it is used here."""
    notes = [f"note: {name} {OTHER_PURPOSE[name]}"] if name in OTHER_PURPOSE else []
    if frame.flat:
        notes.append("the net is 2D: volumes are cut into slices along their coarsest axis, answers are stacked")
    return notes


def _one_head(net: NetSpec, settings: PlanningSettings) -> NetSpec:
    """The net without the coarser answers that the task does not teach."""
    if settings.deep_supervision:
        raise ConfigError(
            "planning.deep_supervision: the task teaches the finest answer of a net only; leave this setting out."
        )
    return net.changed({"deep_supervision": False, "answer": "finest"}) if isinstance(net, UNetSpec) else net


def _kept(chosen: Option) -> Load:
    """What one patch costs without computing anything again, as in prediction."""
    if not getattr(chosen.spec, "recompute", False):
        return chosen.load
    return load_of(chosen.spec.changed({"recompute": False}), chosen.row.patch)


def _memory_notes(asked: _Asked, chosen: Option) -> list[str]:
    """How memory is saved, and a warning when a step is expected to need more of it than it may use."""
    row, told = chosen.row, _memory_warning(asked, chosen.row)
    if getattr(chosen.spec, "recompute", False):
        whole = training_gb(_kept(chosen), row.batch, row.precision)
        told.append(
            f"maps are computed again in the backward pass instead of kept: {row.memory_gb:.2g} GB instead of"
            f" {whole:.2g} GB, for a sixth more time"
        )
    return told


def _memory_warning(asked: _Asked, row: Candidate) -> list[str]:
    if asked.settings.preset == "auto":
        check_memory(row, total_gb(asked.device))
    if row.memory_gb <= asked.memory_gb:
        return []
    whose = "that --memory (planning.memory_gb) allows" if asked.settings.memory_gb else "that this machine can give"
    return [
        f"warning: a training step needs about {row.memory_gb:.2g} GB of memory, more than the "
        f"{asked.memory_gb:.2g} GB {whose}; a smaller planning.patch, batch or net needs less"
    ]


def _keeps_pixels(fingerprint: Fingerprint, row: Candidate) -> bool:
    """Whether images whose pixel size is unknown stay as they are."""
    return not any(case.calibrated for case in fingerprint.cases) and all(s == 1 for s in row.spacing_mm)


def _foreground_share(asked: _Asked) -> float:
    """A third, as published; more when objects are so small that random patches hardly meet them."""
    share = asked.fingerprint.object_share
    if asked.settings.preset != "auto" or share >= 0.01:
        return 0.33
    return 0.5 if share >= 0.001 else 0.67
