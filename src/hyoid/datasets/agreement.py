"""Whether two files of one case lie on the same grid, and the sentence that says so when they do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from ..core.grid import Grid

TOLERANCE = 0.1
"""Share of a voxel by which two headers may disagree at the corners: rounding, not another place."""


@dataclass(frozen=True)
class Turn:
    """How an array is transposed and then flipped to lie as another one does."""

    axes: tuple[int, ...]
    flips: tuple[int, ...]

    @property
    def changes(self) -> bool:
        """Whether anything moves."""
        return bool(self.flips) or self.axes != tuple(sorted(self.axes))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The array (C, *S) in the other order."""
        turned = array.transpose((0, *(axis + 1 for axis in self.axes)))
        return np.flip(turned, tuple(axis + 1 for axis in self.flips)) if self.flips else turned


def turn_between(case: str, image: tuple[Path, Grid], other: tuple[Path, Grid]) -> Turn:
    """How the other file's axes become those of the image; nothing to do when the grids are equal.

    Small disagreement (a tenth of a voxel at the corners, such as rounding in a qform) is tolerated. Where one
    of the files does not know its voxel size, only shapes are compared.

    Raises:
        DataError: When the two files do not show the same voxels, naming both.
    """
    (image_path, grid), (other_path, mine) = image, other
    stay = Turn(tuple(range(mine.dims)), ())
    if mine.shape == grid.shape and (not (grid.calibrated and mine.calibrated) or _near(grid, mine)):
        return stay
    if grid.dims == mine.dims == 3 and grid.calibrated and mine.calibrated:
        turn, turned = _reoriented(mine, grid)
        if turned.shape == grid.shape and _near(grid, turned):
            return turn
    other_name, image_name = other_path.name, image_path.name
    if other_name == image_name:
        other_name, image_name = (f"{path.parent.name}/{path.name}" for path in (other_path, image_path))
    raise DataError(
        f"{case}: {other_name} and {image_name} are not on one grid: {difference(grid, mine)}"
        f" Resample one onto the other, or correct the header ({other_path}, {image_path})."
    )


def offset_in_voxels(grid: Grid, other: Grid) -> float:
    """Largest distance between corresponding corners, in voxels of the first grid; shapes must agree."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij")).reshape(grid.dims, -1).T
    return float(np.abs(grid.to_index(other.to_world(corners)) - corners).max())


def _near(grid: Grid, other: Grid) -> bool:
    return offset_in_voxels(grid, other) <= TOLERANCE


def _reoriented(mine: Grid, target: Grid) -> tuple[Turn, Grid]:
    along = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
    codes = mine.orientation
    axes = tuple([along[c] for c in codes].index(along[t]) for t in target.orientation)
    flips = tuple(i for i, (axis, code) in enumerate(zip(axes, target.orientation, strict=True)) if codes[axis] != code)
    return Turn(axes, flips), mine.oriented(target.orientation)


def difference(grid: Grid, mine: Grid) -> str:
    """What differs first between another grid (`mine`) and one: axes, shape, spacing, direction or origin."""
    if grid.dims != mine.dims:
        return f"one is {mine.dims}D ({mine}), the other {grid.dims}D ({grid})."
    if sorted(grid.shape) != sorted(mine.shape) or grid.shape != mine.shape:
        return f"shapes {_x(mine.shape)} and {_x(grid.shape)}."
    if not np.allclose(grid.spacing_mm, mine.spacing_mm, rtol=1e-3):
        return f"spacings {_x(mine.spacing_mm)} and {_x(grid.spacing_mm)} mm."
    if not np.allclose(grid.direction, mine.direction, atol=1e-3):
        directions = f"{mine.orientation} and {grid.orientation}" if grid.dims == 3 else "turned against each other"
        return f"directions differ ({directions})."
    return f"they start at {_x(mine.origin_mm)} and {_x(grid.origin_mm)} mm."


def _x(numbers: tuple[float, ...]) -> str:
    return "x".join(f"{n:.6g}" for n in numbers)
