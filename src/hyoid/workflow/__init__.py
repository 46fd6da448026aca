"""The verbs: what a person asks for. Command line, reference page and `hyoid.<verb>` follow from their signatures.

Read in this order:

- `verbs`: inspect, plan, prepare, train, predict, report, cite
- `judging`: evaluate and compare
- `everything`: run and demo, which call the others
- `shelf`: nets, the table of the family and the sheet of one net
- `question`: what was asked of a run, and whether it is asked again
- `beginning`: the weights a net begins with
- `forecast`: what the whole run will cost
- `voxel_weights`: maps that weigh voxels in the loss
- `answers`: predicting cases into files and judging them
- `own_cases`: the answers of a run to cases that judge it; how its net learns from cases after another run
- `origin`: what made the answers in a folder
- `prepared`: the prepared cases of a run
- `patches`: patches of prepared cases, for what is calibrated on them
- `large`: the same for images that do not fit the memory, in parts
- `data_story`, `model_story`: the data sheet; the net and what is needed to train it again
- `rivals`: what classical methods reach on the same cases
- `story`: what the report page tells of a run
"""

from .everything import demo, run
from .judging import compare, evaluate
from .shelf import nets
from .verbs import cite, inspect, plan, predict, prepare, report, train

__all__ = [
    "cite",
    "compare",
    "demo",
    "evaluate",
    "inspect",
    "nets",
    "plan",
    "predict",
    "prepare",
    "report",
    "run",
    "train",
]
