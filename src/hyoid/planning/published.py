"""The published presets: the one candidate that nnU-Net's rules give, whatever it takes."""

from __future__ import annotations

import math
from typing import Any

from ..core.errors import ConfigError
from ..core.lengths import Lengths
from ..nets.cost import feature_map_size
from ..nets.unet import UNetSpec
from . import rules
from .budget import NOMINAL, Timer, load_of, step_seconds
from .candidates import Ground, Option


def published_option(ground: Ground, timer: Timer | None) -> Option:
    """Patch, batch and net by the rules of a preset; timed when there is a timer."""
    settings, spacing, precision = ground.settings, ground.spacing, ground.formats[0]
    shape, batch = _fit(ground, spacing, ground.frame.net_median)
    if settings.patch:
        shape = rules.topology(spacing, settings.patch[-ground.frame.dims :], _levels(ground))
    batch, spec = settings.batch or batch, _spec(ground, shape)
    load = load_of(spec, shape.patch)
    timed = None if timer is None else step_seconds(timer, spec, shape.patch, batch, precision)
    option = Option.of(ground, spacing, shape.patch, batch, spec, load, precision)
    took = NOMINAL.seconds(load, batch) if timed is None else timed
    return option.changed(seconds_per_step=took, measured=timed is not None)


def published_reasons(ground: Ground, patch: tuple[int, ...]) -> list[str]:
    """Where the plan comes from, and at which spacing a patch would see a quarter of an image."""
    told = [f"spacing, patch, levels and batch by the published rules of {ground.settings.preset}"]
    if ground.frame.dims == 3 and not ground.settings.patch:
        coarse = rules.low_resolution(ground.spacing, ground.frame.net_median, patch, lambda *at: _fit(ground, *at))
        if coarse:
            there = Lengths.at(*coarse[0]).text(coarse[0])
            told.append(f"a patch sees little of an image; at {there} it would see a quarter of it")
    return told


def _spec(ground: Ground, shape: rules.Topology, **changes: Any) -> UNetSpec:
    """The net of a topology."""
    settings, levels = ground.settings, _levels(ground)
    if not isinstance(ground.row, UNetSpec):
        raise ConfigError(
            f"Preset {settings.preset!r} plans a U from levels and {ground.net!r} is none; "
            "the preset auto takes any net."
        )
    if settings.channels and shape.levels != levels:
        size = "x".join(map(str, shape.patch))
        raise ConfigError(f"planning.channels has {levels} levels but a patch of {size} allows {shape.levels}.")
    return ground.u_of(shape, channels=settings.channels or rules.features(shape.levels, ground.frame.dims), **changes)


def _fit(ground: Ground, spacing: tuple[float, ...], median: tuple[float, ...]) -> rules.Fitted:
    """The patch and batch that fit into the memory at a spacing."""
    reference = rules.REFERENCES[ground.settings.preset]
    voxels = math.prod(ground.frame.median if ground.frame.flat else median) * ground.fingerprint.num_labelled
    memory = ground.settings.memory_gb or reference.memory_gb

    def values(shape: rules.Topology) -> float:
        return feature_map_size(_spec(ground, shape, deep_supervision=False, answer="finest"), shape.patch)

    return rules.fit_patch(spacing, median, voxels, values, reference, memory, _levels(ground))


def _levels(ground: Ground) -> int:
    return len(ground.settings.channels) if ground.settings.channels else 99
