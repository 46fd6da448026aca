"""Learning curves."""

from __future__ import annotations

from typing import Any

from ...evaluation.report import Report
from ..facts import RunFacts
from ..figures import has_patches, learning_curves, read_curves

_CAPTIONS = {
    "loss": "Loss of the training patches.",
    "dice": "Dice of whole validation cases during training, each case judged alone.",
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
    curves = read_curves(facts.curves)
    captions = _CAPTIONS | ({"dice": _TWO_KINDS} if has_patches(curves) else {})
    return {"curves": learning_curves(curves), "captions": captions}
