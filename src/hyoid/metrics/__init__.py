"""How good an answer is: numbers that compare a prediction with a reference.

Read in this order:

- `metric`: Metric and the shelf `metrics`; Rules, what happens when a mask is empty; `measure`
- `finding`: Finding, which side holds anything
- `pair`: Pair, one structure in two masks, and what all metrics share about it (counts, surface distances)
- `overlap`: Dice, IoU, precision, recall, agreement beyond chance, errors of size
- `surface`: Hausdorff distance, ASSD, NSD, boundary IoU, with their conventions
- `topology`: centre line Dice, Betti error, warping error
- `objects`: Objects, numbered objects in two images, and the overlaps all their metrics share
- `instances`: AP, F1, panoptic quality, AJI, SEG, Rand error, variation of information
- `lesions`: detection of connected pieces, and FROC
- `calibration`: Beliefs, probabilities beside the truth: ECE, Brier, AUC
- `restoration`: Images, a restored beside the true one: PSNR, SSIM, MAE, NRMSE
- `registration`: Landmarks and Motion: target registration error, end point error, folds
- `shelves`: every shelf, and which metrics an evaluation can use

The conventions and the rules for empty masks are told in `docs/concepts/metrics.md`.
"""

from . import calibration, instances, lesions, overlap, registration, restoration, surface, topology
from .metric import DEFAULT_METRICS, Metric, Rules, measure, metrics
from .objects import Objects
from .pair import Pair, pairs_of
from .shelves import SHELVES, of_files

__all__ = [
    "DEFAULT_METRICS",
    "SHELVES",
    "Metric",
    "Objects",
    "Pair",
    "Rules",
    "calibration",
    "instances",
    "lesions",
    "measure",
    "metrics",
    "of_files",
    "overlap",
    "pairs_of",
    "registration",
    "restoration",
    "surface",
    "topology",
]
