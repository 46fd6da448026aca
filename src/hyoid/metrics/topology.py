"""Metrics of how a structure hangs together: centre lines, pieces and holes.

They forgive borders that are a little off and see a gap of one voxel. All count in voxels, whatever the spacing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.skeleton import betti_numbers, warped
from .metric import metric
from .pair import Pair

_SHARE: dict[str, Any] = {"best": 1.0, "worst": 0.0}


@metric("cl_dice", papers="shit2021cldice", **_SHARE)
def cl_dice(pair: Pair) -> float:
    """Harmonic mean of the shares of each centre line that lie inside the other mask (centre line Dice).

    2 a b / (a + b) with a = |S_P n R| / |S_P| and b = |S_R n P| / |S_R|, S the skeleton of a mask: simple voxels taken
    away by their distance to the outside, centres of largest balls kept as ends (`ops.skeleton`). The paper's code
    takes scikit-image's `skeletonize`, by which values differ by a few hundredths.
    """
    predicted, reference = pair.skeletons
    right = np.count_nonzero(predicted & pair.reference) / np.count_nonzero(predicted)
    found = np.count_nonzero(reference & pair.prediction) / np.count_nonzero(reference)
    return 2 * right * found / (right + found) if right + found else 0.0


@metric("betti_error", papers="hu2019topology", best=0.0, worst=float("inf"), defined_for_empty=True)
def betti_error(pair: Pair) -> float:
    """How many pieces, holes and cavities there are too many or too few, added up; where they lie does not matter.

    Sum over k of |b_k(P) - b_k(R)| for the whole structure (published for patches); foreground is connected over
    corners, background over faces.
    """
    both = zip(betti_numbers(pair.prediction), betti_numbers(pair.reference), strict=True)
    return float(sum(abs(predicted - reference) for predicted, reference in both))


@metric("warping_error", papers="jain2010boundary", best=0.0, worst=1.0)
def warping_error(pair: Pair) -> float:
    """Share of the image's voxels that still differ after the reference was moved to the prediction without tearing.

    The reference changes voxel by voxel as long as no piece or hole appears or goes; what remains are gaps, bridges and
    holes. The order of changes matters a little.
    """
    return np.count_nonzero(warped(pair.reference, pair.prediction) != pair.prediction) / pair.num_voxels
