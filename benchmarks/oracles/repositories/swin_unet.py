"""Swin-Unet's authors' code."""

from comparing import Comparison
from standins import timm_layers

from hyoid.nets import build_spec

REPOSITORY = "HuCaoFighting/Swin-Unet"
COMMIT = "f48f623"
ROWS = ("swin_unet",)


def comparisons(root):
    """The tiny net at 224 pixels."""
    timm_layers()
    from networks.swin_transformer_unet_skip_expand_decoder_sys import SwinTransformerSys

    def theirs():
        return SwinTransformerSys(num_classes=5)

    ours = build_spec("swin_unet", 2, 3, 5).build
    yield Comparison("swin_unet", "SwinTransformerSys, 224 pixels", theirs, ours, (1, 3, 224, 224))
