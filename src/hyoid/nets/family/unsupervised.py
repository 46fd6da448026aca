"""Nets that learn to segment without annotation: W-Net."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ..unet import UNet
from ..variants import variant

# Kernels are separable but for the two finest levels' own convolutions: modules 1 and 9 of the paper.
variant(
    "w_net",
    papers="xia2017wnet",
    about="W-Net: the U that parts an image into segments; a second U restores the image from them.",
    left_out=(
        "It was made to learn without annotation; here its first U learns from annotation as any other net does."
    ),
    channels=(64, 128, 256, 512, 1024),
    block=("plain", {"name": "separable", "between": False}),
    order="CAN",
    norm="batch",
    act="relu",
    bias=True,
    down="max",
)


@dataclass(frozen=True)
class Parted:
    """What a W-Net gives: the logits of the segments, and the image (B, C, *S) restored from them."""

    logits: tuple[Tensor, ...]
    image: Tensor

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """`restoration`: mean squared error, beside the soft cut of the segments."""
        return {"restoration": functional.mse_loss(self.image, image)}


class WNet(nn.Module):
    """Two U's in a row: image to soft segments to image; for training only, what predicts is the first.

    Args:
        net: The U that gives the segments, such as `w_net`.

    Reference:
        xia2017wnet.
    """

    def __init__(self, net: UNet) -> None:
        super().__init__()
        spec = net.spec
        turned = spec.model_copy(update={"in_channels": spec.out_channels, "out_channels": spec.in_channels})
        self.second = turned.build()
        self.net = net

    def forward(self, x: Tensor) -> Parted:
        """Segments and the image restored from their probabilities; `x` has shape (B, C, *S)."""
        logits = self.net(x)
        return Parted(logits, self.second(logits[0].softmax(1))[0])
