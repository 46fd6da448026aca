"""Objects: numbered objects in a prediction and a reference, and what all metrics of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.errors import DataError
from ..ops.morphology import components
from ..ops.scan import count_meetings
from .finding import Finding, finding_of

_LARGEST_TABLE = 1 << 22


@dataclass(frozen=True)
class Objects:
    """Objects of one kind (nuclei, lesions) in two images of numbers; 0 is background.

    Attributes:
        prediction: Integers (*S): object numbers 1, 2, ... without gaps.
        reference: The same of the reference.
        num_voxels: Voxels of the whole image, when the arrays are cut to a box.
    """

    prediction: np.ndarray
    reference: np.ndarray
    num_voxels: int

    @classmethod
    def of(
        cls,
        prediction: np.ndarray,
        reference: np.ndarray,
        spacing_mm: Sequence[float] | None = None,
        num_voxels: int | None = None,
    ) -> Objects:
        """Objects of two images of numbers; a boolean mask is cut into its connected pieces (8 or 26 neighbours).

        Args:
            prediction: Object numbers or boolean mask (*S).
            reference: The same of the reference.
            spacing_mm: Not used: objects are counted in voxels.
            num_voxels: Voxels of the whole image; those of the arrays when None.

        Raises:
            DataError: When the shapes differ.
        """
        prediction, reference = np.asarray(prediction), np.asarray(reference)
        if prediction.shape != reference.shape:
            raise DataError(
                f"Objects are compared on one grid; got shapes {prediction.shape} and {reference.shape}. "
                "Put the prediction onto the grid of the reference first."
            )
        return cls(_numbered(prediction), _numbered(reference), num_voxels or prediction.size)

    @cached_property
    def meetings(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted number, reference number and count of voxels of every two that meet, background among them."""
        rows, columns = int(self.prediction.max(initial=0)) + 1, int(self.reference.max(initial=0)) + 1
        outside = self.num_voxels - self.prediction.size
        if rows * columns <= _LARGEST_TABLE:
            table = count_meetings(self.prediction, self.reference, rows, columns)
            table[0, 0] += outside
            predicted, reference = np.nonzero(table)
            return predicted, reference, table[predicted, reference]
        codes, counts = np.unique(self.prediction.astype(np.int64) * columns + self.reference, return_counts=True)
        counts[codes == 0] += outside
        return codes // columns, codes % columns, counts

    @cached_property
    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Voxels of each predicted and each reference object, background first."""
        predicted, reference, counts = self.meetings
        return np.bincount(predicted, counts).astype(np.int64), np.bincount(reference, counts).astype(np.int64)

    @property
    def num_predicted(self) -> int:
        """Predicted objects."""
        return len(self.sizes[0]) - 1

    @property
    def num_reference(self) -> int:
        """Objects of the reference."""
        return len(self.sizes[1]) - 1

    @property
    def finding(self) -> Finding:
        """Which side has any object."""
        return finding_of(self.num_predicted, self.num_reference)

    def worst(self, unit: str) -> float:
        """The largest value in this unit: a difference of information cannot exceed the bits that name a voxel."""
        return float(np.log2(self.num_voxels)) if unit == "bits" else float("inf")

    @cached_property
    def overlaps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Predicted number, reference number, common voxels and IoU of every two objects that overlap."""
        predicted, reference, counts = self.meetings
        both = (predicted > 0) & (reference > 0)
        predicted, reference, counts = predicted[both], reference[both], counts[both]
        union = self.sizes[0][predicted] + self.sizes[1][reference] - counts
        return predicted, reference, counts, counts / union

    def matched(self, iou: float) -> np.ndarray:
        """IoU of the pairs of objects that belong together, see `pairs`."""
        return self.pairs(iou)[2]

    def pairs(self, iou: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted number, reference number and IoU of the objects that belong together.

        They are matched one to one, each above a threshold, as many as possible. From 0.5 on an object can have only
        one such partner; below, the pairs are those of the best assignment.
        """
        predicted, reference, _, overlap = self.overlaps
        kept = overlap > iou
        if iou < 0.5:
            kept &= _best(predicted, reference, np.where(kept, overlap, 0.0))
        return predicted[kept], reference[kept], overlap[kept]


def _best(predicted: np.ndarray, reference: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """Which of the overlaps (0: none) the best assignment has; each group of objects that overlap is one of its own."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    chosen = overlap > 0
    if not chosen.any():
        return chosen
    first = int(predicted.max()) + 1
    links = coo_array((chosen, (predicted, first + reference)), shape=(first + int(reference.max()) + 1,) * 2)
    group = np.where(chosen, connected_components(links, directed=False)[1][predicted], -1)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) > 1 and group[members[0]] >= 0:
            rows, row_of = np.unique(predicted[members], return_inverse=True)
            columns, column_of = np.unique(reference[members], return_inverse=True)
            worth = np.zeros((len(rows), len(columns)))
            worth[row_of, column_of] = 1 + overlap[members] / (len(members) + 1)  # more pairs first, then more overlap
            partner = dict(zip(*(part.tolist() for part in linear_sum_assignment(worth, maximize=True)), strict=True))
            chosen[members] = [partner.get(row) == column for row, column in zip(row_of, column_of, strict=True)]
    return chosen


def _numbered(array: np.ndarray) -> np.ndarray:
    """Numbers 1, 2, ... of each object."""
    if array.dtype == bool:
        return components(array)[0]
    values, places = np.unique(array, return_inverse=True)
    numbers = np.cumsum(values != 0)
    numbers[values == 0] = 0
    return numbers[places].reshape(array.shape).astype(np.int32)
