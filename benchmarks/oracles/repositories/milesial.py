"""The most used 2D port of the U-Net."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "milesial/Pytorch-UNet"
COMMIT = "21d7850"
ROWS = ("unet_original",)


def comparisons(root):
    """With transposed ways up."""
    from unet import UNet

    changes = {"padding": "same", "order": "CNA", "norm": "batch", "bias": False}
    yield Comparison(
        "unet_original",
        "UNet, in its padded form with batch norm",
        lambda: UNet(3, 2),
        lambda: build_spec("unet_original", 2, 3, 2, **changes).build(),
        (2, 3, 48, 64),
    )
