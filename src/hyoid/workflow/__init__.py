"""The verbs: what a person asks for. Command line, reference page and `hyoid.<verb>` follow from their signatures.

`VERBS` holds their records in the order in which they are shown. Read in this order:

- `signatures`: what is known of a verb, as data; the check of its arguments
- `verbs`: inspect, plan, prepare, train, predict, report, cite
- `judging`: evaluate and compare; `seeds`, which runs differ by their seed alone
- `everything`: run and demo, which call the others
- `approval`: trust, which lets Python files of a run be executed
- `diagnosis`: doctor, what this machine is and can do
- `shelf`: show_nets (`hyoid nets`), the table of the family and the sheet of one net
- `question`: what was asked of a run, and whether it is asked again
- `beginning`: the weights a net begins with
- `lineage`: what nets had learned from before their own training
- `outlook`: why a net may be worth less than its numbers, and what would help
- `forecast`: what the whole run will cost
- `voxel_weights`: maps that weigh voxels in the loss
- `loading`: load, a trained run that answers in memory; `cases`: prepared cases for somebody's own loop
- `answers`: predicting cases into files and judging them
- `own_cases`: the answers of a run to cases that judge it; how its net learns from cases after another run
- `testing`: the cases that are kept for a test
- `origin`: what made the answers in a folder
- `prepared`: the prepared cases of a run
- `patches`: patches of prepared cases, for what is calibrated on them
- `large`: the same for images that do not fit the memory, in parts
- `data_story`, `model_story`: the data sheet; the net and what is needed to train it again
- `rivals`: what classical methods reach on the same cases
- `story`: what the report page tells of a run
"""

from .approval import trust
from .diagnosis import doctor
from .everything import demo, run
from .judging import compare, evaluate
from .shelf import show_nets
from .signatures import described
from .verbs import cite, inspect, plan, predict, prepare, report, train

_ORDER = (run, inspect, plan, prepare, train, predict, evaluate, compare, report, demo, cite, show_nets, trust, doctor)
VERBS = tuple(described(function) for function in _ORDER)
