"""Finding: which of a prediction and its reference holds anything; Compared: the two side by side."""

from __future__ import annotations

from typing import Literal, Protocol

Finding = Literal["found", "missed", "spurious", "absent"]
"""Both hold something, only the reference, only the prediction, neither."""


def finding_of(num_predicted: int, num_reference: int) -> Finding:
    """The finding where so many voxels, or objects, are predicted and are there."""
    if num_reference:
        return "found" if num_predicted else "missed"
    return "spurious" if num_predicted else "absent"


class Compared(Protocol):
    """A prediction beside its reference: masks, objects, probabilities, images or motions."""

    @property
    def finding(self) -> Finding:
        """Which of the two holds anything; what is never empty is always found."""
        return "found"

    def worst(self, unit: str) -> float:
        """The largest value in this unit that is possible here."""
        return float("inf")
