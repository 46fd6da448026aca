"""Whether a case is like those that a net learned from: voxel size, size, intensities and colours, with the figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..core.case import Case
from ..core.lengths import Lengths
from ..core.progress import log
from .content import levels_of
from .fingerprint import Fingerprint, positive
from .measure import CaseFacts

SPACING, SIZE = 2.0, 4.0
"""Factors beyond the range of training from which voxels and images are unlike."""

SHIFT, SHIFT_CT = 1.0, 0.3
"""Contrasts (1st to 99th percentile) beyond the range of training from which intensities are unlike: nets normalise
them, but for Hounsfield numbers, which mean the same in every scan."""

MIDDLE = 0.25
"""Shift of the median between dark and bright from which intensities are unlike whatever their scale."""

FEW = 4.0
"""As many cases of training widen these shifts to twice as much, since few show little of the range."""

_LEVELS = ("darkest 1 % up to {}", "median {}", "brightest 1 % from {}")


def facts_of(case: Case) -> CaseFacts:
    """What a case is compared by; intensities only of images that are in memory."""
    grid, array = case.image.grid, case.image.array
    return CaseFacts(
        id=case.id,
        shape=grid.shape,
        content_shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        orientation=grid.orientation if grid.dims == 3 else "",
        calibrated=grid.calibrated,
        levels=levels_of(array) if isinstance(array, np.ndarray) else (),
    )


@dataclass(frozen=True)
class Known:
    """The cases that a net learned from.

    Attributes:
        cases: Their facts.
        names: Of the channels.
        is_ct: Whether each channel is CT.
        one_extent: Whether all images get one extent, so that their voxel size and size do not matter.
    """

    cases: tuple[CaseFacts, ...]
    names: tuple[str, ...]
    is_ct: tuple[bool, ...]
    one_extent: bool = False

    @classmethod
    def of(cls, fingerprint: Fingerprint, training: Collection[str], one_extent: bool = False) -> Self:
        """The training cases of a run; all that were measured when none of them was."""
        cases = tuple(case for case in fingerprint.cases if case.id in training) or fingerprint.cases
        names, is_ct = zip(*((one.name, one.modality == "ct") for one in fingerprint.channels), strict=True)
        return cls(cases, names, is_ct, one_extent)

    def unlike(self, case: CaseFacts) -> dict[str, str]:
        """In what a case is unlike all of these, and the figures of both; nothing when it is like them."""
        if len(case.shape) != len(self.cases[0].shape):
            return {}
        geometry = () if self.one_extent else self._geometry(case)
        return dict([*geometry, *self._colours(case), *self._intensities(case)])

    def _geometry(self, case: CaseFacts) -> Iterator[tuple[str, str]]:
        lengths = Lengths.of((case, *self.cases))
        order = sorted(positive(case.orientation)) or [""] * len(case.shape)
        mine, *others = (_along(one, lengths) for one in (case, *self.cases))
        steps, sizes = np.array([steps for steps, _ in others]), np.array([sizes for _, sizes in others])
        if not case.calibrated and all(one.calibrated for one in self.cases):
            usual = Lengths.of(self.cases).text(np.median([one.spacing_mm for one in self.cases], axis=0))
            yield "spacing", f"the file does not know its voxel size; {usual} in training"
        for name, factor, here, there in (("spacing", SPACING, mine[0], steps), ("size", SIZE, mine[1], sizes)):
            low, high = there.min(axis=0), there.max(axis=0)
            off = [axis for axis, value in enumerate(here) if not low[axis] / factor <= value <= high[axis] * factor]
            if off:
                axis, unit = off[0], lengths.unit
                along = f" along {order[axis]}" if order[axis] else ""
                yield name, f"{name}{along}: {here[axis]:.3g} {unit} here, {_range(there[:, axis])} {unit} in training"

    def _colours(self, case: CaseFacts) -> Iterator[tuple[str, str]]:
        grey, *others = (len({*one.levels}) == 1 for one in (case, *self.cases))
        if len(case.levels) == 3 and (grey not in others):
            words = ("grey", "coloured") if grey else ("coloured", "grey")
            yield "colours", f"{words[0]} here, {words[1]} in training"

    def _intensities(self, case: CaseFacts) -> Iterator[tuple[str, str]]:
        known = [one.levels for one in self.cases if one.levels]
        for channel, (mine, name) in enumerate(zip(case.levels, self.names, strict=False)):
            if not known:
                return
            there = np.array([levels[channel] for levels in known])
            contrast = float(np.median(there[:, 2] - there[:, 0])) or 1.0
            allowed = contrast * (SHIFT_CT if self.is_ct[channel] else SHIFT) * (1 + FEW / len(there))
            beyond = _beyond(np.array(mine), there)
            if mine[0] < -0.05 * contrast and there[:, 0].min() >= 0:  # none was below zero
                beyond[0] = np.inf
            if (beyond > allowed).any():
                worst = 1 if beyond[1] > allowed else int(np.argmax(beyond))
                here, kind = _LEVELS[worst].format(_figure(mine[worst])), _kind(mine, there)
                yield name, f"{name}: {here} here, {_range(there[:, worst])} in training{kind}"
            elif _beyond(_middle(np.array(mine)), _middle(there)) > MIDDLE * (1 + FEW / len(there)):
                place, range_ = f"{100 * _middle(np.array(mine)):.0f} %", _range(100 * _middle(there))
                yield name, f"{name}: median at {place} of the way from dark to bright here, {range_} % in training"


def _along(case: CaseFacts, lengths: Lengths) -> tuple[Sequence[float], Sequence[float]]:
    """Spacing and size, with axes in anatomical order where these are known."""
    letters = positive(case.orientation)
    order = sorted(range(len(case.shape)), key=lambda axis: letters[axis : axis + 1])
    steps = [lengths.spacing_of(case)[axis] / lengths.mm for axis in order]
    return steps, [case.shape[axis] * step for axis, step in zip(order, steps, strict=True)]


def _kind(mine: Sequence[float], there: np.ndarray) -> str:
    """What the difference looks like, where Hounsfield numbers of air are on one side only."""
    if mine[0] <= -500 < there[:, 0].min():
        return " (as Hounsfield numbers of a CT)"
    return " (no Hounsfield numbers)" if there[:, 0].max() <= -500 < mine[0] >= 0 else ""


def _beyond(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How far values are beyond the range of others (N, ...); negative inside it."""
    return np.maximum(there.min(axis=0) - here, here - there.max(axis=0))


def _middle(levels: np.ndarray) -> np.ndarray:
    """Where the median of levels (..., 3) is between the darkest and the brightest percent, 0 to 1."""
    return (levels[..., 1] - levels[..., 0]) / np.maximum(levels[..., 2] - levels[..., 0], 1e-9)


def _range(values: np.ndarray) -> str:
    low, high = _figure(values.min()), _figure(values.max())
    return low if low == high else f"{low} to {high}"


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def sentences(found: Mapping[str, Mapping[str, str]], total: int) -> list[str]:
    """A sentence on each unlike case (id: kinds with their figures); one on all that are unlike in the same."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for case, reasons in found.items():
        alike.setdefault(tuple(reasons), []).append(case)
    told = []
    for cases in alike.values():
        figures = "; ".join(found[cases[0]].values())
        who = f"{cases[0]} is" if len(cases) == 1 else f"{len(cases)} of {total} cases, such as {cases[0]}, are"
        told.append(f"{who} unlike those the net learned from ({figures}); the answer may be wrong.")
    return told


def warn_of(found: Mapping[str, Mapping[str, str]], total: int) -> None:
    """Tell which cases are unlike."""
    for text in sentences(found, total):
        log.warning(text)
