"""A voxel size that can only be mistaken is refused, whether it is too small or too large."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import DataError
from ..core.grid import Grid
from .spatial import target_grid

MISTAKEN = 100  # voxels so many times as long as those of the plan, or as short, may come from a mistaken header
FEW = 16  # with so few voxels along every axis nearly nothing is left of an image


def check_voxel_size(case_id: str, grid: Grid, spacing_mm: Sequence[float | None]) -> None:
    """Refuse a voxel size that can only be mistaken, such as micrometres that are read as millimetres.

    Of the axes that are resampled the geometric mean of the steps counts: a voxel is mistaken when it is more than 100
    times as large as `spacing_mm` asks for, or as small where at most 16 voxels would be left along every axis (much is
    left of a whole slide that is looked at from far). None in `spacing_mm` keeps the voxel size of an axis.

    Raises:
        DataError: With both voxel sizes, what would become of the image, and what to do.
    """
    steps = [new / old for new, old in zip(spacing_mm, grid.spacing_mm, strict=True) if new is not None]
    if not steps:
        return
    shrunk = math.prod(steps) ** (1 / len(steps))
    there = target_grid(grid, spacing_mm)
    left = max(length for length, new in zip(there.shape, spacing_mm, strict=True) if new is not None)
    if not (shrunk < 1 / MISTAKEN or (shrunk > MISTAKEN and left <= FEW)):
        return
    asked = [new or old for new, old in zip(spacing_mm, grid.spacing_mm, strict=True)]
    old_mm, new_mm = (" × ".join(f"{mm:.4g}" for mm in one) for one in (grid.spacing_mm, asked))
    old, new = (" × ".join(map(str, one.shape)) for one in (grid, there))
    has = f"its voxels are {old_mm} mm" if grid.calibrated else "it does not know its voxel size, 1 mm is assumed"
    advice = "Correct the voxel size in its header, or the unit that is stated there."
    raise DataError(
        f"{case_id}: {has}, and at the {new_mm} mm of the plan {new} voxels would be made of its {old}. "
        f"{advice if grid.calibrated else 'Give it a voxel size.'}"
    )
