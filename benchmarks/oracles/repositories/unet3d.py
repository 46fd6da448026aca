"""The most used 3D code of the U-Net and its residual forms."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "wolny/pytorch-3dunet"
COMMIT = "a33e2c7"
ROWS = ("unet3d",)

_PORT = {"norm": "group", "order": "NCA", "bias": False, "up": "nearest"}


def comparisons(root):
    """Group norm before each convolution, nearest enlargement, narrower first convolutions; logits, not sigmoids."""
    from pytorch3dunet.unet3d.model import UNet3D

    yield Comparison(
        "unet3d",
        "UNet3D, group norm before each convolution, nearest enlargement",
        lambda: UNet3D(16, 3, f_maps=32),
        lambda: build_spec("unet3d", 3, 16, 3, channels=(32, 64, 128, 256), **_PORT).build(),
        (2, 16, 16, 24, 16),
        answers=lambda net, x: net(x, return_logits=True)[1],
    )
