"""What the preset `auto` chooses from: spacings, patches, widths and batches that fit into the memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..core.errors import ConfigError
from ..nets.family.build import build_spec
from ..nets.net import NetSpec
from ..nets.unet import UNetSpec
from ..tasks.task import Task
from .budget import BACKWARD, Load, fitting_patch, is_padded, load_of, training_gb
from .fingerprint import Fingerprint
from .frame import Frame, known_by_place
from .learning import Candidate, Facts, Target
from .plan import Plan
from .rules import REFERENCES, Topology, topology
from .settings import PlanningSettings, Precision

WIDTHS = {2: (8, 12, 16, 24, 32, 48, 64), 3: (8, 12, 16, 24, 32)}
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
COARSER = (1.0, 1.5, 2.0, 3.0, 4.0)
EDGES = {2: (96, 128, 192, 256, 320, 384, 512, 640, 768, 1024), 3: (32, 48, 64, 80, 96, 112, 128, 160, 192)}
LEVELS = {2: 6, 3: 5}

SMALLEST_IMAGE = {2: 96, 3: 24}
"""Voxels along the two largest axes below which images are not made coarser."""


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


@dataclass(frozen=True)
class Ground:
    """What a plan has to answer, and what its candidates stand on; either `seconds` or `steps` is given.

    Attributes:
        memory_gb: Memory training may use.
        total_gb: Memory of the whole machine.
        precisions: Number formats of the device, the favoured one first.
        earlier: The plan of a run whose net is taken as it is.
    """

    fingerprint: Fingerprint
    task: Task
    settings: PlanningSettings
    frame: Frame
    seconds: float | None
    steps: int | None
    device: str
    memory_gb: float
    total_gb: float
    precisions: tuple[Precision, ...]
    earlier: Plan | None

    @property
    def spacing(self) -> tuple[float, ...]:
        """Finest sensible spacing along each prepared axis (of the slice for a 2D net on volumes)."""
        return self.frame.net_spacing

    @cached_property
    def facts(self) -> Facts:
        """What the rule knows of the data."""
        return learning_facts(self.fingerprint, self.frame)

    @property
    def net(self) -> str:
        """Name of the net."""
        reference = REFERENCES.get(self.settings.preset)
        return self.settings.net or (reference.net if reference else "unet")

    @property
    def formats(self) -> tuple[Precision, ...]:
        """Number formats to choose from, the favoured one first."""
        return (self.settings.precision,) if self.settings.precision else self.precisions

    @property
    def _ends(self) -> dict[str, int]:
        return {"in_channels": len(self.fingerprint.channels), "out_channels": self.task.channels}

    @cached_property
    def whole(self) -> NetSpec | None:
        """The net that only patches are sought for: that of an earlier run, or one that is no U."""
        if self.earlier is not None:
            return self.earlier.net.changed(self._ends)
        if isinstance(self.row, UNetSpec):
            return None
        fixed = {"channels": self.settings.channels, "norm": self.settings.norm}
        return self._built(**{name: value for name, value in fixed.items() if value is not None})

    @cached_property
    def row(self) -> NetSpec:
        """The net as the shelf has it."""
        return self._built()

    @property
    def published(self) -> UNetSpec:
        """The U as its row has it."""
        assert isinstance(self.row, UNetSpec)  # others are taken whole
        return self.row

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Widths that are not searched: those of the settings, or else of a row that has its own."""
        own = self.published.channels if "channels" in self.published.model_fields_set else None
        return self.settings.channels or own

    def spec(self, shape: Topology, width: int) -> UNetSpec:
        """The net of a candidate."""
        # The published nets stop at 320 of 32 in 3D and 512 of 32 in 2D; narrower ones keep that shape.
        most = width * (10 if len(self.spacing) == 3 else 16)
        searched = tuple(min(width * 2**level, most) for level in range(shape.levels))
        widest = max(self.published.kernels[0])
        return self.u_of(
            shape,
            channels=self.channels[: shape.levels] if self.channels else searched,
            kernels=tuple(tuple(widest if size > 1 else 1 for size in kernel) for kernel in shape.kernels),
            **({} if self.published.deep_supervision else {"deep_supervision": False}),
        )

    def u_of(self, shape: Topology, **changes: Any) -> UNetSpec:
        """The U of a topology, with what the settings fix."""
        fixed: dict[str, Any] = {} if self.settings.norm is None else {"norm": self.settings.norm}
        fixed |= {"recompute": True} if self.settings.recompute else {}
        made = self._built(**{"kernels": shape.kernels, "strides": shape.strides, **fixed, **changes})
        assert isinstance(made, UNetSpec)
        return made

    def _built(self, **changes: Any) -> NetSpec:
        return build_spec(self.net, self.frame.dims, **self._ends, **changes)


@dataclass(frozen=True)
class Option:
    """A candidate with the net behind it."""

    row: Candidate
    spec: NetSpec
    load: Load

    @classmethod
    def of(
        cls,
        ground: Ground,
        spacing: tuple[float, ...],
        patch: tuple[int, ...],
        batch: int,
        spec: NetSpec,
        load: Load,
        precision: Precision,
    ) -> Option:
        """The option of these numbers, not timed yet."""
        row = Candidate(
            dims=ground.frame.dims,
            spacing_mm=spacing,
            patch=patch,
            batch=batch,
            net=ground.net,
            channels=getattr(spec, "channels", ()),
            precision=precision,
            parameters=load.parameters,
            gflops=batch * BACKWARD * load.flops / 1e9,
            values=batch * load.values,
            memory_gb=training_gb(load, batch, precision),
        )
        return cls(row, spec, load)

    def changed(self, **changes: Any) -> Option:
        """The option with other values in its row."""
        return replace(self, row=self.row.model_copy(update=changes))


def options(ground: Ground, precision: Precision) -> list[Option]:
    """Every combination of spacing, patch, width and batch that fits into the memory; where none does, the smallest."""
    found: list[Option] = []
    smallest: Option | None = None
    fixed, most = ground.settings.batch, max(2, ground.fingerprint.num_labelled)
    batches = [fixed] if fixed else [batch for batch in BATCHES if batch <= most]
    for spacing, patch, spec in _designs(ground):
        load = load_of(spec, patch)
        for batch in batches:
            keeps = ground.settings.recompute is None and isinstance(spec, UNetSpec) and not spec.recompute
            if keeps and training_gb(load, batch, precision) > ground.memory_gb:
                spec = spec.changed({"recompute": True})
                load = load_of(spec, patch)
            option = Option.of(ground, spacing, patch, batch, spec, load, precision)
            if option.row.memory_gb > ground.memory_gb:
                if smallest is None or option.row.memory_gb < smallest.row.memory_gb:
                    smallest = option
                break
            found.append(option)
    return found or ([] if smallest is None else [smallest])


def check_memory(row: Candidate, total_gb: float) -> None:
    """Refuse what the whole machine does not hold."""
    if row.memory_gb > total_gb:
        patch = "x".join(map(str, row.patch))
        raise ConfigError(
            f"A training step needs about {row.memory_gb:.2g} GB of memory, and there are {total_gb:.2g} GB in all; a "
            f"smaller planning.patch (now {patch}), planning.batch (now {row.batch}) or net needs less."
        )


def _designs(ground: Ground) -> Iterator[tuple[tuple[float, ...], tuple[int, ...], NetSpec]]:
    """Every spacing, patch and net that goes with it."""
    if ground.whole is not None:
        seen = set()
        for spacing, wanted in _views(ground):
            patch = fitting_patch(ground.whole, wanted)
            if (spacing, patch) not in seen:
                seen.add((spacing, patch))
                yield spacing, patch, ground.whole
        return
    for spacing, wanted, shape in _shapes(ground):
        for width in ground.channels[:1] if ground.channels else WIDTHS[ground.frame.dims]:
            spec = ground.spec(shape, width)
            yield spacing, shape.patch if is_padded(spec) else fitting_patch(spec, wanted), spec


def _views(ground: Ground) -> Iterator[tuple[tuple[float, ...], tuple[int, ...]]]:
    """Spacings and, for each, the patches from small to the whole median image."""
    dims, fixed, finest = len(ground.spacing), ground.settings, min(ground.spacing)
    for factor in (1.0,) if fixed.spacing_mm or fixed.extent else COARSER:
        spacing = tuple(max(s, factor * finest) for s in ground.spacing)
        median = tuple(
            n * old / new for n, old, new in zip(ground.frame.net_median, ground.spacing, spacing, strict=True)
        )
        if factor > 1 and min(sorted(median)[-2:]) < SMALLEST_IMAGE[dims]:
            break
        for patch in [fixed.patch[-dims:]] if fixed.patch else _patches(spacing, median):
            yield spacing, patch


def _shapes(ground: Ground) -> list[tuple[tuple[float, ...], tuple[int, ...], Topology]]:
    """Spacings and patches with their topologies.

    A net with widths of its own keeps all its levels, or as many as the images allow.
    """
    dims, fixed, seen, found = len(ground.spacing), ground.settings, set(), []
    levels = len(fixed.channels) if fixed.channels else min(LEVELS[dims], len(ground.channels or range(99)))
    for spacing, patch in _views(ground):
        shape = topology(spacing, patch, levels)
        enough = shape.levels == levels if fixed.channels else shape.levels >= 2
        if enough and (spacing, shape.patch) not in seen:
            seen.add((spacing, shape.patch))
            found.append((spacing, patch, shape))
    if not found:
        what = "planning.patch" if fixed.patch else "the median image"
        size = "x".join(str(round(n)) for n in (fixed.patch or ground.frame.net_median))
        raise ConfigError(
            f"A net of {max(2, levels) if fixed.channels else 2} levels needs more voxels than {what} has ({size}); "
            f"give larger images, or a net of fewer levels with planning.channels."
        )
    deepest = max(shape.levels for _, _, shape in found) if ground.channels else 2
    return [one for one in found if one[2].levels >= deepest]


def _patches(spacing: Sequence[float], median: Sequence[float]) -> Iterator[tuple[int, ...]]:
    finest = min(spacing)
    for edge in (*EDGES[len(spacing)], math.inf):
        yield tuple(math.ceil(min(edge * finest / s, n)) for s, n in zip(spacing, median, strict=True))
