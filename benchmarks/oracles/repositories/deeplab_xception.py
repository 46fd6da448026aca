"""The most read port of DeepLab v3+ to torch: its ResNet with multi-grid rates."""

from comparing import Comparison
from torch import nn

from hyoid.nets import build_spec

REPOSITORY = "jfzhang95/pytorch-deeplab-xception"
COMMIT = "9135e10"
ROWS = ("deeplab_v3",)

MULTI_GRID = {"name": "resnet", "bottleneck": True, "spread_first": True, "multi_grid": (1, 2, 4)}


class Last(nn.Module):
    """The coarsest map of an encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return self.encoder(x)[-1]


def comparisons(root):
    """The features alone: its decoder has whole kernels where the paper's are separable."""
    from modeling.backbone.resnet import ResNet101

    for step, dilated in ((16, 1), (8, 2)):
        yield Comparison(
            "deeplab_v3",
            f"ResNet101 on 1/{step} of the grid, multi-grid 1, 2, 4: features",
            lambda step=step: ResNet101(step, nn.BatchNorm2d, pretrained=False),
            lambda dilated=dilated: Last(
                build_spec("deeplab_v3", 2, 3, 3, encoder=MULTI_GRID, dilated=dilated).build().encoder
            ),
            (1, 3, 64, 96),
        )
