"""Every loss by its name: importing this file puts them on their shelves."""

from . import boundary, capsules, compound, entropy, lovasz, overlap, similarity, topology
from .adversarial import feature_losses, games
from .compound import DeepSupervision
from .deformation import field_losses
from .images import image_losses
from .loss import losses

FILES = (boundary, capsules, compound, entropy, lovasz, overlap, similarity, topology)
"""The files that put losses on a shelf of another file."""

__all__ = ["DeepSupervision", "feature_losses", "field_losses", "games", "image_losses", "losses"]
