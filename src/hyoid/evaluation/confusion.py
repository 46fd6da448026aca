"""Which structure is taken for which: voxels of all cases by what they are and what they were called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.labels import Labels
from ..ops.confusion import confusion, values_of

BACKGROUND = "background"


@dataclass(frozen=True)
class Confusion:
    """Voxels by reference (row) and prediction (column), summed over cases.

    Attributes:
        names: Background, then the structures.
        counts: Square table of voxels.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tables: Iterable[np.ndarray], labels: Labels) -> Confusion | None:
        """The sum of the tables of cases; None where structures overlap, so that a voxel may be several at once."""
        found = list(tables)
        if labels.overlapping or not found:
            return None
        return cls((BACKGROUND, *labels.names), tuple(map(tuple, np.sum(found, axis=0).tolist())))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Confusion | None:
        """What report.json holds of it; None of None."""
        return None if values is None else cls(tuple(values["names"]), tuple(map(tuple, values["counts"])))

    @property
    def shares(self) -> np.ndarray:
        """Each row divided by its sum: of the voxels of a structure, which share was called what; NaN when absent."""
        table = np.asarray(self.counts, float)
        sums = table.sum(1, keepdims=True)
        return np.divide(table, sums, out=np.full_like(table, np.nan), where=sums > 0)

    def mistakes(self) -> list[tuple[str, str, float]]:
        """Structure, what it was called instead, and share of its voxels, the largest share first."""
        shares = self.shares[1:]
        pairs = [
            (self.names[row + 1], self.names[column], float(share))
            for row, line in enumerate(shares)
            for column, share in enumerate(line)
            if column != row + 1 and share > 0
        ]
        return sorted(pairs, key=lambda pair: -pair[2])


def table_of(prediction: np.ndarray | None, reference: np.ndarray, labels: Labels) -> np.ndarray:
    """Voxels of one case in the order of background and `labels.names`; without a prediction all are background."""
    guess = np.zeros_like(reference) if prediction is None else prediction
    known = values_of(labels)
    order = [0, *(1 + list(known).index(group[0]) for group in labels.values)]
    return confusion(guess, reference, labels)[np.ix_(order, order)]
