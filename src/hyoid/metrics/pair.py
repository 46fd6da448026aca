"""Pair: one structure in two masks, and what all metrics share about it, each computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.errors import DataError
from ..core.labels import Labels
from ..ops.morphology import bounding_box, surface
from ..ops.nearest import line_distances, near, nearest
from ..ops.scan import boxes_of_values
from ..ops.skeleton import skeleton
from ..ops.surface_elements import surface_elements
from .finding import Finding, finding_of
from .objects import Objects

Box = tuple[slice, ...]
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """A predicted and a reference mask of one structure, cropped to the box that holds both.

    Cropping changes no metric: outside the box both masks are empty, so no count but the true negatives and no
    surface lies there. Everything that several metrics need is computed when the first one asks for it.

    Attributes:
        prediction: Boolean array (*S) inside the box; both masks have at least one voxel along each axis.
        reference: Boolean array of the same shape.
        spacing_mm: Voxel size along each array axis.
        image_shape: Shape of the whole image, which true negatives and the longest possible distance follow from.
        numbers: Object numbers of prediction and reference inside the box, where they are known.
        start: Where the box begins in the image.
    """

    prediction: np.ndarray
    reference: np.ndarray
    spacing_mm: tuple[float, ...]
    image_shape: tuple[int, ...]
    numbers: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    start: tuple[int, ...] = ()

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float] | None = None) -> Pair:
        """The pair of two whole masks, shape (*S) in 2D or 3D; spacing 1 along each axis when it is not given.

        Raises:
            DataError: When the shapes or the number of axes differ.
        """
        prediction, reference = np.asarray(prediction) != 0, np.asarray(reference) != 0
        spacing = _checked(prediction, reference, spacing_mm)
        box = _union(bounding_box(prediction), bounding_box(reference)) or (slice(0, 0),) * prediction.ndim
        start = tuple(part.start for part in box)
        return cls(prediction[box], reference[box], spacing, prediction.shape, start=start)

    @cached_property
    def num_predicted(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def num_reference(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def true_positives(self) -> int:
        """Voxels in both masks."""
        return int(np.count_nonzero(self.prediction & self.reference))

    @property
    def false_positives(self) -> int:
        """Voxels of the prediction outside the reference."""
        return self.num_predicted - self.true_positives

    @property
    def false_negatives(self) -> int:
        """Voxels of the reference that the prediction lacks."""
        return self.num_reference - self.true_positives

    @property
    def true_negatives(self) -> int:
        """Voxels of the whole image in neither mask."""
        return self.num_voxels - self.num_predicted - self.false_negatives

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """True positives, false positives, false negatives, true negatives."""
        return self.true_positives, self.false_positives, self.false_negatives, self.true_negatives

    @property
    def num_voxels(self) -> int:
        """Voxels of the whole image."""
        return int(np.prod(self.image_shape))

    @property
    def finding(self) -> Finding:
        """Which masks hold anything: found (both), missed (reference only), spurious (prediction only), absent."""
        return finding_of(self.num_predicted, self.num_reference)

    @property
    def diagonal_mm(self) -> float:
        """Length of the image's diagonal: no distance inside the image is longer."""
        return float(np.linalg.norm(np.multiply(self.image_shape, self.spacing_mm)))

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel (area of a pixel in 2D)."""
        return float(np.prod(self.spacing_mm))

    def worst(self, unit: str) -> float:
        """The largest value in this unit that two masks in this image can have."""
        return self.diagonal_mm if unit == "mm" else float("inf")

    @cached_property
    def surfaces(self) -> tuple[Arrays, Arrays]:
        """The surface voxels of both masks, and how far from them each voxel is along its line.

        A surface voxel belongs to the mask and has a face neighbour that does not; beyond the border of the image
        there is nothing, so a mask that is cut by the border has a surface there.
        """
        voxels = surface(self.prediction), surface(self.reference)
        return (voxels[0], line_distances(voxels[0])), (voxels[1], line_distances(voxels[1]))

    @cached_property
    def surface_distances(self) -> Arrays:
        """Distances in mm from each predicted surface voxel to the reference surface, and the other way round.

        Every metric of voxel surfaces reads these. Both masks must hold something.
        """
        (predicted, from_predicted), (reference, from_reference) = self.surfaces
        to_reference = nearest(from_reference, reference, predicted, self.spacing_mm)
        to_predicted = nearest(from_predicted, predicted, reference, self.spacing_mm)
        return to_reference, to_predicted

    @cached_property
    def element_distances(self) -> tuple[Arrays, Arrays]:
        """Distances in mm from each surface element to the other surface, with the elements' areas; both ways.

        Elements lie at the corners where voxels meet, where `surface_elements` describes them.
        """
        predicted, predicted_areas = surface_elements(self.prediction, self.spacing_mm)
        reference, reference_areas = surface_elements(self.reference, self.spacing_mm)
        to_reference = nearest(line_distances(reference), reference, predicted, self.spacing_mm)
        to_predicted = nearest(line_distances(predicted), predicted, reference, self.spacing_mm)
        return (to_reference, predicted_areas), (to_predicted, reference_areas)

    @cached_property
    def skeletons(self) -> Arrays:
        """Lines in the middle of both masks, boolean (*S)."""
        return skeleton(self.prediction), skeleton(self.reference)

    @cached_property
    def objects(self) -> Objects:
        """Both masks as objects: by their numbers where those are known, else by connected pieces."""
        sides = (self.prediction, self.reference)
        predicted, reference = (
            mask if given is None else given * mask for mask, given in zip(sides, self.numbers, strict=True)
        )
        return Objects.of(predicted, reference, num_voxels=self.num_voxels)

    def rims(self, depth_mm: float) -> Arrays:
        """The voxels of each mask that lie within a depth of its own surface, both boolean (*S)."""
        found = []
        for mask, (_, lines) in zip((self.prediction, self.reference), self.surfaces, strict=True):
            rim = mask.copy()
            rim[mask] = near(lines, mask, self.spacing_mm, depth_mm)
            found.append(rim)
        return found[0], found[1]


def pairs_of(
    prediction: np.ndarray,
    reference: np.ndarray,
    labels: Labels,
    spacing_mm: Sequence[float] | None = None,
    numbers: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Iterator[tuple[str, Pair]]:
    """Name and pair of each structure of two label maps, one after the other.

    The maps are scanned once for the boxes of all values; masks are only made inside the box of their structure,
    so the memory is that of the largest structure. Voxels whose reference is the ignored value count as empty
    in both masks.

    Args:
        prediction: Integer array (*S) of file values.
        reference: Integer array of the same shape.
        labels: Structures and their values.
        spacing_mm: Voxel size along each array axis.
        numbers: Object numbers (*S) of prediction and reference, where they are known.
    """
    spacing = _checked(prediction, reference, spacing_mm)
    judged = None if labels.ignore is None else reference != labels.ignore
    predicted_boxes, reference_boxes = _boxes(prediction, labels), _boxes(reference, labels)
    for name, values in zip(labels.names, labels.values, strict=True):
        box: Box | None = None
        for value in values:
            box = _union(box, _union(predicted_boxes.get(value), reference_boxes.get(value)))
        box = box or (slice(0, 0),) * prediction.ndim
        masks = [_mask(array[box], values) for array in (prediction, reference)]
        if judged is not None:
            masks = [mask & judged[box] for mask in masks]
        inside = tuple(None if given is None else given[box] for given in numbers)
        start = tuple(part.start for part in box)
        yield name, Pair(masks[0], masks[1], spacing, prediction.shape, (inside[0], inside[1]), start)


def _checked(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float] | None) -> tuple[float, ...]:
    if prediction.shape != reference.shape:
        raise DataError(
            f"A prediction and its reference have one shape; got {prediction.shape} and {reference.shape}. "
            "Put the prediction onto the grid of the reference first."
        )
    spacing = tuple(map(float, spacing_mm)) if spacing_mm is not None else (1.0,) * prediction.ndim
    if prediction.ndim not in (2, 3) or len(spacing) != prediction.ndim:
        raise DataError(f"Masks have 2 or 3 axes, each with a spacing; got shape {prediction.shape} and {spacing} mm.")
    return spacing


def _union(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _boxes(array: np.ndarray, labels: Labels) -> dict[int, Box]:
    """Box of each value of the structures that occurs, from one scan of the array."""
    return boxes_of_values(array, sorted({value for group in labels.values for value in group}))


def _mask(array: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Where an array holds one of these values."""
    found = array == values[0]
    for value in values[1:]:
        found |= array == value
    return found
