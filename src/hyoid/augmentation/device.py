"""The second engine: samples that were drawn and read by the processor are computed where the net is.

Everything random was drawn before, so both engines give the same patches up to rounding; only the noise itself comes
from the generator of the device, seeded by what was drawn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..ops.warp import warp_tensor
from .patches import Cut, Patch
from .transform import change

if TYPE_CHECKING:
    import torch


def portable(cut: Cut, pinned: bool = False) -> Cut:
    """The sample with tensors instead of arrays; those in pinned memory reach a GPU without the processor."""
    import torch

    def tensor(array: np.ndarray) -> torch.Tensor:
        made = torch.from_numpy(array if array.flags.writeable else array.copy())
        return made.pin_memory() if pinned else made

    return replace(cut, parts=cut.parts.mapped(tensor))


def augmented_on(device: torch.device | str, cut: Cut) -> Patch:
    """The patch of a `portable` sample, as tensors on a device that nobody waits for."""

    def moved(box: torch.Tensor, fill: float | None) -> torch.Tensor:
        there = box.to(device, non_blocking=True)
        return there if cut.warp is None else warp_tensor(there[None], [cut.start], [cut.warp], fill)[0]

    patch = cut.parts.mapped(moved, cut.fills)
    change(patch.image, cut.changes)
    return patch
