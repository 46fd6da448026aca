"""Metrics of the distance between two surfaces.

Conventions, the same for all of them: a surface voxel belongs to the mask and has a face neighbour (4 in 2D, 6 in 3D)
that does not; outside the image there is nothing, so a mask cut by the border has a surface there; distances go from
voxel centre to voxel centre in units of the spacing; every surface voxel counts the same.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from .metric import metric
from .pair import Pair


@metric("hd95", papers="huttenlocher1993hausdorff", best=0.0, worst=float("inf"), unit="mm")
def hd95(pair: Pair, pooling: Literal["max", "pooled"] = "max") -> float:
    """Distance to the other surface that 95 % of each surface stays within.

    Args:
        pair: Both masks.
        pooling: "max": the larger of the two directed 95th percentiles, as in MONAI and the Metrics Reloaded
            recommendations. "pooled": the percentile of both sets of distances together, as in MedPy, which is
            never larger.
    """
    there, back = pair.surface_distances
    if pooling == "pooled":
        return float(np.percentile(np.concatenate([there, back]), 95))
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


@metric("assd", papers="heimann2009comparison", best=0.0, worst=float("inf"), unit="mm")
def assd(pair: Pair) -> float:
    """Mean distance of all voxels of both surfaces to the other surface (average symmetric surface distance)."""
    there, back = pair.surface_distances
    return float((there.sum(dtype=float) + back.sum(dtype=float)) / (there.size + back.size))


@metric("nsd", papers="nikolov2021surface", best=1.0, worst=0.0)
def nsd(pair: Pair, tolerance_mm: float = 1.0) -> float:
    """Share of both surfaces that lies within a tolerance of the other one (normalised surface Dice).

    Args:
        pair: Both masks.
        tolerance_mm: Distance that still counts as agreement; below the voxel size only equal surfaces agree.
    """
    there, back = pair.surface_distances
    within = np.count_nonzero(there <= tolerance_mm) + np.count_nonzero(back <= tolerance_mm)
    return within / (there.size + back.size)
