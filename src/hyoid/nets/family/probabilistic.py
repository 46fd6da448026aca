"""Nets that give many plausible answers: the probabilistic U-Net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..layers import Part, Style, channels_last
from ..net import Net, NetSpec
from ..unet import UNet, UNetSpec, initialise
from ..variants import variant


class ProbabilisticUNetSpec(NetSpec):
    """The probabilistic U-Net: a U whose last map is joined by a few latent numbers drawn for the whole image."""

    kind: Literal["probabilistic_unet"] = "probabilistic_unet"
    channels: tuple[int, ...] = Field(
        (32, 64, 128, 192, 192, 192, 192), min_length=2, description="Width of each level, of the U and of the prior."
    )
    convolutions: int = Field(3, ge=1, description="Convolutions of each level.")
    latent: int = Field(6, ge=1, description="Latent numbers.")
    joined: int = Field(3, ge=1, description="Convolutions of single voxels after the latent numbers join.")

    norm: Part = Field({"name": "group", "groups": 8}, description="Norm; the paper has none and trains for days.")

    def u(self, in_channels: int) -> UNet:
        """A U of these widths."""
        fields = {"dims": self.dims, "in_channels": in_channels, "out_channels": self.out_channels}
        ways = {"down": "average", "up": {"name": "linear", "align_corners": True}, "up_channels": "same"}
        dressed = {"norm": self.norm, "act": "relu", "fuse": "concat_up_first", **ways}
        count = {"blocks_encoder": self.convolutions, "blocks_decoder": self.convolutions}
        return UNetSpec.parse({**fields, **dressed, **count, "channels": self.channels}).build()


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions of latent numbers, one row for each sample.

    Attributes:
        mean: (B, latent).
        log_deviation: Natural logarithm of the standard deviation, (B, latent).
    """

    mean: Tensor
    log_deviation: Tensor

    def draw(self) -> Tensor:
        """A sample, through which gradients flow."""
        noise = torch.randn(self.mean.shape, device=self.mean.device)
        return self.mean + self.log_deviation.exp() * noise.to(self.mean.dtype)

    def divergence(self, other: Gaussian) -> Tensor:
        """KL(self || other) for each row, (B,)."""
        ratio = 2 * (self.log_deviation - other.log_deviation)
        distance = (self.mean - other.mean).square() * (-2 * other.log_deviation).exp()
        return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(1)


class LatentEncoder(nn.Module):
    """The way down of a U, the mean of its last map, and the distribution of latent numbers it speaks of."""

    def __init__(self, spec: ProbabilisticUNetSpec, in_channels: int) -> None:
        super().__init__()
        self.encoder = spec.u(in_channels).encoder
        self.head = nn.Linear(spec.channels[-1], 2 * spec.latent)

    def forward(self, x: Tensor) -> Gaussian:
        last = self.encoder(channels_last(x))[-1]
        return Gaussian(*self.head(last.mean(tuple(range(2, last.ndim)))).chunk(2, 1))


class ProbabilisticUNet(Net, spec=ProbabilisticUNetSpec):
    """The net of `ProbabilisticUNetSpec`.

    In training an answer is drawn from the prior; in evaluation it is that of the prior's mean. `samples` draws many.
    Training that knows the annotation goes through `PosteriorBranch`.

    Reference:
        kohl2018probabilistic.
    """

    def __init__(self, spec: ProbabilisticUNetSpec) -> None:
        dims, width = spec.dims, spec.channels[0]
        u = spec.u(spec.in_channels)
        super().__init__(u.divisor, spec=spec)
        self.encoder, self.decoder = u.encoder, u.decoder
        self.prior = LatentEncoder(spec, spec.in_channels)
        style = Style(dims, norm="none", act="relu", order="CA")
        layers: list[nn.Module] = []
        for number in range(spec.joined):
            layers += [style.pointwise(width + spec.latent * (number == 0), width), nn.ReLU(inplace=True)]
        self.join = nn.Sequential(*layers, style.pointwise(width, spec.out_channels))
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        prior = self.prior(x)
        return (self.answer(self.features(x), prior.draw() if self.training else prior.mean),)

    def features(self, x: Tensor) -> Tensor:
        """The last map of the U, (B, width, *S)."""
        return self.decoder(self.encoder(channels_last(self.checked(x))))[0]

    def answer(self, features: Tensor, latent: Tensor) -> Tensor:
        """The logits (B, K, *S) that these latent numbers (B, latent) stand for."""
        spread = latent.reshape(*latent.shape, *[1] * (features.ndim - 2)).expand(-1, -1, *features.shape[2:])
        return self.join(torch.cat((features, spread.to(features.dtype)), 1)).contiguous()

    @torch.no_grad()
    def samples(self, x: Tensor, count: int) -> Tensor:
        """Logits (count, B, K, *S) of as many draws from the prior; the U runs once for all."""
        features, prior = self.features(x), self.prior(x)
        return torch.stack([self.answer(features, prior.draw()) for _ in range(count)])


@dataclass(frozen=True)
class Explained:
    """What a probabilistic U-Net gives when it knows the annotation.

    Attributes:
        logits: Of latent numbers drawn from the posterior.
        posterior: Distribution of the latent numbers that knows the annotation.
        prior: The one that does not.
    """

    logits: tuple[Tensor, ...]
    posterior: Gaussian
    prior: Gaussian

    def terms(self) -> dict[str, Tensor]:
        """`latent`: how far the posterior lies from the prior, KL(Q || P), beside the loss of the logits."""
        return {"latent": self.posterior.divergence(self.prior).mean()}


class PosteriorBranch(nn.Module):
    """A probabilistic U-Net beside an encoder that sees image and annotation; for training only.

    The evidence lower bound is the negative of the cross-entropy of `Explained.logits` plus its term.

    Reference:
        kohl2018probabilistic, equation 4.
    """

    def __init__(self, net: ProbabilisticUNet) -> None:
        super().__init__()
        self.posterior = LatentEncoder(net.spec, net.spec.in_channels + net.spec.out_channels)
        initialise(self)
        self.net = net

    def forward(self, x: Tensor, masks: Tensor) -> Explained:
        """The answer to images (B, C, *S) whose annotation, a mask for each channel (B, K, *S), is known."""
        posterior = self.posterior(torch.cat((x, masks.to(x.dtype)), 1))
        logits = self.net.answer(self.net.features(x), posterior.draw())
        return Explained((logits,), posterior, self.net.prior(x))


variant(
    "probabilistic_unet",
    of=ProbabilisticUNetSpec,
    papers="kohl2018probabilistic",
    about="Probabilistic U-Net: latent numbers drawn for the whole image choose one of many plausible answers.",
    left_out=(
        "It was made to draw many plausible answers; without its posterior net and their divergence it "
        "learns one answer."
    ),
)
