"""Flip, rotation, scaling, shear and shift, and how all that was drawn becomes one Warp."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
from pydantic import Field

from ..core.errors import ConfigError
from ..ops.warp import Warp
from .transform import Frame, Motion, Range, SpatialTransform, transforms

UPRIGHT = 30.0
"""Largest angle in a plane with an axis that may not be mirrored; half a turn would mirror both axes."""


@transforms.register("flip")
class Flip(SpatialTransform):
    """Mirrors each allowed axis with a probability of its own; without resampling when nothing else is drawn."""

    axis_probability: float = Field(0.5, ge=0, le=1, description="How often each axis is mirrored.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion:
        drawn = rng.random(frame.dims) < self.axis_probability
        return Motion(matrix=np.diag([-1.0 if drawn[a] and a in frame.mirror_axes else 1.0 for a in range(frame.dims)]))


@transforms.register("rotation")
class Rotation(SpatialTransform):
    """Turns about the patch centre, in millimetres; within the plane when one axis is thick or has one voxel."""

    degrees: float = Field(30.0, ge=0, description="Largest angle about each axis of a volume.")
    planar_degrees: float = Field(180.0, ge=0, description="Largest angle when only a plane is turned.")
    oblong_degrees: float = Field(15.0, ge=0, description="The same for 2D patches with sides over 3:2.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion | None:
        if len(frame.moving) < 2:
            return None
        matrix = np.eye(frame.dims)
        for first, second in combinations(frame.moving, 2):
            angle = np.deg2rad(self.strength * rng.uniform(-1, 1) * self.largest(frame))
            turn = np.eye(frame.dims)
            turn[np.ix_([first, second], [first, second])] = (
                (np.cos(angle), -np.sin(angle)),
                (np.sin(angle), np.cos(angle)),
            )
            matrix = matrix @ turn
        return Motion(matrix=matrix)

    def largest(self, frame: Frame) -> float:
        """The largest angle for this patch, before `strength`; at most 30 degrees where an axis may not be mirrored."""
        if len(frame.moving) == 3:
            return self.degrees
        edges = [frame.shape[axis] for axis in frame.moving]
        flat = all(frame.shape[axis] == 1 for axis in range(frame.dims) if axis not in frame.moving)
        angle = self.oblong_degrees if flat and max(edges) > 1.5 * min(edges) else self.planar_degrees
        return angle if set(frame.moving) <= set(frame.mirror_axes) else min(angle, UPRIGHT)


@transforms.register("scaling")
class Scaling(SpatialTransform):
    """Takes the patch from a smaller or larger part of the source: below 1 objects grow, above 1 they shrink."""

    factor: Range = Field((0.7, 1.4), description="Smallest and largest factor, drawn evenly.")
    each_axis: bool = Field(False, description="Whether every axis draws its own factor.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion:
        factors = np.ones(frame.dims)
        drawn = rng.uniform(*self.factor, len(frame.moving) if self.each_axis else 1)
        factors[list(frame.moving)] = np.maximum(self.about(1, drawn), 0.05)
        return Motion(matrix=np.diag(factors))


@transforms.register("shear")
class Shear(SpatialTransform):
    """Moves each axis along with each other one, in millimetres per millimetre."""

    largest: float = Field(0.2, ge=0, description="Largest slope, drawn evenly to either side.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion | None:
        if len(frame.moving) < 2:
            return None
        matrix = np.eye(frame.dims)
        for along, by in permutations(frame.moving, 2):
            matrix[along, by] = self.strength * rng.uniform(-self.largest, self.largest) / (len(frame.moving) - 1)
        return Motion(matrix=matrix)


@transforms.register("shift")
class Shift(SpatialTransform):
    """Moves the patch by whole voxels, so that nothing is resampled for its sake."""

    largest: float = Field(0.1, ge=0, description="Largest move as a share of the patch edge.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion:
        reach = self.strength * self.largest * np.array(frame.shape)
        return Motion(shift=np.rint(rng.uniform(-1, 1, frame.dims) * reach))


def compose(motions: Sequence[Motion], frame: Frame, start: Sequence[int]) -> Warp:
    """One Warp for everything that was drawn.

    Args:
        motions: In the order in which they act on the source.
        frame: The patch.
        start: Source index of the patch's first voxel before anything moves.

    Raises:
        ConfigError: When there are two elastic deformations.
    """
    controls = [motion.control for motion in motions if motion.control is not None]
    if len(controls) > 1:
        raise ConfigError("A policy can have one elastic transform at a time; remove one of them.")
    matrix, shift = np.eye(frame.dims), np.zeros(frame.dims)
    for motion in motions:
        matrix = matrix if motion.matrix is None else matrix @ motion.matrix
        shift = shift if motion.shift is None else shift + motion.shift
    spacing = np.asarray(frame.spacing_mm)
    if np.any(matrix != np.diag(np.diag(matrix))):  # flips and scalings need no spacing and stay exact
        matrix = matrix * spacing / spacing[:, None]
    middle = (np.asarray(frame.shape) - 1) / 2
    offset = np.asarray(start) + middle + shift - matrix @ middle
    return Warp(frame.shape, matrix, offset, controls[0] if controls else None)
