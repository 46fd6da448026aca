"""Metrics of the distance between two surfaces.

Conventions. *Voxels*: a surface voxel belongs to the mask and has a face neighbour (4 in 2D, 6 in 3D) that does not;
outside the image there is nothing, so a mask cut by the border has a surface there; distances go from voxel centre to
voxel centre in units of the spacing; every surface voxel counts the same. *Area*: elements of surface lie at the
corners where voxels meet, and count by their area (length in 2D). Metrics of one convention read the same distances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.lengths import step_of
from .metric import Percent, Positive, metric
from .pair import Pair

_DISTANCE: dict[str, Any] = {"best": 0.0, "worst": float("inf"), "unit": "mm"}
_SHARE: dict[str, Any] = {"best": 1.0, "worst": 0.0}


@metric("hausdorff", papers="huttenlocher1993hausdorff", convention="voxels, larger of both ways", **_DISTANCE)
def hausdorff(pair: Pair, percentile: Percent = 100.0) -> float:
    """Distance to the other surface that a percentage of each surface stays within; at 100 the largest of all.

    max(P(d(p, R)), P(d(r, P))): the larger of the two directed values.

    Args:
        percentile: How much of each surface has to be within the distance.
    """
    there, back = pair.surface_distances
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


@metric("hd95", papers="huttenlocher1993hausdorff", convention="voxels, larger of both ways", **_DISTANCE)
def hd95(pair: Pair) -> float:
    """Distance to the other surface that 95 % of each surface stays within.

    The larger of the two directed 95th percentiles, as in MONAI and the Metrics Reloaded recommendations. It is the
    default since a small surface that is far off counts as much as a large one, so nothing missed is diluted.
    """
    return hausdorff(pair, 95.0)


@metric("hd95_pooled", papers="huttenlocher1993hausdorff", convention="voxels, both ways together", **_DISTANCE)
def hd95_pooled(pair: Pair) -> float:
    """The 95th percentile of both sets of distances together, as in MedPy.

    Smaller than hd95 but for surfaces of a few voxels, where percentiles are interpolated: a small surface that is far
    off hides behind a large one that is near.
    """
    return float(np.percentile(np.concatenate(pair.surface_distances), 95))


@metric("hd95_area", papers="nikolov2021surface", convention="area, larger of both ways", **_DISTANCE)
def hd95_area(pair: Pair) -> float:
    """Distance that 95 % of the area of each surface stays within, as in the package surface-distance."""
    return max(_weighted_percentile(*elements, 0.95) for elements in pair.element_distances)


@metric("assd", papers="heimann2009comparison", convention="voxels, both ways together", **_DISTANCE)
def assd(pair: Pair) -> float:
    """Mean distance of all voxels of both surfaces to the other surface (average symmetric surface distance)."""
    there, back = pair.surface_distances
    return float((there.sum() + back.sum()) / (there.size + back.size))


@metric("masd", papers="maierhein2024metrics", convention="voxels, mean of both ways", **_DISTANCE)
def masd(pair: Pair) -> float:
    """Mean of the two directed mean distances, so that both surfaces count the same whatever their size."""
    there, back = pair.surface_distances
    return float((there.mean() + back.mean()) / 2)


@metric("msd", papers="heimann2009comparison", convention="voxels, one way", **_DISTANCE)
def msd(pair: Pair) -> float:
    """Mean distance from the surface of the prediction to that of the reference; what is missed counts for nothing."""
    return float(pair.surface_distances[0].mean())


@metric("nsd", papers="nikolov2021surface", convention="voxels", **_SHARE)
def nsd(pair: Pair, tolerance_mm: Positive | None = None) -> float:
    """Share of both surfaces that lies within a tolerance of the other one (normalised surface Dice).

    Counts voxels, as MONAI does; the default, since its surface is the one that all other distances here go to.

    Args:
        tolerance_mm: Distance that still counts as agreement; below the voxel size only equal surfaces agree. When
            None, the edge of a voxel, but at least 1 mm where that is 0.25 mm or more.
    """
    there, back = pair.surface_distances
    within = sum(np.count_nonzero(distances <= _up_to(tolerance_mm, pair)) for distances in (there, back))
    return within / (there.size + back.size)


@metric("nsd_area", papers="nikolov2021surface", convention="area", **_SHARE)
def nsd_area(pair: Pair, tolerance_mm: Positive | None = None) -> float:
    """Share of the area of both surfaces within a tolerance of the other one, as published and in surface-distance.

    Args:
        tolerance_mm: Distance that still counts as agreement; when None as for `nsd`.
    """
    both = pair.element_distances
    within = sum(areas[distances <= _up_to(tolerance_mm, pair)].sum() for distances, areas in both)
    return float(within / sum(areas.sum() for _, areas in both))


@metric("boundary_iou", papers="cheng2021boundary", **_SHARE)
def boundary_iou(pair: Pair, depth_mm: Positive | None = None) -> float:
    """Overlap of the rims of both masks relative to their union; a rim is what lies within a depth of the surface.

    |(P_d and P) n (R_d and R)| / |(P_d and P) u (R_d and R)|

    Args:
        depth_mm: Depth of the rims, from the surface voxels inwards; 2 % of the image diagonal, as published, when
            None.
    """
    predicted, reference = pair.rims(0.02 * pair.diagonal_mm if depth_mm is None else depth_mm)
    return np.count_nonzero(predicted & reference) / np.count_nonzero(predicted | reference)


def _up_to(tolerance_mm: float | None, pair: Pair) -> float:
    """A tolerance, or that of the voxel size, with rounding allowed for: ten voxels of 0.1 mm lie within 1 mm.

    Headers keep spacings, and distance transforms distances, in single precision.
    """
    return (tolerance_mm or step_of(pair.spacing_mm)) * (1 + 1e-6)


def _weighted_percentile(distances: np.ndarray, areas: np.ndarray, share: float) -> float:
    """The smallest distance that this share of the area stays within."""
    order = np.argsort(distances)
    covered = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][min(int(np.searchsorted(covered, share)), len(order) - 1)])
