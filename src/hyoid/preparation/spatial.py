"""Spatial steps: each takes a case and gives it on another grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.case import Case, Image
from ..core.grid import Grid
from ..ops.morphology import bounding_box, fill_holes
from ..ops.resample import onto


def content(image: Image, filled: bool = True) -> np.ndarray:
    """Where any channel differs from zero, boolean (*S); holes are filled unless only the box of it is wanted."""
    mask = (image.array != 0).any(0)
    return fill_holes(mask) if filled else mask


def crop_to_content(case: Case, mask: np.ndarray) -> tuple[Case, np.ndarray]:
    """The case and the mask cut to the box of the mask; unchanged when the mask is empty."""
    box = bounding_box(mask)
    if box is None:
        return case, mask
    grid = case.image.grid.cropped([part.start for part in box], [part.stop - part.start for part in box])
    return moved(case, grid), mask[box]


def target_grid(grid: Grid, spacing_mm: Sequence[float | None]) -> Grid:
    """The grid of the same extent with this spacing; None keeps the spacing of an axis."""
    return grid.with_spacing([new or old for new, old in zip(spacing_mm, grid.spacing_mm, strict=True)])


def moved(case: Case, grid: Grid, order: int | None = None, averaged: bool = False) -> Case:
    """The case on another grid: images and target image as `onto` takes them, labels without inventing values."""
    alike = case.truth is not None and case.truth.kind == case.image.kind
    truth = case.truth and onto(case.truth, grid, order if alike else None, averaged=averaged)
    other = case.other and onto(case.other, grid, order, averaged=averaged)
    return replace(case, image=onto(case.image, grid, order, averaged=averaged), truth=truth, other=other)
