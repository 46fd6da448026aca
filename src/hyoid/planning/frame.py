"""The prepared axes: their order, spacing and typical length, and which of them may be mirrored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.errors import ConfigError
from ..core.labels import Labels
from . import rules
from .check import check_mirror_axes
from .fingerprint import Fingerprint, StructureFacts, positive
from .settings import PlanningSettings
from .sides import Side

FINEST = 1000
"""Most prepared voxels for each voxel of the images."""


@dataclass(frozen=True)
class Frame:
    """The prepared axes.

    Attributes:
        orientation: Their letters, coarsest axis first; None in 2D.
        spacing: Target spacing along each.
        median: Median shape of the images at that spacing.
        dims: Dimensions of the net.
        edge_mm: Edge that all images are given, in units of `spacing`; None where spacing counts.
    """

    orientation: str | None
    spacing: tuple[float, ...]
    median: tuple[float, ...]
    dims: Literal[2, 3]
    edge_mm: float | None = None

    @property
    def flat(self) -> int:
        """1 when a 2D net works on slices of volumes, which lie along axis 0; else 0."""
        return len(self.spacing) - self.dims

    @property
    def net_spacing(self) -> tuple[float, ...]:
        """Target spacing along the axes of the net."""
        return self.spacing[self.flat :]

    @property
    def net_median(self) -> tuple[float, ...]:
        """Median shape along the axes of the net."""
        return self.median[self.flat :]

    @property
    def across(self) -> int:
        """The axis from left to right: by its letter, or the columns of a 2D image."""
        if self.orientation is None:
            return len(self.spacing) - 1
        return next(axis for axis, letter in enumerate(self.orientation) if letter in "LR")


def frame_of(fingerprint: Fingerprint, settings: PlanningSettings) -> Frame:
    """The prepared axes of a data set.

    Raises:
        ConfigError: When a fixed orientation, spacing or number of dimensions does not fit the images.
    """
    common = has_common_extent(fingerprint, settings)
    spacings, shapes = fingerprint.geometry(common)
    target = rules.target_spacing(spacings, shapes)
    if common:
        pixels = settings.extent or np.median([math.prod(case.shape) ** 0.5 for case in fingerprint.cases])
        target = (fingerprint.edge_mm / float(pixels),) * 2
    orientation, order = _order(fingerprint, settings, target)
    turned_spacings, turned_shapes = (np.asarray(rows)[:, order].tolist() for rows in (spacings, shapes))
    spacing = tuple(target[axis] for axis in order)
    if settings.spacing_mm:
        if len(settings.spacing_mm) != fingerprint.dims:
            wanted = f"{fingerprint.dims} positive numbers"
            raise ConfigError(f"planning.spacing_mm needs {wanted}; got {settings.spacing_mm}.")
        spacing = settings.spacing_mm
    check_mirror_axes(settings.mirror_axes or (), fingerprint.dims)
    median = rules.median_shape(turned_shapes, turned_spacings, spacing)
    if math.prod(median) > FINEST * np.median([math.prod(shape) for shape in shapes]):
        own = " x ".join(f"{step:.3g}" for step in np.median(turned_spacings, 0))
        what = f"extent = {settings.extent:g}" if common else f"spacing_mm = {list(spacing)}"
        raise ConfigError(
            f"planning.{what} would make more than {FINEST} voxels of each voxel of the images, which are {own} mm; "
            f"give {'fewer pixels' if common else 'millimetres'}."
        )
    dims = settings.dims or (2 if fingerprint.dims == 2 or median[0] == 1 else 3)
    if dims > fingerprint.dims:
        raise ConfigError("planning.dims is 3 but the images are 2D; leave it out or set it to 2.")
    if settings.patch and len(settings.patch) not in (fingerprint.dims, dims):
        raise ConfigError(f"planning.patch needs {fingerprint.dims} numbers; got {settings.patch}.")
    return Frame(orientation, spacing, median, dims, fingerprint.edge_mm if common else None)


def has_common_extent(fingerprint: Fingerprint, settings: PlanningSettings) -> bool:
    """Whether images get one extent: as the settings say, else with `preset: auto` by the data.

    Raises:
        ConfigError: When it is asked for and the images are not flat.
    """
    if settings.extent and fingerprint.dims != 2:
        raise ConfigError("planning.extent is for 2D images; set planning.spacing_mm for volumes.")
    if settings.extent is not None or settings.spacing_mm or settings.preset != "auto":
        return bool(settings.extent)
    return fingerprint.extent is not None and fingerprint.extent.common


def _order(
    fingerprint: Fingerprint, settings: PlanningSettings, target: Sequence[float]
) -> tuple[str | None, tuple[int, ...]]:
    """Letters of the prepared axes, and where each comes from."""
    if fingerprint.dims == 2:
        return None, (0, 1)
    if settings.orientation:
        letters = settings.orientation.upper()
        if sorted(positive(letters)) != sorted(fingerprint.axes):
            raise ConfigError(
                f"planning.orientation is {settings.orientation!r}; it needs one letter of each of L or R, P or A, "
                "I or S, such as SRA."
            )
        return letters, tuple(fingerprint.axes.index(letter) for letter in positive(letters))
    order = rules.coarsest_first(target)
    return "".join(fingerprint.axes[axis] for axis in order), order


def known_by_place(structure: StructureFacts) -> bool:
    """Whether there are one or two compact objects, whose place in the image tells what they are."""
    return structure.num_objects <= 2 and structure.extent_mm <= 6 * structure.width_mm


_WAYS = {"R": "left and right", "A": "front and back", "S": "head and feet"}


def mirror_axes(
    fingerprint: Fingerprint, labels: Labels, frame: Frame, patch: Sequence[int], settings: PlanningSettings
) -> tuple[tuple[int, ...], list[str]]:
    """The axes that may be mirrored, and why not all.

    Structures that only their side tells apart, by the data (`Fingerprint.sides`) or by their names, forbid mirroring
    across; with `preset: auto` structures known by their place forbid mirroring up-down and front-back. Axes that the
    settings fix are mirrored whatever the data say.

    Args:
        labels: Structures whose names differ in left and right.
        patch: Voxels along each prepared axis.
    """
    axes = [axis for axis, length in enumerate(patch) if length > 1]
    misleading = {_prepared(side.axis, fingerprint, frame): side for side in fingerprint.sides}
    if settings.mirror_axes is not None:
        against = [axis for axis in settings.mirror_axes if axis in misleading]
        found = [f"warning: planning.mirror_axes has axis {a}, but {_found(misleading[a])}" for a in against]
        return settings.mirror_axes, found
    notes = []
    known = [structure for structure in fingerprint.structures if structure.num_cases]
    if settings.preset == "auto" and known and all(known_by_place(structure) for structure in known):
        axes = [axis for axis in axes if axis == frame.across]
        notes.append("structures are known by their place, so mirroring is across left and right only")
    for axis in [axis for axis in axes if axis in misleading]:
        axes.remove(axis)
        way = (
            ("up and down", "left and right")[axis]
            if frame.orientation is None
            else _WAYS[positive(frame.orientation or "")[axis]]
        )
        notes.append(f"{way} (axis {axis}) are not mirrored: {_found(misleading[axis])}")
    if labels.pairs():
        one, other = (labels.names[index] for index in labels.pairs()[0])
        axes = [axis for axis in axes if axis != frame.across]
        notes.append(f"{one} and {other} are a left and right pair, so left and right are not mirrored")
    return tuple(axes), notes


def _prepared(axis: int, fingerprint: Fingerprint, frame: Frame) -> int:
    """The prepared axis of an axis of the fingerprint."""
    return axis if frame.orientation is None else positive(frame.orientation).index(fingerprint.axes[axis])


def _found(side: Side) -> str:
    """What the data say of a side, with the figures."""
    alike = f"means {side.contrast:.2g} standard deviations apart"
    cases = f"in {side.num_agreeing} of {side.num_cases} cases"
    if side.other:
        return (
            f"{side.structure} and {side.other} are alike in size and intensity ({alike}), and on the same two sides "
            f"{cases}"
        )
    return f"{side.structure} is on the same side {cases}, and tissue on the other side is like it ({alike})"
