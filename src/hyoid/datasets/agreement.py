"""Whether two files of one case show the same place, what is done to fit them, and the sentence when they do not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ..core.case import Image, Kind
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.lengths import Lengths
from ..files.formats import read_header
from ..files.header import Header
from ..ops.resample import onto

TOLERANCE = 0.1
"""Share of a voxel by which two headers may disagree at the corners: rounding, not another place."""

_ARRAYS = (".tif", ".tiff", ".npy", ".zarr")
"""Endings of files that hold an array and no orientation."""

LEAST_COVER: dict[Kind, float] = {"intensities": 0.5, "labels": 0.999}
"""Share of the image that a file on a grid of its own must cover, so that its header is believed and it is resampled.

Nobody knows what lies beyond: there an image repeats its smallest number; labels must cover it, since what nobody
looked at is not background.
"""


@dataclass(frozen=True)
class Turn:
    """How an array on one grid comes to lie on another: the same voxels in another order, or resampled.

    Attributes:
        cover: Share of the other grid that the array reaches when it is resampled; None for the same voxels.
    """

    source: Grid
    target: Grid
    kind: Kind = "intensities"
    cover: float | None = None

    @property
    def changes(self) -> bool:
        """Whether anything moves."""
        return self.source is not self.target

    @property
    def remark(self) -> str:
        """What happens to the array, as the end of a sentence; empty when nothing moves."""
        if self.cover is None:
            return "axes in another order; they are turned to fit" if self.changes else ""
        beyond = "" if self.cover > 0.999 else f" and cover {100 * self.cover:.3g} % of it"
        return (
            f"a grid of their own (such as {_spacing(self.source)} on {_spacing(self.target)}); they"
            f" are resampled where their headers put them{beyond}"
        )

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The array (C, *S) on the other grid; resampled intensities become float32."""
        if not self.changes:
            return array
        fill = float(array.min()) if self.kind == "intensities" else 0
        return onto(Image(array, self.source, self.kind), self.target, fill=fill).array


def turn_between(case: str, image: tuple[Path, Grid], other: tuple[Path, Grid], resampled: Kind | None = None) -> Turn:
    """How the other file comes to lie on the grid of the image; nothing to do when the grids are equal.

    Small disagreement (a tenth of a voxel at the corners, such as rounding in a qform) is tolerated. Where one
    of the files does not know its voxel size, only shapes are compared. An orientation that a header contradicts
    (sform and qform differ) or does not give turns nothing: the array is taken as stored where any of the
    orientations that the headers hold allows that. Volumes on another grid are resampled when
    their kind is given as `resampled` and they cover the image; labels of the image's own shape are not, since their
    header contradicts their shape.

    Raises:
        DataError: When the two files do not show the same place, naming both.
    """
    (image_path, grid), (other_path, mine) = image, other
    _check_order(case, image, other)
    if coincide(grid, mine):
        return Turn(mine, mine)
    headers = read_header(image_path), read_header(other_path)
    if grid.dims == mine.dims == 2 and coincide(grid, turned := _the_same_way_up(mine, grid)):
        return Turn(mine, turned)
    if _as_stored(grid, mine, *headers):
        return Turn(mine, mine)
    volumes = grid.dims == mine.dims == 3 and grid.calibrated and mine.calibrated
    certain = all(map(_is_certain, headers))
    if volumes and certain:
        turned = mine.oriented(grid.orientation)
        if coincide(grid, turned):
            return Turn(mine, turned)
        cover = _cover(grid, mine)
        if resampled and cover >= LEAST_COVER[resampled] and (resampled != "labels" or turned.shape != grid.shape):
            return Turn(mine, grid, resampled, cover)
    other_name, image_name = other_path.name, image_path.name
    if other_name == image_name:
        other_name, image_name = (f"{path.parent.name}/{path.name}" for path in (other_path, image_path))
    doubt = " The orientation in a header is contradicted or not given, so nothing is turned."
    raise DataError(
        f"{case}: {other_name} and {image_name} are not on one grid: {difference(grid, mine)}"
        f"{doubt if volumes and not certain else ''}"
        f" Resample one onto the other, or correct the header ({other_path}, {image_path})."
    )


def _check_order(case: str, image: tuple[Path, Grid], other: tuple[Path, Grid]) -> None:
    """Refuse an array without orientation, such as a TIFF stack, beside a file that has one, where both may be meant.

    The first of three axes is that of slices in the one and runs across the body in the other; shapes and voxel sizes
    tell, but for axes that are equal in both.
    """
    (image_path, grid), (other_path, mine) = image, other
    arrays = [path.name.lower().endswith(_ARRAYS) for path in (image_path, other_path)]
    if grid.dims == mine.dims == 3 and arrays[0] != arrays[1]:
        names, backwards = f"{other_path.name} and {image_path.name}", mine.shape == grid.shape[::-1]
        sizes = grid.calibrated and mine.calibrated
        if backwards and (not sizes or np.allclose(mine.spacing_mm, grid.spacing_mm[::-1], rtol=1e-3)):
            may = "may " if mine.shape == grid.shape else ""
            raise DataError(
                f"{case}: {names} {may}have their axes in opposite orders: slices come first in a stack of pages, and"
                f" last in NIfTI, NRRD and MetaImage. Save both in one format ({other_path}, {image_path})."
            )


def coincide(grid: Grid, mine: Grid) -> bool:
    """Whether each voxel lies where the other's does but for rounding; by shapes alone where a size is unknown.

    Pictures of unknown pixel size must also be seen the same way up.
    """
    if mine.shape != grid.shape:
        return False
    if grid.calibrated and mine.calibrated:
        return offset_in_voxels(grid, mine) <= TOLERANCE
    return grid.dims == 3 or grid.calibrated or mine.calibrated or bool(np.allclose(grid.direction, mine.direction))


def _the_same_way_up(mine: Grid, grid: Grid) -> Grid:
    """The pixels of a picture in the order in which their axes point as those of the other grid do."""
    turn = np.linalg.inv(np.asarray(grid.direction)) @ np.asarray(mine.direction)
    axes = np.abs(turn).argmax(axis=1)
    turned = mine.transposed(axes.tolist())
    for axis in np.flatnonzero(turn[[0, 1], axes] < 0):
        turned = turned.flipped(int(axis))
    return turned


def _as_stored(grid: Grid, mine: Grid, image: Header, other: Header) -> bool:
    """Whether the arrays fit as they are by some orientation that the two headers allow."""
    if grid.dims == mine.dims == 2 and not (grid.calibrated and mine.calibrated):
        return mine.shape == grid.shape
    if not (image.placed and other.placed):
        return mine.shape == grid.shape and np.allclose(grid.spacing_mm, mine.spacing_mm, rtol=1e-3)
    return any(coincide(one, two) for one, two in product((grid, *image.others), (mine, *other.others)))


def _is_certain(header: Header) -> bool:
    """Whether a header gives one orientation and no other."""
    return header.placed and all(one.orientation == header.grid.orientation for one in header.others)


def offset_in_voxels(grid: Grid, other: Grid) -> float:
    """Largest distance between corresponding corners, in voxels of the first grid; shapes must agree."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij")).reshape(grid.dims, -1).T
    return float(np.abs(grid.to_index(other.to_world(corners)) - corners).max())


def _cover(grid: Grid, other: Grid) -> float:
    """Share of a grid that lies inside the voxels of another."""
    steps = [np.linspace(0, n - 1, min(n, 16)) for n in grid.shape]
    places = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, grid.dims)
    index = other.to_index(grid.to_world(places))
    return float(((index >= -0.5 - TOLERANCE) & (index <= np.array(other.shape) - 0.5 + TOLERANCE)).all(1).mean())


def difference(grid: Grid, mine: Grid) -> str:
    """What differs first between another grid (`mine`) and one: axes, shape, spacing, direction or origin."""
    if grid.dims != mine.dims:
        return f"one is {mine.dims}D ({mine}), the other {grid.dims}D ({grid})."
    if grid.shape != mine.shape:
        return f"shapes {_x(mine.shape)} and {_x(grid.shape)}."
    if not np.allclose(grid.spacing_mm, mine.spacing_mm, rtol=1e-3):
        return f"spacings {_both(grid, mine.spacing_mm, grid.spacing_mm)}."
    if not np.allclose(grid.direction, mine.direction, atol=1e-3):
        directions = f"{mine.orientation} and {grid.orientation}" if grid.dims == 3 else "turned against each other"
        if grid.dims == 3 and grid.orientation == mine.orientation:
            cosines = (np.asarray(grid.direction) * np.asarray(mine.direction)).sum(axis=0)
            directions = f"by {np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))):.2g} degrees"
        return f"directions differ ({directions})."
    return f"they start at {_both(grid, mine.origin_mm, grid.origin_mm)}."


def _both(grid: Grid, *lengths_mm: tuple[float, ...]) -> str:
    """Two rows of lengths in one unit, that of a grid."""
    unit = Lengths.of([grid])
    first, second = (unit.text(row, digits=6) for row in lengths_mm)
    return f"{first.removesuffix(f' {unit.unit}')} and {second}"


def _spacing(grid: Grid) -> str:
    return Lengths.of([grid]).text(grid.spacing_mm, digits=6)


def _x(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))
