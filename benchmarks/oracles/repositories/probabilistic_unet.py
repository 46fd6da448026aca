"""The most used port of the probabilistic U-Net."""

from comparing import Comparison
from torch import nn

from hyoid.nets import build_spec

REPOSITORY = "stefanknegt/Probabilistic-Unet-Pytorch"
COMMIT = "8015281"
ROWS = ("probabilistic_unet",)

WIDTHS = (32, 64, 128, 192)


def comparisons(root):
    """The answer of the prior's mean, without a norm, which the row adds."""
    from probabilistic_unet import ProbabilisticUnet

    class Answer(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = ProbabilisticUnet(1, 2, list(WIDTHS), latent_dim=6, no_convs_fcomb=4)
            del self.net.posterior

        def forward(self, x):
            mean = self.net.prior(x).base_dist.loc  # before the U, as ours: both have the same shapes
            return self.net.fcomb(self.net.unet(x, False), mean)

    ours = build_spec("probabilistic_unet", 2, 1, 2, channels=WIDTHS, norm="none").build
    what = "ProbabilisticUnet at the prior's mean, its four widths, no norm"
    yield Comparison("probabilistic_unet", what, Answer, ours, (2, 1, 48, 64))
