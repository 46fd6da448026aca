"""The most read 2D code of R2U-Net and Attention U-Net."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "LeeJunHyun/Image_Segmentation"
COMMIT = "5e9da93"
ROWS = ("unet_original", "r2u_net", "attention_unet", "r2_attention_unet")

_PADDED = {"padding": "same", "order": "CNA", "norm": "batch", "bias": True, "up": "nearest_unit"}
_SHARED = {"block": {"name": "recurrent_residual", "weights": "shared"}}


def comparisons(root):
    """All four nets; their recurrent layers share one convolution over time."""
    import network

    for row, name, changes in (
        ("unet_original", "U_Net", _PADDED),
        ("r2u_net", "R2U_Net", _SHARED),
        ("attention_unet", "AttU_Net", {}),
        ("r2_attention_unet", "R2AttU_Net", _SHARED),
    ):
        yield Comparison(
            row,
            f"{name}" + (", with one convolution for all steps" if changes is _SHARED else ""),
            lambda name=name: getattr(network, name)(3, 2),
            lambda row=row, changes=changes: build_spec(row, 2, 3, 2, **changes).build(),
            (2, 3, 32, 48),
        )
