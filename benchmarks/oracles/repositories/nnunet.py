"""nnU-Net's nets, as its authors keep them."""

from comparing import Comparison
from standins import timm_layers
from torch import nn

from hyoid.nets import build_spec

REPOSITORY = "MIC-DKFZ/dynamic-network-architectures"
COMMIT = "d35f85c"
ROWS = ("nnunet_plain", "nnunet_residual_m", "nnunet_residual_l", "nnunet_residual_xl")

WIDTHS = {2: (32, 64, 128, 256, 512, 512, 512, 512), 3: (32, 64, 128, 256, 320, 320)}


def comparisons(root):
    """Plain and residual, 2D and 3D; M, L and XL are one net."""
    timm_layers()
    from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet

    def theirs(dims, plain):
        widths = WIDTHS[dims]
        levels = len(widths)
        blocks = 2 if plain else (1, 3, 4, *[6] * (levels - 3))
        return (PlainConvUNet if plain else ResidualEncoderUNet)(
            2,
            levels,
            widths,
            (nn.Conv2d, nn.Conv3d)[dims - 2],
            3,
            (1, *[2] * (levels - 1)),
            blocks,
            3,
            2 if plain else 1,
            conv_bias=True,
            norm_op=(nn.InstanceNorm2d, nn.InstanceNorm3d)[dims - 2],
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=True,
        )

    for dims in (2, 3):
        for row in ROWS[: 2 if dims == 2 else 4]:
            yield Comparison(
                row,
                f"{'PlainConvUNet' if row == ROWS[0] else 'ResidualEncoderUNet'}, {dims}D",
                lambda dims=dims, row=row: theirs(dims, row == ROWS[0]),
                lambda dims=dims, row=row: build_spec(row, dims, 2, 3).build(),
                (1, 2, 128, 256) if dims == 2 else (1, 2, 32, 32, 64),
            )
