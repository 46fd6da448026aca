"""What every loss is: logits and a target give a scalar; voxels that were not annotated do not matter.

Targets come in two kinds. Class indices: integers (B, *S), judged after a softmax. Region masks: floats (B, R, *S),
judged one by one after a sigmoid. In both, -1 means ignored. All sums are taken in float32, since bfloat16 keeps only
eight bits and would swallow small terms.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..core.registry import Registry


class Loss(Protocol):
    """Judges logits; smaller is better.

    A loss may also have `at(progress)`, called before each step with progress in 0..1.
    """

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """A scalar that has a gradient.

        Args:
            logits: (B, C, *S) of any float type.
            target: Class indices (B, *S) or region masks (B, C, *S); -1 is ignored.
            weight: Weight of each voxel (B, *S), or None for equal weights.
        """


losses: Registry[Loss] = Registry("loss", checked=True)


def tell(loss: Loss, progress: float) -> None:
    """Let a loss that changes while the net learns know how far it is."""
    if change := getattr(loss, "at", None):
        change(progress)


def has_regions(logits: Tensor, target: Tensor) -> bool:
    """Whether the target holds a mask for each channel, in place of class indices."""
    return target.ndim == logits.ndim


def counted(target: Tensor, weight: Tensor | None) -> Tensor:
    """How much each entry of the target counts: 0 where ignored, else its weight; float32, shape of the target."""
    counts = (target >= 0).float()
    if weight is None:
        return counts
    return counts * (weight if weight.ndim == target.ndim else weight.unsqueeze(1)).float()
