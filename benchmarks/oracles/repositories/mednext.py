"""MedNeXt's authors' code."""

from comparing import Comparison
from standins import stand_in

from hyoid.nets import build_spec

REPOSITORY = "MIC-DKFZ/MedNeXt"
COMMIT = "0b78ed8"
ROWS = ("mednext_s", "mednext_b", "mednext_m", "mednext_l")


def comparisons(root):
    """All four sizes with kernels of 3, and one with 5."""
    stand_in("nnunet_mednext.run.load_weights", upkern_load_weights=None)
    stand_in("nnunet_mednext").__path__ = [str(root / "nnunet_mednext")]
    from nnunet_mednext.network_architecture.mednextv1.create_mednext_v1 import create_mednext_v1

    for size, kernel in (("S", 3), ("S", 5), ("B", 3), ("M", 3), ("L", 3)):
        row = f"mednext_{size.lower()}"
        yield Comparison(
            row,
            f"MedNeXt-{size}, kernels of {kernel}, all heads built",
            lambda size=size, kernel=kernel: create_mednext_v1(2, 3, size, kernel, True),
            lambda row=row, kernel=kernel: build_spec(row, 3, 2, 3, kernel=kernel).build(),
            (1, 2, 16, 16, 32),
        )
