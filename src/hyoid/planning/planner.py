"""From a fingerprint, a task and a budget to a plan."""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import ConfigError
from ..nets.net import NetSpec
from ..nets.unet import UNetSpec
from ..nets.variants import LEFT_OUT
from ..preparation.pipeline import PreparationSettings
from ..tasks.task import Task
from .budget import (
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
from .extent import LEAST
from .fingerprint import Fingerprint
from .frame import Frame, frame_of, mirror_axes
from .gradients import wrong_gradients
from .intensity import intensity_of, target_of
from .learning import USABLE, Candidate
from .plan import Expected, Plan
from .published import published_option, published_reasons
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
    ground = Ground(
        fingerprint,
        task,
        settings,
        frame,
        seconds,
        steps,
        device,
        memory_gb,
        total_gb(device),
        precisions(device),
        earlier,
    )
    ranked = _auto if settings.preset == "auto" else _published
    plan = _plan(ground, *ranked(ground, calibrate))
    wrong = (
        wrong_gradients(plan.net, plan.patch, plan.batch) if (device, plan.precision) == ("cpu", "bf16-mixed") else []
    )
    if not wrong:
        return plan
    told = f"bfloat16 gives wrong gradients on this processor, as of {wrong[0]}"
    if settings.precision is not None:
        raise ConfigError(f"planning.precision: {told}; leave this setting out, or set 32-true.")
    ground = replace(ground, precisions=("32-true",))
    options, reasons = ranked(ground, calibrate)
    return _plan(ground, options, [f"numbers are float32: {told}", *reasons])


def _published(ground: Ground, calibrate: Timer | None) -> tuple[list[Option], list[str]]:
    """The one option of the published rules."""
    timer = None if ground.seconds is None else calibrate or Stopwatch(ground.device, 5.0)
    option = published_option(ground, timer)
    return [option], published_reasons(ground, option.row.patch)


def _auto(ground: Ground, calibrate: Timer | None) -> tuple[list[Option], list[str]]:
    """The options that are expected to learn most in the time, the best one first."""
    if ground.seconds is not None:
        allowance = min(30.0, max(2.0, CALIBRATION_SHARE * ground.seconds))
        timer = calibrate or Stopwatch(ground.device, allowance / MEASUREMENTS)
        ranked = choose(ground, ground.seconds, timer, allowance)
    else:
        ranked = choose_nominal(ground, ground.steps or PUBLISHED_STEPS)
    return ranked, _why(ranked[0].row, ground)


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


def _plan(ground: Ground, ranked: list[Option], reasons: list[str]) -> Plan:
    """The plan around the first option."""
    fingerprint, settings, frame = ground.fingerprint, ground.settings, ground.frame
    chosen, auto = ranked[0], settings.preset == "auto"
    row, net = chosen.row, chosen.spec
    num_steps = ground.steps or max(1, int(USABLE * (ground.seconds or 0) / row.seconds_per_step))
    if ground.task.heads == 1:
        net = _one_head(net, settings)
    elif settings.deep_supervision is not None:
        if "deep_supervision" not in type(net).model_fields:
            raise ConfigError(
                f"planning.deep_supervision: {settings.net or net.kind} has its own heads and no such choice; "
                "leave this setting out."
            )
        net = net.changed({"deep_supervision": settings.deep_supervision})
    elif auto and ground.earlier is None and settings.net in (None, "unet") and isinstance(net, UNetSpec):
        net = net.changed({"deep_supervision": num_steps >= LONG and len(net.channels) >= 5})
    patch = (1,) * frame.flat + row.patch
    axes, mirror_notes = mirror_axes(fingerprint, ground.task.labels, frame, patch, settings)
    intensity, intensity_notes = intensity_of(fingerprint, settings)
    # Images whose pixel size is unknown stay as they are.
    keeps = not any(case.calibrated for case in fingerprint.cases) and all(s == 1 for s in row.spacing_mm)
    spacing = None if keeps or frame.edge_mm else (None,) * frame.flat + row.spacing_mm
    extent = round(frame.edge_mm / row.spacing_mm[0], 1) if frame.edge_mm else None
    cuts = ground.task.kind == "labels" and (not auto or fingerprint.content_share < 0.95)
    crop = settings.crop or ("content" if cuts else "none")
    notes = _memory_notes(ground, chosen) + _net_notes(frame, row.net) + _extent_notes(ground, extent)
    return Plan(
        preset=settings.preset,
        dims=frame.dims,
        preparation=PreparationSettings(
            orientation=frame.orientation,
            crop=crop,
            intensity=intensity,
            target=target_of(fingerprint),
            spacing_mm=spacing,
            unit=None if spacing is None else "mm" if fingerprint.calibrated else "voxel",
            extent=extent,
        ),
        patch=patch,
        batch=row.batch,
        net_name=row.net,
        net=net,
        precision=row.precision,
        policy=settings.policy or ("light" if auto and num_steps < LONG else "nnunet"),
        mirror_axes=axes,
        foreground_share=_foreground_share(ground) if settings.foreground_share is None else settings.foreground_share,
        batch_dice=frame.dims == 2 if settings.batch_dice is None else settings.batch_dice,
        expected=Expected(
            seconds_per_step=row.seconds_per_step,
            steps=num_steps,
            training_seconds=ground.seconds or START_SECONDS + num_steps * row.seconds_per_step / USABLE,
            memory_gb=row.memory_gb,
            prediction_gb=prediction_gb(_kept(chosen), row.batch),
            parameters=row.parameters,
            measured=row.measured,
        ),
        reasons=(*notes, *reasons, *mirror_notes, *intensity_notes),
        candidates=tuple(option.row for option in ranked) if auto else (),
    )


def _net_notes(frame: Frame, name: str) -> list[str]:
    """What a user who named a net should know of how it is used here."""
    notes = [f"note: {name}: {LEFT_OUT[name]}"] if name in LEFT_OUT else []
    if frame.flat:
        notes.append("the net is 2D: volumes are cut into slices along their coarsest axis, answers are stacked")
    return notes


def _extent_notes(ground: Ground, extent: float | None) -> list[str]:
    """Whether images of unknown pixel size keep their pixels or get a common extent, where it matters, and why."""
    found, fixed = ground.fingerprint.extent, ground.settings.extent is not None
    if extent:
        why = "as planning.extent says" if fixed or found is None else f"since {found}"
        return [f"every image is resampled to {extent:g} pixels, the root of its area, {why}"]
    if found is None or found.edges < LEAST or fixed or ground.settings.spacing_mm:
        return []
    return [f"images differ in size and keep their resolution (planning.extent gives them one extent), since {found}"]


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


def _memory_notes(ground: Ground, chosen: Option) -> list[str]:
    """How memory is saved, and a warning when a step is expected to need more of it than it may use."""
    row, told = chosen.row, list[str]()
    if ground.settings.preset == "auto":
        check_memory(row, ground.total_gb)
    if row.memory_gb > ground.memory_gb:
        mine = ground.settings.memory_gb
        whose = "that --memory (planning.memory_gb) allows" if mine else "that this machine can give"
        told.append(
            f"warning: a training step needs about {row.memory_gb:.2g} GB of memory, more than the "
            f"{ground.memory_gb:.2g} GB {whose}; a smaller planning.patch, batch or net needs less"
        )
    if getattr(chosen.spec, "recompute", False):
        whole = training_gb(_kept(chosen), row.batch, row.precision)
        told.append(
            f"maps are computed again in the backward pass instead of kept: {row.memory_gb:.2g} GB instead of"
            f" {whole:.2g} GB, for a sixth more time"
        )
    return told


def _foreground_share(ground: Ground) -> float:
    """A third, as published; more when objects are so small that random patches hardly meet them."""
    share = ground.fingerprint.object_share
    if ground.settings.preset != "auto" or share >= 0.01:
        return 0.33
    return 0.5 if share >= 0.001 else 0.67
