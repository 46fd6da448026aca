"""The U that is told how noisy its image is, for diffusion."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..blocks.conditioned import TimeEmbedding
from ..unet import UNet, UNetSpec, initialise
from ..variants import variant


class TimeUNetSpec(UNetSpec):
    """A U whose blocks are told a time: one of `conditioned` blocks on stages and a single path up."""

    kind: Literal["time_u"] = "time_u"  # type: ignore[assignment]

    def build(self) -> TimeUNet:
        """The net, newly initialised."""
        return TimeUNet(self)


class TimeUNet(UNet):
    """The net of `TimeUNetSpec`.

    Reference:
        ho2020denoising.
    """

    def __init__(self, spec: TimeUNetSpec) -> None:
        super().__init__(spec)
        self.time = TimeEmbedding()
        initialise(self)

    def forward(self, x: Tensor, time: Tensor | None = None) -> tuple[Tensor, ...]:
        """The logits of images (B, C, *S) at times (B,); without times, at time 0, where nothing is noise."""
        time = x.new_zeros(len(x), dtype=torch.float32) if time is None else time
        condition = self.time(time)
        return self.decode(self.encode(x, condition), condition)


def noisy(image: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """sqrt(kept) image + sqrt(1 - kept) noise, what a diffusion has made of an image.

    Args:
        image: (B, C, *S).
        noise: The same shape, normally distributed.
        kept: Share of the image's variance that is left, (B,).

    Reference:
        ho2020denoising, equation 4.
    """
    share = kept.reshape(-1, *[1] * (image.ndim - 1))
    return share.sqrt() * image + (1 - share).sqrt() * noise


def kept_shares(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Share of the image's variance that is left after each of the steps of a linear schedule, (steps,).

    Reference:
        ho2020denoising, section 4.
    """
    return torch.cumprod(1 - torch.linspace(first, last, steps, dtype=torch.float64), 0).float()


variant(
    "diffusion_unet",
    of=TimeUNetSpec,
    papers=("ho2020denoising", "nichol2021improved", "ronneberger2015unet"),
    about="The U of denoising diffusion: residual blocks with group norm that are told the time.",
    left_out="It was made to take noise away in many steps; here it answers in one step, at time 0.",
    channels=(32, 64, 128, 256),
    stem="conv",
    block="conditioned",
    norm={"name": "group", "groups": 8},
    act="silu",
    up="nearest",
)
