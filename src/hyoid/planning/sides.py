"""Which structures are known only by the side of the image they are on, so that a mirrored image would mislead.

Every structure of every case has a place: centre and spread of its voxels along each axis, in half lengths of the
image from its middle. Two structures are swapped by a mirror when their centres are further apart than their spreads
together, in the same order in nearly all cases, while they are alike in size and intensity and not further apart
along another axis. A structure is taken for
something that is not annotated when it is as far from its own mirror image, always on the same side, and the tissue
at its mirrored place is alike in intensity. Where positions have no order, as those of cells, no mirror misleads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from pydantic import Field

from ..core.settings import Settings

AGREEING = 0.9
"""Share of cases that must have the same order."""

APART = 1.0
"""Distance of two centres from which structures are apart, in units of their spreads together; touching blocks: 1.7."""

ALIKE = 1.5
"""Difference of two mean intensities below which structures are alike, in standard deviations of their voxels."""

SIZES = 3.0
"""Largest ratio of sizes that are alike."""

FEWEST = 5
"""Patients from which a structure alone may be always on one side; by chance all are in 1 of 16 such data sets."""

REACH = 0.1
"""How far from its mirrored place a look-alike may be, as a share of the image: a body is seldom in its middle."""

SAMPLED = 4000


class Side(Settings):
    """Why mirroring across an axis would mislead."""

    axis: int = Field(description="Axis of the images, in the order of `Fingerprint.axes` or of 2D arrays.")
    structure: str = Field(description="Structure that is known by its side.")
    other: str = Field("", description="Structure that is its mirror image; empty: what is not annotated.")
    num_agreeing: int = Field(description="Cases in which they have the same order.")
    num_cases: int = Field(description="Cases that were compared.")
    contrast: float = Field(description="Difference of their mean intensities, in standard deviations of their voxels.")


class Place(NamedTuple):
    """One structure in one case, along the axes of its array.

    Attributes:
        centre: Mean position along each axis, -1 at the first and 1 at the last voxel of the content.
        spread: Standard deviation of positions along each axis.
        size: Share of the content.
        mean: Mean intensity of each channel.
        std: Standard deviation of the intensities of each channel.
        contrast: For each axis the difference to what is at the mirrored place, in standard deviations.
    """

    centre: np.ndarray
    spread: np.ndarray
    size: float
    mean: np.ndarray
    std: np.ndarray
    contrast: np.ndarray

    def turned(self, order: Sequence[int], signs: Sequence[int]) -> Place:
        """The same along other axes: `order` says where each comes from, `signs` which point the other way."""
        axes, contrast = list(order), self.contrast[list(order)]
        return self._replace(centre=self.centre[axes] * signs, spread=self.spread[axes], contrast=contrast)


def place_of(mask: np.ndarray, first: Sequence[int], array: np.ndarray, content: Sequence[slice]) -> Place:
    """Measure one structure.

    Args:
        mask: Its voxels, at least one, in a box.
        first: Index of the first voxel of the box in the image.
        array: The image, (C, *S).
        content: Box of the image that counts.
    """
    half = np.array([max(side.stop - side.start - 1, 1) / 2 for side in content])
    middle = np.array([(side.stop + side.start - 1) / 2 for side in content])
    centre, spread = np.empty(mask.ndim), np.empty(mask.ndim)
    for axis in range(mask.ndim):
        counts = mask.sum(tuple(other for other in range(mask.ndim) if other != axis))
        at = first[axis] + np.arange(counts.size)
        centre[axis] = np.average(at, weights=counts)
        # A voxel has a width, too, so that one row of them is not without spread.
        spread[axis] = np.sqrt(np.average((at - centre[axis]) ** 2, weights=counts) + 1 / 12)
    inside = np.flatnonzero(mask)
    points = np.stack(np.unravel_index(inside[:: 1 + inside.size // SAMPLED], mask.shape), 1) + first
    values = _values(array, points)
    contrast = [_contrast_across(array, points, mask, first, axis, side) for axis, side in enumerate(content)]
    size = inside.size / np.prod([side.stop - side.start for side in content])
    return Place(
        (centre - middle) / half, spread / half, float(size), values.mean(1), values.std(1), np.array(contrast)
    )


def _values(array: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Intensities (C, N) at points (N, dims)."""
    return np.asarray(array[(slice(None), *points.T)], np.float64)


def _contrast_across(
    array: np.ndarray, points: np.ndarray, mask: np.ndarray, first: Sequence[int], axis: int, side: slice
) -> float:
    """The least difference of a structure to what is near its mirrored place; infinite where nothing else is."""
    values, least = _values(array, points), np.inf
    reach = REACH * (side.stop - side.start)
    for shift in np.unique(np.rint(np.linspace(-reach, reach, 5)).astype(int)):
        mirrored = points.copy()
        mirrored[:, axis] = side.start + side.stop - 1 - points[:, axis] + shift
        mirrored = mirrored[(mirrored[:, axis] >= side.start) & (mirrored[:, axis] < side.stop)]
        box = mirrored - first
        own = ((box >= 0) & (box < mask.shape)).all(1)
        own[own] = mask[tuple(box[own].T)]
        if 2 * np.count_nonzero(~own) >= len(points):
            found = _values(array, mirrored[~own])
            least = min(least, _contrast(values.mean(1), values.std(1), found.mean(1), found.std(1)))
    return least


def _contrast(mean: np.ndarray, std: np.ndarray, other_mean: np.ndarray, other_std: np.ndarray) -> float:
    """How far two means are from each other in the channel that tells them apart best, in deviations of voxels."""
    deviation = np.maximum(np.sqrt((std**2 + other_std**2) / 2), 1e-6 * (1 + np.abs(mean)))
    return float((np.abs(mean - other_mean) / deviation).max())


def find_sides(
    cases: Sequence[Sequence[Place | None]], names: Sequence[str], patients: Sequence[str]
) -> tuple[Side, ...]:
    """The first reason against mirroring across each axis, pairs of structures before single ones.

    Args:
        cases: For each case the place of each structure, all along the same axes; None where it is absent.
        names: Names of the structures.
        patients: Patient of each case, whose images are no independent evidence.
    """
    known: list[list[tuple[int, Place]]] = [[] for _ in names]
    for case, row in enumerate(cases):
        for column, place in zip(known, row, strict=False):  # cases that were not looked at have no places
            if place is not None:
                column.append((case, place))
    sizes = [np.median([place.size for _, place in column]) if column else 0.0 for column in known]
    found: dict[int, Side] = {}
    for one, other in combinations(range(len(names)), 2):
        if min(sizes[one], sizes[other]) * SIZES < max(sizes[one], sizes[other]) or not known[one]:
            continue
        first, second = known[one], known[other]
        # Where structures are never together, their places in the images are compared.
        together = [(a, b) for (i, a), (j, b) in product(first, second) if i == j]
        pairs = together or [(a, b) for (_, a), (_, b) in product(first, second)]
        apart = np.array([(b.centre - a.centre) / (a.spread + b.spread) for a, b in pairs])
        # A mirror maps one onto the other only across an axis along which most of the way between them is.
        far = np.median(np.abs(apart), 0)
        contrast = np.median([_contrast(a.mean, a.std, b.mean, b.std) for a, b in pairs])
        for side in _misleading(apart, np.where(2 * far >= far.max(), contrast, np.inf), names[one], names[other]):
            found.setdefault(side.axis, side)
        if len(found) == apart.shape[1]:
            break
    for column, name in zip(known, names, strict=True):
        if len({patients[case] for case, _ in column}) >= FEWEST:
            apart = np.array([place.centre / place.spread for _, place in column])
            for side in _misleading(apart, np.median([place.contrast for _, place in column], 0), name):
                found.setdefault(side.axis, side)
    return tuple(found[axis] for axis in sorted(found))


def _misleading(apart: np.ndarray, contrast: np.ndarray, structure: str, other: str = "") -> Iterator[Side]:
    """The axes along which distances (N, dims) are large and nearly all of one sign while what they part is alike."""
    for axis, along in enumerate(apart.T):
        most = max(np.count_nonzero(along > 0), np.count_nonzero(along < 0))
        if most >= AGREEING * len(along) and np.median(np.abs(along)) >= APART and contrast[axis] < ALIKE:
            figures = {"num_agreeing": most, "num_cases": len(along), "contrast": float(contrast[axis])}
            yield Side.parse({"axis": axis, "structure": structure, "other": other, **figures})
