"""A net of your own: any torch module, planned, trained, asked and exported like the others.

hyoid run DATA --into RUN --steps 200 --set extensions=[examples/own_net.py] --set planning.net=two_scales
hyoid predict RUN NEW --into ANSWERS
"""

import torch
from torch import Tensor, nn

from hyoid.nets import own_net


class TwoScales(nn.Module):
    """A fine and a coarse look at images (B, C, *S), which become logits (B, K, *S)."""

    def __init__(self, in_channels: int, out_channels: int, dims: int, width: int = 16) -> None:
        super().__init__()
        conv, way = (nn.Conv2d, "bilinear") if dims == 2 else (nn.Conv3d, "trilinear")
        self.fine = nn.Sequential(conv(in_channels, width, 3, padding=1), nn.ReLU())
        self.coarse = nn.Sequential(conv(width, width, 3, stride=4, padding=1), nn.ReLU())
        self.up = nn.Upsample(scale_factor=4, mode=way)
        self.head = conv(2 * width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        return self.head(torch.cat([fine, self.up(self.coarse(fine))], 1))


# That is all: which sizes it accepts and what it costs is found by trying it.
own_net("two_scales", TwoScales)
