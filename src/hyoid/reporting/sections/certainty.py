"""Whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...evaluation.report import Report
from ...evaluation.tally import BINS, CERTAINTY_METRICS
from ..certainty_figures import reliability_diagram
from ..facts import RunFacts

_MOST_DIAGRAMS = 6

NAMES = {
    "ece": "ECE",
    "ace": "ACE",
    "brier": "Brier",
    "nll": "NLL",
    "auc_roc": "AUC ROC",
    "average_precision": "Average precision",
}


def certainty(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """A diagram for each structure, those with the largest error first when there are many, and a table of all."""
    if not report.certainty or not report.certainty["structures"]:
        return None
    rows = report.certainty["structures"]
    worst = sorted(rows, key=lambda row: -(row["pooled_ece"] or 0))[:_MOST_DIAGRAMS]
    shown = [row for row in rows if row in worst]
    return {
        "refined": facts.refined,
        "rows": rows,
        "left_out": len(rows) - len(shown),
        "diagrams": [(row, reliability_diagram(row["structure"], row["reliability"]), finding(row)) for row in shown],
        "columns": {name: NAMES[name] for name in CERTAINTY_METRICS},
        "margin": report.certainty["margin_mm"],
        "bins": BINS,
    }


def finding(row: Mapping[str, Any]) -> str:
    """What the diagram of a structure shows, of the voxels that were given one half or more."""
    count, claimed, hits = np.array(row["reliability"], float)[(BINS + 1) // 2 :].sum(0)
    if not count:
        return f"{row['structure']}: never more likely than not"
    says, right = 100 * claimed / count, 100 * hits / count
    gap = says - right
    kind = "rightly sure" if abs(gap) < 1 else "too sure" if gap > 0 else "not sure enough"
    return f"{row['structure']}: {kind}; where marked, {says:.0f} % claimed and {right:.0f} % right"
