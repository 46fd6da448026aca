"""Attention U-Net's authors' code, in 3D."""

from comparing import Comparison
from standins import stand_in

from hyoid.nets import build_spec

REPOSITORY = "ozan-oktay/Attention-Gated-Networks"
COMMIT = "eee4881"
ROWS = ("attention_unet_grid",)


def comparisons(root):
    """Two gates at each skip and logits of all levels merged."""
    stand_in("models").__path__ = [str(root / "models")]
    from models.networks.unet_CT_multi_att_dsv_3D import unet_CT_multi_att_dsv_3D

    def theirs():
        return unet_CT_multi_att_dsv_3D(n_classes=3, in_channels=2)

    ours = build_spec("attention_unet_grid", 3, 2, 3).build
    yield Comparison("attention_unet_grid", "unet_CT_multi_att_dsv_3D", theirs, ours, (1, 2, 32, 48, 32))
