"""The steps of preparation in their order, and the settings that choose them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.settings import Settings
from .intensity import IntensitySettings
from .spatial import content, crop_to_content, moved, target_grid
from .voxel_size import check_voxel_size


class Before(Settings):
    """A run whose answers enter as channels behind those of the image, one for each of its structures."""

    run: str = Field(description="Folder of the run, or of the ensemble of its folds.")
    made_by: str = Field(description="Short hash of its weights and settings of prediction.")
    structures: tuple[str, ...] = Field(description="What each channel shows: 1 inside the structure, 0 elsewhere.")


class PreparationSettings(Settings):
    """How every case is prepared, in training and in prediction alike."""

    orientation: str | None = Field(None, description="Where axes point to, such as SAR; none keeps the file's axes.")
    crop: Literal["content", "none"] = Field("none", description="Cut to the box of what is not zero, holes filled.")
    intensity: tuple[IntensitySettings, ...] = Field((), description="One for each channel; empty is zscore for all.")
    target: tuple[IntensitySettings, ...] = Field(
        (), description="The same for a target image, one for each of its channels; empty keeps its numbers."
    )
    spacing_mm: tuple[float | None, ...] | None = Field(
        None, description="Voxel size along each axis after orientation; none keeps the file's, for one axis or all."
    )
    unit: Literal["mm", "voxel"] | None = Field(
        None, description="What spacing_mm counts; none is mm where a file knows its voxel size, and voxels elsewhere."
    )
    extent: float | None = Field(
        None,
        gt=0,
        description="Edge of every image in pixels, root of its area, whatever its pixel size; "
        "larger images are averaged over the pixels that become one.",
    )
    order: Literal[0, 1, 3] = Field(3, description="Spline order that resamples intensities.")
    before: Before | None = Field(None, description="The earlier stage of a cascade.")

    @model_validator(mode="after")
    def _agrees(self) -> PreparationSettings:
        if self.extent and self.spacing_mm:
            raise ValueError("extent and spacing_mm exclude each other; set one of them to null")
        return self


def prepare(case: Case, settings: PreparationSettings) -> Case:
    """The case as the net sees it: oriented, cropped, normalised, resampled; float32; and its truth and other image.

    The way back is `onto(result, case.image.grid)`. Crop comes before normalisation, so that the empty surroundings
    do not move the mean; normalisation before resampling, so that splines see the clipped intensities.

    Raises:
        DataError: When the number of channels or axes is not what the settings were made for, or the voxel size can
            only be mistaken.
    """
    check(case, settings)
    spacing_mm = spacing_of(case.image.grid, settings)
    if settings.orientation and case.image.grid.dims == 3:
        case = moved(case, oriented(case.image.grid, settings))
    mask = None
    inside = any(one.options.get("content_only") for one in (*settings.intensity, *settings.target))
    crop = settings.crop == "content" and not is_colour(case)
    if inside or crop:
        mask = content(case.image, filled=inside)
    if crop and mask is not None:
        case, mask = crop_to_content(case, mask)
    case = _normalised(case, settings, mask)
    if not spacing_mm:
        return case
    return moved(case, target_grid(case.image.grid, spacing_mm), settings.order, settings.extent is not None)


def check(case: Case, settings: PreparationSettings) -> None:
    """Refuse a case that has not the channels or axes that settings were made for, or a mistaken voxel size."""
    grid, channels = case.image.grid, case.image.channels
    if settings.intensity and len(settings.intensity) != channels:
        raise DataError(f"{case.id}: expected {len(settings.intensity)} channels as in training, got {channels}.")
    if settings.spacing_mm and len(settings.spacing_mm) != grid.dims:
        raise DataError(f"{case.id}: expected an image of {len(settings.spacing_mm)} dimensions, got {grid}.")
    if spacing_mm := settings.spacing_mm and spacing_of(grid, settings):
        check_voxel_size(case.id, oriented(grid, settings), spacing_mm)


def spacing_of(grid: Grid, settings: PreparationSettings) -> tuple[float | None, ...] | None:
    """Voxel size of an image along each axis once it is prepared.

    Where images get a common extent it is that of the whole image, whatever is cropped: headers know it, and what
    counts as empty border depends on compression and brightness. Where a plan counts millimetres, an image of unknown
    voxel size is taken to have that of the plan already.
    """
    if settings.extent is not None:
        return (grid.edge_mm / settings.extent,) * grid.dims
    if settings.spacing_mm and settings.unit == "mm" and not grid.calibrated:
        return None
    if settings.spacing_mm and settings.unit == "voxel" and len(settings.spacing_mm) == grid.dims:
        own = oriented(grid, settings).spacing_mm
        return tuple(count and count * size for count, size in zip(settings.spacing_mm, own, strict=True))
    return settings.spacing_mm


def prepared_grid(grid: Grid, settings: PreparationSettings, content: Grid | None = None) -> Grid:
    """Where an image lies once it is prepared; all of it, or what `content` covers."""
    spacing_mm, grid = spacing_of(grid, settings), oriented(content or grid, settings)
    return target_grid(grid, spacing_mm) if spacing_mm else grid


def oriented(grid: Grid, settings: PreparationSettings) -> Grid:
    """Where an image lies once its axes are turned."""
    return grid.oriented(settings.orientation) if settings.orientation and grid.dims == 3 else grid


def is_colour(case: Case) -> bool:
    """Whether a case is a colour picture, of which no border is empty."""
    return case.image.grid.dims == 2 and case.image.channels == 3


def _normalised(case: Case, settings: PreparationSettings, mask: np.ndarray | None) -> Case:
    schemes, truth, other = settings.intensity or (IntensitySettings(),) * case.image.channels, case.truth, case.other
    image = _schemed(case.image, schemes, mask)
    if other is not None:  # what is measured of an image is measured of this one, too
        other = _schemed(other, schemes[: other.channels], None if mask is None else content(other))
    if truth is not None and truth.kind == "intensities":
        schemes = settings.target or (IntensitySettings(scheme="none"),) * truth.channels
        if len(schemes) != truth.channels:
            raise DataError(f"{case.id}: expected a target of {len(schemes)} channels, got {truth.channels}.")
        truth = _schemed(truth, schemes, mask)
    return replace(case, image=image, truth=truth, other=other)


def _schemed(image: Image, schemes: Sequence[IntensitySettings], mask: np.ndarray | None) -> Image:
    array = np.empty(image.array.shape, np.float32)
    for channel, one, result in zip(image.array, schemes, array, strict=True):
        result[...] = one.build()(channel, mask)
    return image.with_array(array, "intensities")
