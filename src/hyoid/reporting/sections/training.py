"""Learning curves."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import has_patches, learning_curves, name_of, read_curves

_CAPTIONS = {
    "loss": "Loss of the training patches.",
    "learning_rate": "Learning rate.",
}

_TWO_KINDS = (
    "Thick: Dice of whole validation cases, each judged alone. Thin: Dice of the training patches, all their voxels "
    "pooled; mostly higher, since the net learns from them, a patch near a structure has little far away to mark by "
    "mistake, and large structures count most."
)


def training(report: Report, facts: RunFacts) -> dict[str, Any] | None:
    """Curves of the run, when there was a training."""
    if not facts.curves or not facts.curves.is_file():
        return None
    curves, score = read_curves(facts.curves), facts.score
    whole = f"{name_of(score)} of whole validation cases during training, each case judged alone."
    captions = _CAPTIONS | {score: _TWO_KINDS if score == "dice" and has_patches(curves) else whole}
    return {"curves": learning_curves(curves, score), "captions": captions}
