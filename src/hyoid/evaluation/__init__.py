"""Judging predictions against references: from two folders to tables with intervals, and runs against each other.

Read in this order:

- `evaluate`: `evaluate_case`, one case to rows; `evaluate_pairs`, many cases to a Report
- `images`: an image or a field and its target, to rows
- `identity`: a text that tells reference masks apart
- `folders`: `evaluate_folders`, any two folders of label images to a Report
- `confusion`: which structure is taken for which
- `tally`: probabilities counted by value and truth
- `belief`: how sure the net was of one case, measured while it answers
- `certainty`: the same over all cases: calibration, detection of lesions
- `rows`: Row, one structure of one case; Summary, one metric of all cases; their table
- `report`: Report, all rows and what they add up to, written as cases.csv and report.json
- `record`: what report.json holds, and its schema
- `rivals`: what other methods reach on the same cases
- `comparison`: Comparison, two or more reports of the same cases side by side
- `pooling`: runs of several seeds as one
- `paired`: paired differences, Wilcoxon and permutation tests, Holm's correction, detectable difference
- `ranking`: ranks, their stability, and who wins against whom
- `volumes`: bias and limits of agreement of sizes
- `subgroups`: gaps between kinds of cases
- `statistics`: means, quartiles and bootstrap intervals that respect which cases belong together
"""

from .evaluate import Judged, evaluate_case, evaluate_pairs
from .folders import evaluate_folders
from .report import EvaluationSettings, Report
from .rows import Row, Summary

__all__ = [
    "EvaluationSettings",
    "Judged",
    "Report",
    "Row",
    "Summary",
    "evaluate_case",
    "evaluate_folders",
    "evaluate_pairs",
]
