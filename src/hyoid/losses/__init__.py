"""Losses: how far logits are from a target, for classes and for regions alike. Read in this order:

- `loss`: Loss, what every loss is; the shelf `losses`
- `entropy`: cross-entropy, focal, of the worst voxels
- `overlap`: Dice, Jaccard, Tversky and their bent forms as rows of one formula, generalised Dice
- `lovasz`: the Jaccard loss of sets, extended
- `compound`: sums of losses, DeepSupervision
- `weights`: weights of voxels, such as the gaps between touching cells

`losses` and `DeepSupervision` can be imported from here; torch is loaded when they are.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name not in ("losses", "DeepSupervision"):
        raise AttributeError(f"hyoid.losses has no {name!r}")
    return getattr(import_module(".compound", __name__), name)
