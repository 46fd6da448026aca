"""The most used 3D code of the U-Net and its residual forms."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "wolny/pytorch-3dunet"
COMMIT = "a33e2c7"
ROWS = ("unet3d", "residual_unet_3d")

_PORT = {"norm": "group", "order": "NCA", "bias": False, "up": "nearest"}
_BLOCK = {"name": "residual", "entrance": True}
_SQUEEZED = {"name": "attended", "block": _BLOCK, "attention": {"name": "scse", "ratio": 1, "larger": True}}


def comparisons(root):
    """Group norm before each convolution, nearest enlargement, narrower first convolutions; logits, not sigmoids."""
    from pytorch3dunet.unet3d.model import ResidualUNet3D, ResidualUNetSE3D, UNet3D

    yield Comparison(
        "unet3d",
        "UNet3D, group norm before each convolution, nearest enlargement",
        lambda: UNet3D(16, 3, f_maps=32),
        lambda: build_spec("unet3d", 3, 16, 3, channels=(32, 64, 128, 256), **_PORT).build(),
        (2, 16, 16, 24, 16),
        answers=lambda net, x: net(x, return_logits=True)[1],
    )
    for theirs, block in ((ResidualUNet3D, _BLOCK), (ResidualUNetSE3D, _SQUEEZED)):
        yield Comparison(
            "residual_unet_3d",
            theirs.__name__,
            lambda theirs=theirs: theirs(2, 3, f_maps=16, num_levels=4),
            lambda block=block: build_spec(
                "residual_unet_3d", 3, 2, 3, channels=(16, 32, 64, 128), block=block
            ).build(),
            (2, 2, 16, 24, 16),
            answers=lambda net, x: net(x, return_logits=True)[1],
        )
