"""Metrics of motion: do points land where they should, and does the motion fold space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.registry import Registry
from .finding import Compared, Finding
from .metric import Metric, metric

registration_metrics: Registry[Metric] = Registry("metric of registration", checked=True)


@dataclass(frozen=True)
class Landmarks(Compared):
    """Points after registration and where they belong, both (N, dims) in mm."""

    prediction: np.ndarray
    reference: np.ndarray

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float] | None = None) -> Landmarks:
        """Points in mm, or in voxels when a spacing is given.

        Raises:
            DataError: When there are not equally many points with equally many coordinates.
        """
        prediction, reference = np.asarray(prediction, float), np.asarray(reference, float)
        if prediction.shape != reference.shape or prediction.ndim != 2:
            raise DataError(
                f"Landmarks are two lists of points (N, dims); got {prediction.shape} and {reference.shape}."
            )
        scale = 1.0 if spacing_mm is None else np.asarray(spacing_mm, float)
        return cls(prediction * scale, reference * scale)

    @property
    def finding(self) -> Finding:
        """Absent when there are no points."""
        return "found" if len(self.reference) else "absent"


@dataclass(frozen=True)
class Motion(Compared):
    """A displacement field, beside another one or alone.

    Attributes:
        displacement: (dims, *S): how far each voxel moves along each axis, in mm.
        spacing_mm: Voxel size along each axis.
        reference: The true field; zeros when None was given.
    """

    displacement: np.ndarray
    spacing_mm: tuple[float, ...]
    reference: np.ndarray

    @classmethod
    def of(
        cls, prediction: np.ndarray, reference: np.ndarray | None = None, spacing_mm: Sequence[float] | None = None
    ) -> Motion:
        """A field (dims, *S) in mm, beside the true one; beside no motion when None.

        Raises:
            DataError: When the first axis does not hold one component for each other axis, or the shapes differ.
        """
        field = np.asarray(prediction, float)
        if len(field) != field.ndim - 1 or min(field.shape[1:]) < 2:
            raise DataError(f"A displacement field has shape (dims, *S) with two voxels or more; got {field.shape}.")
        true = np.zeros_like(field) if reference is None else np.asarray(reference, float)
        if true.shape != field.shape:
            raise DataError(f"Two fields of one shape are compared; got {field.shape} and {true.shape}.")
        return cls(field, tuple(map(float, spacing_mm)) if spacing_mm is not None else (1.0,) * len(field), true)

    def determinants(self) -> np.ndarray:
        """How many times larger each voxel gets, (*S): determinant of the Jacobian of x + u(x), central differences."""
        dims = len(self.displacement)
        jacobian = np.empty((*self.displacement.shape[1:], dims, dims))
        for component, moved in enumerate(self.displacement):
            for axis, change in enumerate(np.gradient(moved, *self.spacing_mm)):
                jacobian[..., component, axis] = change + (component == axis)
        return np.linalg.det(jacobian)


@metric("tre", best=0.0, worst=float("inf"), unit="mm", shelf=registration_metrics, compares=Landmarks)
def tre(landmarks: Landmarks) -> float:
    """Mean distance of points from where they belong (target registration error)."""
    return float(np.linalg.norm(landmarks.prediction - landmarks.reference, axis=1).mean())


_MOTION: dict[str, Any] = {"shelf": registration_metrics, "compares": Motion, "best": 0.0}


@metric("end_point_error", worst=float("inf"), unit="mm", **_MOTION)
def end_point_error(motion: Motion) -> float:
    """Mean distance between where a field and the true one move a voxel."""
    return float(np.linalg.norm(motion.displacement - motion.reference, axis=0).mean())


@metric("folds", papers="leow2007statistical", worst=1.0, convention="determinant not above 0", **_MOTION)
def folds(motion: Motion) -> float:
    """Share of voxels where the motion folds space, that is, where the Jacobian determinant is 0 or less."""
    return float(np.mean(motion.determinants() <= 0))


@metric("jacobian_spread", papers="leow2007statistical", worst=float("inf"), **_MOTION)
def jacobian_spread(motion: Motion) -> float:
    """Standard deviation of the logarithm of the Jacobian determinant (SDlogJ); folds count as 1e-9."""
    return float(np.log(np.maximum(motion.determinants(), 1e-9)).std())
