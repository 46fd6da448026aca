"""Learning curves."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import learning_curves, read_curves

_CAPTIONS = {
    "loss": "Loss of the training patches.",
    "dice": "Dice of whole validation cases during training, each case judged alone; not a Dice pooled over patches.",
    "learning_rate": "Learning rate.",
}


def training(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Curves of the run, when there was a training."""
    if not facts.curves or not facts.curves.is_file():
        return None
    return {"curves": learning_curves(read_curves(facts.curves)), "captions": _CAPTIONS}
