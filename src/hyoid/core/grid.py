"""Grid: where the voxels of an image lie in the body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from .errors import ConfigError, DataError
from .lengths import Lengths

_CODES = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an image lie: the memory of preprocessing.

    Axes follow the array: `shape[0]` counts voxels along its first axis. In 3D, world coordinates are
    millimetres with x to the right, y to the front and z to the head (RAS). In 2D, the world is the image
    plane itself, rows then columns.

    Attributes:
        shape: Number of voxels along each array axis (2 or 3 of them).
        spacing_mm: Distance between voxel centres along each array axis.
        origin_mm: World position of the centre of voxel 0.
        direction: Square matrix as rows; column j is the world unit vector of array axis j. Columns need not
            be at right angles (gantry tilt, sheared headers).
        calibrated: False when the file does not know its pixel size; spacing is then 1 and lengths are pixels.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...]
    direction: tuple[tuple[float, ...], ...]
    calibrated: bool = True

    def __post_init__(self) -> None:
        dims = len(self.shape)
        if dims not in (2, 3) or len(self.spacing_mm) != dims or len(self.origin_mm) != dims:
            raise DataError(f"A grid has 2 or 3 axes; got shape {self.shape} and spacing {self.spacing_mm}.")
        if np.shape(self.direction) != (dims, dims):
            raise DataError(f"A {dims}D grid needs a {dims}x{dims} direction; got {np.shape(self.direction)}.")
        if min(self.shape) < 1 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise DataError(f"A grid needs voxels and positive spacing; got shape {self.shape}, {self.spacing_mm} mm.")

    @classmethod
    def plain(cls, shape: Sequence[int], spacing_mm: Sequence[float] | None = None) -> Grid:
        """A grid along the world axes at the origin; uncalibrated when no spacing is given."""
        dims = len(shape)
        spacing = tuple(float(s) for s in spacing_mm) if spacing_mm is not None else (1.0,) * dims
        identity = tuple(tuple(float(i == j) for j in range(dims)) for i in range(dims))
        return cls(tuple(int(n) for n in shape), spacing, (0.0,) * dims, identity, spacing_mm is not None)

    @classmethod
    def from_affine(cls, affine: np.ndarray, shape: Sequence[int], calibrated: bool = True) -> Grid:
        """The grid whose voxel index to world map is this (dims+1)x(dims+1) affine (RAS millimetres)."""
        affine = np.asarray(affine, float)
        dims = len(shape)
        columns = affine[:dims, :dims]
        spacing = np.linalg.norm(columns, axis=0)
        if not np.isfinite(affine).all() or not (spacing > 0).all() or abs(np.linalg.det(columns / spacing)) < 1e-6:
            steps = ", ".join("(" + ", ".join(f"{mm:.4g}" for mm in column) + ")" for column in columns.T)
            raise DataError(
                f"The affine does not span {dims} dimensions: steps along its axes are {steps} mm. "
                "Correct the orientation in the header, as by copying that of another image on the same grid."
            )
        return cls(
            tuple(int(n) for n in shape),
            tuple(spacing.tolist()),
            tuple(affine[:dims, dims].tolist()),
            tuple(map(tuple, (columns / spacing).tolist())),
            calibrated,
        )

    @property
    def in_voxels(self) -> Grid:
        """The same voxels, with lengths that count them."""
        return replace(self, spacing_mm=(1.0,) * self.dims, calibrated=False)

    @property
    def dims(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def affine(self) -> np.ndarray:
        """Voxel index to world millimetres, (dims+1)x(dims+1)."""
        affine = np.eye(self.dims + 1)
        affine[:-1, :-1] = np.asarray(self.direction) * np.asarray(self.spacing_mm)
        affine[:-1, -1] = self.origin_mm
        return affine

    @property
    def edge_mm(self) -> float:
        """Geometric mean of the lengths of the edges: the root of the area in 2D."""
        return math.prod(n * s for n, s in zip(self.shape, self.spacing_mm, strict=True)) ** (1 / self.dims)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel (area of a pixel in 2D), exact for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:-1, :-1])))

    @property
    def orientation(self) -> str:
        """Where each array axis points to, such as "RAS" or "LPS" (3D only)."""
        if self.dims != 3:
            raise DataError("Only a 3D grid has an anatomical orientation.")
        return "".join(_CODES[world][sign > 0] for world, sign in zip(*_nearest_axes(self.direction), strict=True))

    def to_world(self, index: np.ndarray) -> np.ndarray:
        """World millimetres of voxel indices, shape (..., dims)."""
        affine = self.affine
        return np.asarray(index, float) @ affine[:-1, :-1].T + affine[:-1, -1]

    def to_index(self, world: np.ndarray) -> np.ndarray:
        """Fractional voxel indices of world millimetres, shape (..., dims)."""
        affine = self.affine
        return (np.asarray(world, float) - affine[:-1, -1]) @ np.linalg.inv(affine[:-1, :-1]).T

    def cropped(self, start: Sequence[int], shape: Sequence[int]) -> Grid:
        """The box of this shape whose first voxel is `start`; it may reach outside (negative start pads)."""
        origin = tuple(self.to_world(np.asarray(start, float)).tolist())
        return replace(self, shape=tuple(int(n) for n in shape), origin_mm=origin)

    def padded(self, before: Sequence[int], after: Sequence[int]) -> Grid:
        """The grid with voxels added (negative: removed) at both ends of each axis."""
        shape = [n + b + a for n, b, a in zip(self.shape, before, after, strict=True)]
        return self.cropped([-b for b in before], shape)

    def transposed(self, axes: Sequence[int]) -> Grid:
        """The grid of `array.transpose(axes)`."""
        return replace(
            self,
            shape=tuple(self.shape[a] for a in axes),
            spacing_mm=tuple(self.spacing_mm[a] for a in axes),
            direction=tuple(tuple(row[a] for a in axes) for row in self.direction),
        )

    def flipped(self, axis: int) -> Grid:
        """The grid of `numpy.flip(array, axis)`."""
        last = np.zeros(self.dims)
        last[axis] = self.shape[axis] - 1
        direction = tuple(tuple(-v if j == axis else v for j, v in enumerate(row)) for row in self.direction)
        return replace(self, origin_mm=tuple(self.to_world(last).tolist()), direction=direction)

    def oriented(self, codes: str) -> Grid:
        """The same voxels with axes reordered and flipped so that they point to these letters, as in "RAS".

        Raises:
            ConfigError: When the letters do not name each of the three directions once.
        """
        mine = self.orientation
        if len(codes) != 3 or any(sum(code in group for code in codes) != 1 for group in _CODES):
            raise ConfigError(f"An orientation is one each of L/R, P/A and I/S, such as RAS; got {codes!r}.")
        axes = [next(i for i, c in enumerate(mine) if any(c in g and code in g for g in _CODES)) for code in codes]
        grid = self.transposed(axes)
        for axis, (code, source) in enumerate(zip(codes, axes, strict=True)):
            if mine[source] != code:
                grid = grid.flipped(axis)
        return grid

    def resized(self, shape: Sequence[int]) -> Grid:
        """The grid of this shape that covers the same extent (outer voxel faces stay where they are)."""
        shape = tuple(int(n) for n in shape)
        factor = np.asarray(self.shape) / np.asarray(shape)
        origin = self.to_world((factor - 1) / 2)
        spacing = tuple((np.asarray(self.spacing_mm) * factor).tolist())
        return replace(self, shape=shape, spacing_mm=spacing, origin_mm=tuple(origin.tolist()))

    def with_spacing(self, spacing_mm: Sequence[float]) -> Grid:
        """The grid of the same extent whose spacing is as near to this as whole voxels allow."""
        shape = [max(1, round(n * s / t)) for n, s, t in zip(self.shape, self.spacing_mm, spacing_mm, strict=True)]
        return self.resized(shape)

    def matches(self, other: Grid, tolerance_mm: float | None = None) -> bool:
        """Whether every voxel of the other grid lies where mine does, within 1e-3 of a millimetre and of a voxel."""
        if self.shape != other.shape:
            return False
        limit = 1e-3 * min(1.0, *self.spacing_mm) if tolerance_mm is None else tolerance_mm
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(self.dims, -1).T
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() <= limit)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        pose = f" {self.orientation}" if self.dims == 3 else ""
        return (
            f"{shape} at {Lengths.of([self]).text(self.spacing_mm)}{pose}"
            if self.calibrated
            else f"{shape} pixels of unknown size"
        )


def _nearest_axes(direction: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """For each array axis the world axis it lies nearest to (each taken once), and the sign."""
    matrix = np.asarray(direction)
    best = max(permutations(range(3)), key=lambda worlds: sum(abs(matrix[w, a]) for a, w in enumerate(worlds)))
    return best, tuple(float(np.sign(matrix[w, a])) for a, w in enumerate(best))
