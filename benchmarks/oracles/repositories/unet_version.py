"""UNet 3+'s authors' code."""

import sys
from unittest.mock import patch

from comparing import Comparison
from torch.nn import functional

from hyoid.nets import build_spec

REPOSITORY = "ZJUGiveLab/UNet-Version"
COMMIT = "8ecd067"
ROWS = ("unet_3plus",)


def comparisons(root):
    """Without and with deep supervision; logits, before their sigmoid."""
    sys.path.insert(0, str(root / "models"))
    import UNet_3Plus

    def answers(net, x):
        with patch.object(functional, "sigmoid", lambda y: y):
            return net(x)

    for name, supervised in (("UNet_3Plus", False), ("UNet_3Plus_DeepSup", True)):
        yield Comparison(
            "unet_3plus",
            name,
            lambda name=name: getattr(UNet_3Plus, name)(3, 2),
            lambda supervised=supervised: build_spec("unet_3plus", 2, 3, 2, deep_supervision=supervised).build(),
            (1, 3, 32, 48),
            pairs={f"heads.{k}": f"outconv{k + 1}" for k in range(5 if supervised else 1)},
            answers=answers,
        )
