"""The published presets: the one candidate that nnU-Net's rules give, whatever it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigError
from ..nets.cost import feature_map_size
from ..nets.family.build import build_spec
from ..nets.unet import UNetSpec
from . import rules
from .budget import BACKWARD, NOMINAL, Timer, load_of, step_seconds, training_gb
from .candidates import Option
from .frame import Frame
from .learning import Candidate
from .settings import PlanningSettings, Precision


@dataclass(frozen=True)
class Published:
    """The rules of a preset on a data set.

    Attributes:
        frame: The prepared axes.
        settings: What is fixed already, and the preset.
        num_cases: Cases to train on.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
    """

    frame: Frame
    settings: PlanningSettings
    num_cases: int
    in_channels: int
    out_channels: int

    @property
    def reference(self) -> rules.Reference:
        """What the preset regards as one full card."""
        return rules.REFERENCES[self.settings.preset]

    @property
    def net(self) -> str:
        """Name of the net."""
        return self.settings.net or self.reference.net

    def option(self, precision: Precision, timer: Timer | None) -> Option:
        """Patch, batch and net by the rules; timed when there is a timer."""
        settings, dims = self.settings, self.frame.dims
        shape, batch = self.fit(self.frame.net_spacing, self.frame.net_median)
        if settings.patch:
            shape = rules.topology(self.frame.net_spacing, settings.patch[-dims:], self._levels)
        batch, spec = settings.batch or batch, self.spec(shape)
        load = load_of(spec, shape.patch)
        took = NOMINAL.seconds(load, batch)
        if timer is not None:
            took = step_seconds(timer, spec, shape.patch, batch, precision)
        row = Candidate(
            dims=dims,
            spacing_mm=self.frame.net_spacing,
            patch=shape.patch,
            batch=batch,
            net=self.net,
            channels=spec.channels,
            precision=precision,
            parameters=load.parameters,
            gflops=batch * BACKWARD * load.flops / 1e9,
            values=batch * load.values,
            memory_gb=training_gb(load, batch, precision),
            seconds_per_step=took,
            measured=timer is not None,
        )
        return Option(row, spec, load)

    def reasons(self, patch: tuple[int, ...]) -> list[str]:
        """Where the plan comes from, and at which spacing a patch would see a quarter of an image."""
        told = [f"spacing, patch, levels and batch by the published rules of {self.settings.preset}"]
        if self.frame.dims == 3 and not self.settings.patch:
            coarse = rules.low_resolution(self.frame.net_spacing, self.frame.net_median, patch, self.fit)
            if coarse:
                there = "x".join(f"{s:.3g}" for s in coarse[0])
                told.append(f"a patch sees little of an image; at {there} mm it would see a quarter of it")
        return told

    def spec(self, shape: rules.Topology, **changes: Any) -> UNetSpec:
        """The net of a topology."""
        if not isinstance(build_spec(self.net, self.frame.dims, self.in_channels, self.out_channels), UNetSpec):
            raise ConfigError(
                f"Preset {self.settings.preset!r} plans a U from levels and {self.net!r} is none; "
                "the preset auto takes any net."
            )
        if self.settings.channels and shape.levels != self._levels:
            size = "x".join(map(str, shape.patch))
            raise ConfigError(
                f"planning.channels has {self._levels} levels but a patch of {size} allows {shape.levels}."
            )
        channels = self.settings.channels or rules.features(shape.levels, self.frame.dims)
        changes |= {} if self.settings.norm is None else {"norm": self.settings.norm}
        changes |= {"recompute": True} if self.settings.recompute else {}
        given = {"channels": channels, "kernels": shape.kernels, "strides": shape.strides, **changes}
        made = build_spec(self.net, self.frame.dims, self.in_channels, self.out_channels, **given)
        assert isinstance(made, UNetSpec)
        return made

    def fit(self, spacing: tuple[float, ...], median: tuple[float, ...]) -> rules.Fitted:
        """The patch and batch that fit into the memory at a spacing."""
        voxels = math.prod(self.frame.median if self.frame.flat else median) * self.num_cases
        memory = self.settings.memory_gb or self.reference.memory_gb
        return rules.fit_patch(spacing, median, voxels, self._values, self.reference, memory, self._levels)

    def _values(self, shape: rules.Topology) -> float:
        return feature_map_size(self.spec(shape, deep_supervision=False, answer="finest"), shape.patch)

    @property
    def _levels(self) -> int:
        return len(self.settings.channels) if self.settings.channels else 99
