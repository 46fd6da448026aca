"""Cases for which the memory does not suffice: often the voxel size in the header is mistaken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.case import Case
from ..core.errors import DataError
from ..core.lengths import Lengths
from ..planning.budget import available_gb
from ..planning.plan import Plan
from ..preparation.pipeline import prepared_grid

MISTAKEN = 100
"""Resampling makes so many times as many voxels only where a header is mistaken."""


def check_size(case: Case, plan: Plan) -> None:
    """Raise a MemoryError for a case that a mistaken header makes too large; a system may promise what it lacks."""
    voxels = math.prod(prepared_grid(case.image.grid, plan.preparation).shape)
    grown = voxels / math.prod(case.image.grid.shape)
    if grown > MISTAKEN and 4e-9 * case.image.channels * voxels > available_gb("cpu"):
        raise MemoryError


@contextmanager
def fitting(case: Case, plan: Plan) -> Iterator[None]:
    """Work on a case; a DataError takes the place of a MemoryError, and says what may be wrong with the case."""
    try:
        yield
    except MemoryError:
        grid, there = case.image.grid, prepared_grid(case.image.grid, plan.preparation)
        told = f"{case.id}: the memory does not suffice"
        size = " × ".join(map(str, there.shape))
        if plan.preparation.extent or math.prod(there.shape) <= math.prod(grid.shape):
            raise DataError(f"{told} for its {size} voxels; cut it, or use a machine with more memory.") from None
        old, new = (Lengths.at(*there.spacing_mm).text(one.spacing_mm, " × ") for one in (grid, there))
        has = f"its voxels are {old}" if grid.calibrated else "it does not know its voxel size, 1 mm is assumed"
        raise DataError(
            f"{told}: {has}, and at the {new} that the net learned from it would have {size}"
            " of them. Check the voxel size in its header."
        ) from None
