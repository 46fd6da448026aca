"""A second way up that restores the image from the bottom of a U, to teach the encoder when labels are few."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import ConfigError
from .heads import heads
from .layers import build_part
from .resample import LINEAR, Enlarge
from .unet import UNet, initialise


@dataclass(frozen=True)
class Restored:
    """What a net with an autoencoder branch gives.

    Attributes:
        logits: The net's logits, finest first.
        image: The image as the branch restores it, shape (B, C, *S).
        mean: Means of the latent numbers, shape (B, latent).
        deviation: Their standard deviations, shape (B, latent).
    """

    logits: tuple[Tensor, ...]
    image: Tensor
    mean: Tensor
    deviation: Tensor

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """The two terms that the paper adds to its Dice loss, each with the weight 0.1.

        The paper's equation of the divergence has no factor of a half and divides by the voxels of the image; the mean
        over latent numbers with the half stands here, as in MONAI.

        Args:
            image: The image that went in, shape (B, C, *S).

        Returns:
            `restoration`, the mean squared error, and `latent`, the divergence from a standard normal distribution.
        """
        variance = self.deviation.square()
        divergence = 0.5 * (self.mean.square() + variance - torch.log(1e-8 + variance) - 1)
        return {"restoration": functional.mse_loss(self.image, image), "latent": divergence.mean()}


class AutoencoderBranch(nn.Module):
    """A U whose skips are added, with a variational autoencoder on its encoder; for training only.

    The bottom maps become latent numbers; a drawn sample of them becomes maps again, and a decoder without skips, built
    like the net's, restores the image. That decoder has weights of its own, as in the paper. MONAI's branch silently
    runs through the decoder of the net; `shared=True` does the same. What is predicted with stays the net alone.

    Args:
        net: The net, such as `myronenko`; it becomes a part of this module and keeps its weights.
        shape: Spatial shape of the training patches, which the linear layers need to know.
        latent: Latent numbers.
        width: Maps before the latent numbers.
        shared: Restore with the decoder of the net.

    Raises:
        ConfigError: When the net does not add its skips, or its bottom map cannot be halved.

    Reference:
        myronenko2018brain.
    """

    def __init__(
        self, net: UNet, shape: Sequence[int], latent: int = 128, width: int = 16, shared: bool = False
    ) -> None:
        super().__init__()
        spec = net.spec
        if spec.fuse != "add":
            raise ConfigError(
                f'The autoencoder branch restores without skips, so the net must add them (fuse: "add"); '
                f"got fuse: {spec.fuse!r}."
            )
        step = tuple(2 * d for d in net.divisor)
        if any(n % s for n, s in zip(shape, step, strict=True)):
            raise ConfigError(f"The autoencoder branch needs patches of multiples of {step}; got {tuple(shape)}.")
        bottom, finest = spec.style(len(spec.channels) - 1), spec.style(0)
        channels, dims = spec.channels[-1], spec.dims
        self.shape = tuple(shape)
        self.small = (width, *(n // s for n, s in zip(shape, step, strict=True)))
        numbers = math.prod(self.small)
        narrow = bottom.conv(channels, width, (3,) * dims, 2)
        before, after, last = (nn.Sequential(*bottom.dress(n, inplace=False)) for n in (channels, width, channels))
        self.enter = nn.Sequential(before, narrow, after)
        self.mean, self.deviation = nn.Linear(numbers, latent), nn.Linear(numbers, latent)
        self.leave = nn.Linear(latent, numbers)
        self.act = bottom.act_layer(width, inplace=False) or nn.Identity()
        widen = bottom.pointwise(width, channels, bias=False)
        self.enlarge = nn.Sequential(widen, Enlarge((2,) * dims, LINEAR[dims], False), last)
        self.decoder = None if shared else copy.deepcopy(net.decoder)
        ends = {"in_channels": int(net.decoder.channels[0]), "out_channels": spec.in_channels}
        self.head = build_part(heads, spec.head, style=finest, **ends)
        initialise(self)
        self.net = net

    def forward(self, x: Tensor) -> Restored:
        """Logits, and the image restored from a drawn sample of the latent numbers; `x` has shape (B, C, *shape)."""
        if tuple(x.shape[2:]) != self.shape:
            raise ConfigError(f"This autoencoder branch restores patches of {self.shape}; got {tuple(x.shape[2:])}.")
        maps = self.net.encode(x)
        latent = self.enter(maps[-1]).flatten(1)
        mean, deviation = self.mean(latent), functional.softplus(self.deviation(latent))
        drawn = mean + deviation * torch.randn_like(mean)
        restored = self.enlarge(self.act(self.leave(drawn)).unflatten(1, self.small))
        decoder = self.net.decoder if self.decoder is None else self.decoder
        for level in reversed(list(decoder.levels)):
            restored = level.block(level.up(restored))
        return Restored(self.net.decode(maps), self.head(restored), mean, deviation)
