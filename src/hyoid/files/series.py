"""Where DICOM slices lie: from positions and directions of planes to one grid, with tilt and gaps named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.grid import Grid

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_TILT_DEGREES = 0.5


@dataclass(frozen=True)
class Plane:
    """One slice in patient space (LPS millimetres)."""

    position: np.ndarray  # centre of the first pixel
    along_row: np.ndarray  # unit vector in which the column index grows
    along_column: np.ndarray  # unit vector in which the row index grows
    spacing_mm: tuple[float, float]  # distance between rows, then between columns
    thickness_mm: float  # 0 when unknown

    @property
    def normal(self) -> np.ndarray:
        """Unit vector at right angles to the slice."""
        return np.cross(self.along_row, self.along_column)

    @property
    def depth(self) -> float:
        """Position along the normal, by which slices are sorted."""
        return float(self.position @ self.normal)


def plane_of(ds: Any) -> Plane | None:
    """The plane of a single-frame data set, or None when it does not say where it lies."""
    return _plane(ds.get("ImagePositionPatient"), ds.get("ImageOrientationPatient"), ds)


def frame_planes(ds: Any) -> list[Plane]:
    """The planes of a multi-frame data set (enhanced CT/MR, or dose grids), empty when they are not given."""
    count = int(ds.NumberOfFrames)
    offsets = ds.get("GridFrameOffsetVector")
    first = plane_of(ds)
    if offsets is not None and first is not None and len(offsets) == count:
        depths = np.asarray(offsets, float) - float(offsets[0])
        return [replace(first, position=first.position + d * first.normal, thickness_mm=0.0) for d in depths]
    shared = (ds.get("SharedFunctionalGroupsSequence") or [None])[0]
    frames = ds.get("PerFrameFunctionalGroupsSequence") or []
    planes = [_plane_of_frame(frame, shared) for frame in frames]
    return [p for p in planes if p is not None] if planes and all(planes) else []


def _plane_of_frame(frame: Any, shared: Any) -> Plane | None:
    def item(name: str) -> Any:
        for group in (frame, shared):
            if group is not None and group.get(name):
                return group.get(name)[0]
        return {}

    position = item("PlanePositionSequence").get("ImagePositionPatient")
    orientation = item("PlaneOrientationSequence").get("ImageOrientationPatient")
    return _plane(position, orientation, item("PixelMeasuresSequence"))


def _plane(position: Any, orientation: Any, measures: Any) -> Plane | None:
    spacing = measures.get("PixelSpacing")
    if not position or not orientation or not spacing or len(orientation) != 6:
        return None
    vectors = np.asarray(orientation, float).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    if min(lengths) < 0.5:
        return None
    row, column = vectors / lengths[:, None]
    thickness = float(measures.get("SliceThickness") or 0.0)
    return Plane(np.asarray(position, float), row, column, (float(spacing[0]), float(spacing[1])), thickness)


def volume_grid(name: str, planes: list[Plane], frame_shape: tuple[int, int], notes: list[str]) -> Grid:
    """The grid with axes (x along rows, y along columns, slices) of sorted planes.

    Raises:
        DataError: When slices are missing, repeat, or do not have one direction.
    """
    planes = sorted(planes, key=lambda plane: plane.depth)
    first = planes[0]
    turned = [np.abs([p.along_row - first.along_row, p.along_column - first.along_column]).max() for p in planes]
    if max(turned) > 1e-2:
        raise DataError(f"{name}: the slices do not lie parallel to each other; keep one direction.")
    if not np.allclose([p.spacing_mm for p in planes], first.spacing_mm, rtol=1e-4):
        raise DataError(f"{name}: the slices differ in pixel spacing; keep those of one kind.")
    step = _step(name, planes, notes)
    affine = np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing_mm[1]
    affine[:3, 1] = first.along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    affine[:3] *= _LPS_TO_RAS[:, None]
    rows, columns = frame_shape
    return Grid.from_affine(affine, (columns, rows, len(planes)))


def _step(name: str, planes: list[Plane], notes: list[str]) -> np.ndarray:
    if len(planes) == 1:
        thickness = planes[0].thickness_mm
        if thickness <= 0:
            notes.append("A single slice without thickness; 1 mm is assumed.")
        return planes[0].normal * (thickness or 1.0)
    steps = np.diff([p.position for p in planes], axis=0)
    depths = np.diff([p.depth for p in planes])
    if min(depths) < 1e-3:
        raise DataError(f"{name}: several slices lie at one position; keep one acquisition of the series.")
    step = np.median(steps, axis=0)
    usual = float(np.median(depths))
    if len(wide := np.flatnonzero(depths > 1.5 * usual)):
        places = ", ".join(f"{planes[i].depth:.4g} and {planes[i + 1].depth:.4g}" for i in wide[:3])
        raise DataError(
            f"{name}: slices are missing between {places} mm along the series"
            f" (usual distance {usual:.4g} mm). Add the missing files, or remove those beyond the gap."
        )
    if float(np.abs(steps - step).max()) > max(0.01, 0.02 * usual):
        notes.append(f"Slice distances vary between {min(depths):.4g} and {max(depths):.4g} mm; the mean is used.")
    step = (planes[-1].position - planes[0].position) / (len(planes) - 1)
    tilt = float(np.degrees(np.arccos(np.clip(step @ planes[0].normal / np.linalg.norm(step), -1, 1))))
    if tilt > _TILT_DEGREES:
        notes.append(f"Gantry tilt of {tilt:.1f} degrees: slices are shifted sideways, and the grid follows them.")
    return np.asarray(step)


def flat_grid(ds: Any, frame_shape: tuple[int, int], notes: list[str]) -> Grid:
    """The grid (rows, columns) of an image without a place in space: X-ray, ultrasound, photographs."""
    for key in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = ds.get(key)
        if spacing and len(spacing) == 2 and min(map(float, spacing)) > 0:
            if key != "PixelSpacing":
                notes.append("The pixel size is that at the detector, so lengths include magnification.")
            return Grid.plain(frame_shape, (float(spacing[0]), float(spacing[1])))
    regions = ds.get("SequenceOfUltrasoundRegions") or []
    if len(regions) == 1 and all(regions[0].get(f"PhysicalUnits{axis}Direction") == 3 for axis in "XY"):
        down, across = (abs(float(regions[0].get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX")  # 3: cm
        if down > 0 and across > 0:
            return Grid.plain(frame_shape, (down, across))
    return Grid.plain(frame_shape)
