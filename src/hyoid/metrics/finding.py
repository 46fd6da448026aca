"""Finding: which of a prediction and its reference holds anything."""

from __future__ import annotations

from typing import Literal

Finding = Literal["found", "missed", "spurious", "absent"]
"""Both hold something, only the reference, only the prediction, neither."""


def finding_of(num_predicted: int, num_reference: int) -> Finding:
    """The finding where so many voxels, or objects, are predicted and are there."""
    if num_reference:
        return "found" if num_predicted else "missed"
    return "spurious" if num_predicted else "absent"
