"""Every loss by its name: importing this file puts them on their shelves."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from torch import Tensor

from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from . import boundary, capsules, compound, entropy, lovasz, overlap, similarity, topology
from .adversarial import feature_losses, games
from .compound import DeepSupervision
from .deformation import field_losses
from .images import image_losses
from .loss import Loss, losses

__all__ = [
    "DeepSupervision",
    "build_loss",
    "feature_losses",
    "field_losses",
    "games",
    "image_losses",
    "losses",
    "shelf_of",
]

FILES = (boundary, capsules, compound, entropy, lovasz, overlap, similarity, topology)
"""The files that put losses on a shelf of another file."""


def shelf_of(name: str) -> Registry[Any]:
    """The shelf of a loss that a net is trained with: `losses`, or `image_losses` where the target is maps of numbers.

    Raises:
        ConfigError: When neither has it, naming the closest.
    """
    for shelf in (losses, image_losses):
        if name in shelf:
            return shelf
    known = [*losses, *image_losses]
    raise ConfigError(f"No loss is called {name!r}.{closest(name, known)} Known: {', '.join(known)}.")


def build_loss(
    name: str, options: Mapping[str, Any], activate: Callable[[Tensor], Tensor], batch_dice: bool = False
) -> Loss:
    """The loss of this name for logits; those of images compare the maps that `activate` makes of them.

    Args:
        name: From either shelf of `shelf_of`.
        options: Of the loss.
        activate: Makes maps (B, C, *S) of logits.
        batch_dice: Whether Dice is that of a batch, for losses that can.
    """
    shelf = shelf_of(name)
    usual = {"batch": batch_dice} if "batch" in signature(shelf[name].build).parameters else {}
    loss: Any = shelf.build(name, **(usual | dict(options)))

    def of_maps(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        found: Tensor = loss(activate(logits), target, None if weight is None else weight.unsqueeze(1))
        return found

    return of_maps if shelf is image_losses else loss
