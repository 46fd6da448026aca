"""Losses: how far logits are from a target, for classes and for regions alike. Read in this order:

- `loss`: Loss, what every loss is; the shelf `losses`
- `entropy`: cross-entropy, focal, of the worst voxels
- `overlap`: Dice, Jaccard, Tversky and their bent forms as rows of one formula, generalised Dice
- `lovasz`: the Jaccard loss of sets, extended
- `masks`: structures as channels, what the following ones are made with
- `compound`: sums of losses, Growing, DeepSupervision
- `boundary`: errors by their distance from a surface: boundary, Hausdorff, surface, edge, star shape
- `topology`: middle lines of thin structures: clDice, skeleton recall
- `capsules`: the margin loss

Losses of other things than labels, each kind with its own shelf:

- `images`: ImageLoss and the shelf `image_losses`: differences, structural similarity, perceptual
- `similarity`: image losses of registration: correlation, local correlation, mutual information
- `deformation`: FieldLoss and the shelf `field_losses`: smoothness of displacement fields
- `adversarial`: Game and the shelf `games`: what net and critic want; the shelf `feature_losses`
- `unlabelled`: normalised cuts, consistency, divergence of Gaussians
- `shelf`: all shelves, full
- `weights`: weights of voxels, such as the gaps between touching cells

The shelves and `DeepSupervision` can be imported from here; torch is loaded when they are.
"""

from importlib import import_module
from typing import Any

_LATE = ("losses", "image_losses", "field_losses", "games", "feature_losses", "DeepSupervision")


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"hyoid.losses has no {name!r}")
    return getattr(import_module(".shelf", __name__), name)
