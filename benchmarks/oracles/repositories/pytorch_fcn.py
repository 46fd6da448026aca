"""The FCNs of the most used port of the authors' Caffe nets, with their pad of 100."""

import sys

from comparing import Comparison
from standins import stand_in, torchvision_operators

from hyoid.nets import build_spec

REPOSITORY = "wkentaro/pytorch-fcn"
COMMIT = "4b98850"
ROWS = ("fcn_32s", "fcn_16s", "fcn_8s")


def comparisons(root):
    """All three; their enlargements are learnt convolutions too. The at-once form of FCN-8s scales maps, ours none."""
    torchvision_operators()
    stand_in("fcn")
    sys.path.insert(0, str(root / "torchfcn"))  # their package imports what only training needs
    import models

    for row, name in (("fcn_32s", "FCN32s"), ("fcn_16s", "FCN16s"), ("fcn_8s", "FCN8s")):
        yield Comparison(
            row,
            f"{name}, whose pad is 100",
            lambda name=name: getattr(models, name)(n_class=5),
            lambda row=row: build_spec(row, 2, 3, 5).build(),
            (1, 3, 64, 96),
        )
