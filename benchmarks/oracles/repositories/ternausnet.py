"""TernausNet's authors' code. Needs torchvision, of any build, in FOLDER/site."""

from comparing import Comparison
from standins import torchvision_operators

from hyoid.nets import build_spec

REPOSITORY = "ternaus/TernausNet"
COMMIT = "243c7fe"
ROWS = ("ternausnet11", "ternausnet16")


def comparisons(root):
    """Both nets."""
    torchvision_operators()
    from ternausnet import models

    for row, name in zip(ROWS, ("UNet11", "UNet16"), strict=True):
        yield Comparison(
            row, name, getattr(models, name), lambda row=row: build_spec(row, 2, 3, 1).build(), (1, 3, 64, 96)
        )
