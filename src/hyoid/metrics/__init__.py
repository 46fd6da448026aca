"""How good an answer is: numbers that compare a predicted mask with a reference mask.

Read in this order:

- `pair`: Pair, one structure in two masks, and what all metrics share about it (counts, surface distances)
- `metric`: Metric and the shelf `metrics`; Rules, what happens when a mask is empty; `measure`
- `overlap`: Dice, IoU, precision, recall, agreement beyond chance, errors of size
- `surface`: Hausdorff distance, ASSD, NSD, boundary IoU, with their conventions
- `confusion`: all structures of a label map at once, from one joint histogram

The conventions and the rules for empty masks are told in `docs/concepts/metrics.md`.
"""

from . import overlap, surface
from .metric import DEFAULT_METRICS, Metric, Rules, measure, metrics
from .pair import Pair, pairs_of

__all__ = ["DEFAULT_METRICS", "Metric", "Pair", "Rules", "measure", "metrics", "overlap", "pairs_of", "surface"]
