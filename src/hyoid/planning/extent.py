"""Images without a pixel size that show one thing in different resolution, found by the sizes of structures.

A photograph, an endoscopy or an X-ray without a pixel size shows much the same part of a body whatever the camera, so
a structure takes the same share of every image and a varying number of pixels. A tile of a microscope shows as much as
was cut, and a cell has the same number of pixels in every tile. Which of both a set is, its structures say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from ..core.settings import Settings
from .measure import CaseFacts, Objects

LEAST = 0.1
"""Variation of the edges of images below which resampling is not worth its blur; augmentation scales by more."""

LESS = 0.8
"""How much less than in pixels the sizes have to vary relative to the image."""

CHANCE = 0.01
"""Largest probability of as clear a figure by chance."""


class Extent(Settings):
    """How the images of a set differ in size, and their structures with them.

    An edge is the root of the area. A variation is the standard deviation of logarithms, near a coefficient of
    variation, by the 10th and 90th percentile, so that a few wrong cases do not matter.
    """

    edges: float = Field(description="Variation of the edges of images.")
    relative: float = Field(description="Variation of the thickness of structures, in edges of their image.")
    absolute: float = Field(description="The same as the files have it, in pixels (mm where the pixel size is known).")
    chance: float = Field(description="Probability that structures that do not grow with the image look as if they do.")
    num_cases: int = Field(description="Cases whose structures were measured.")

    @property
    def common(self) -> bool:
        """Whether structures take the same share of every image rather than the same number of pixels."""
        return self.edges >= LEAST and self.relative < LESS * self.absolute and self.chance < CHANCE

    def __str__(self) -> str:
        files = f"by {self.absolute:.2f} as the files have them"
        return f"sizes of structures vary by {self.relative:.2f} relative to the image and {files}"


def find_extent(cases: Sequence[CaseFacts], objects: Sequence[Sequence[Objects | None]]) -> Extent | None:
    """How sizes vary over flat images of which some do not know their pixel size; None for others.

    The size of a structure is its typical thickness, which does not depend on how many objects an image shows. With
    s the thickness in pixels and e the edge, log(s / e) varies less than log(s) when log(s) grows with more than half
    the slope of log(e), so Kendall's rank correlation of log(s) - log(e) / 2 with log(e) tells chance from law without
    a model; one wrong case moves it little.

    Args:
        cases: What is known of each case.
        objects: Of each structure in each case, None where it was not measured; empty without annotation.
    """
    if all(case.calibrated for case in cases) or len(cases[0].shape) != 2:
        return None
    edges = np.log([case.edge_mm for case in cases])
    sizes = np.array([[np.nan if one is None else np.log(one.fine_mm) for one in row] for row in objects if row])
    measured = np.array([bool(row) and any(one is not None for one in row) for row in objects])
    if measured.sum() < 2:
        return None
    own = sizes[~np.isnan(sizes).all(1)]
    # Structures that are never there have no median; the others say together how large a case shows things.
    own = own[:, ~np.isnan(own).all(0)]
    size, edge = np.nanmean(own - np.nanmedian(own, 0), 1), edges[measured]
    return Extent(
        edges=_variation(edge),
        relative=_variation(size - edge),
        absolute=_variation(size),
        chance=_chance(size - edge / 2, edge),
        num_cases=len(edge),
    )


def _variation(logarithms: np.ndarray) -> float:
    low, high = np.percentile(logarithms, (10, 90))
    return float(high - low) / 2.563  # as far apart are they in a normal distribution


def _chance(values: np.ndarray, edges: np.ndarray) -> float:
    """One-sided probability of Kendall's rank correlation; 1 when all edges, or all values, are equal."""
    from scipy.stats import kendalltau

    found = float(kendalltau(values.round(9), edges.round(9), alternative="greater").pvalue)
    return found if np.isfinite(found) else 1.0
