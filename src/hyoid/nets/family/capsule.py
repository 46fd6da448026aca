"""Nets of capsules: SegCaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..blocks.capsule import FAINT, CapsuleConv, squash
from ..layers import CONV
from ..net import Net, NetSpec
from ..unet import initialise
from ..variants import variant

Layer = tuple[int, int]
"""Kinds of capsules, and numbers of each."""


class SegCapsSpec(NetSpec):
    """SegCaps: a U of capsules that are routed by agreement."""

    kind: Literal["segcaps"] = "segcaps"
    first: int = Field(16, ge=1, description="Width of the convolution that sees the image.")
    down: tuple[tuple[Layer, Layer], ...] = Field(
        (((2, 16), (4, 16)), ((4, 32), (8, 32)), ((8, 64), (8, 32))),
        min_length=1,
        description="Kinds and numbers of the two layers of each level, finest first; the first of them steps down.",
    )
    up: tuple[tuple[Layer, Layer], ...] = Field(
        (((4, 16), (4, 16)), ((8, 32), (4, 32))),
        description="The same on the way up, finest first; the first of them enlarges.",
    )
    last: Layer = Field((2, 16), description="The layer that enlarges to the grid of the image.")
    atoms: int = Field(16, ge=1, description="Numbers of the capsule of each class.")
    kernel: int = Field(5, ge=1, description="Size of the convolutions.")
    iterations: int = Field(3, ge=1, description="Rounds of routing; the first layer has one.")

    @model_validator(mode="after")
    def _fits(self) -> SegCapsSpec:
        joined = [self.first, *(staying[1] for _, staying in self.down[:-1])]
        enlarged = [self.last[1], *(enlarging[1] for enlarging, _ in self.up)]
        if joined != enlarged:
            raise ValueError(f"capsules of {enlarged} numbers cannot join skips of {joined}, finest first")
        return self

    @property
    def undrawn(self) -> str:
        """The kinds of capsules."""
        return "at each level several kinds of capsules lie side by side; widths are of one kind."


class SegCaps(Net, spec=SegCapsSpec):
    """The net of `SegCapsSpec`. A class is as likely as its capsule is long; the logits are log(p / (1 - p)).

    Reference:
        lalonde2021capsules, figure 2.
    """

    def __init__(self, spec: SegCapsSpec) -> None:
        dims, depth = spec.dims, len(spec.down)
        super().__init__((2**depth,) * dims, spec=spec)
        self.first = CONV[dims](spec.in_channels, spec.first, spec.kernel, padding=spec.kernel // 2)

        def staying_on(grid: Layer, entering: int) -> CapsuleConv:
            return CapsuleConv(dims, entering, *grid, kernel=spec.kernel, iterations=spec.iterations)

        atoms, skipped = spec.first, [spec.first]
        encoder = []
        for level, (stepping, staying) in enumerate(spec.down):
            rounds = 1 if level == 0 else spec.iterations
            entrance = CapsuleConv(dims, atoms, *stepping, kernel=spec.kernel, stride=2, iterations=rounds)
            encoder.append(nn.Sequential(entrance, staying_on(staying, stepping[1])))
            atoms = staying[1]
            skipped.append(atoms)
        self.encoder = nn.ModuleList(encoder)
        ups, decoder = [], []
        for enlarging, staying in reversed(spec.up):
            ups.append(CapsuleConv(dims, atoms, *enlarging, 4, 2, spec.iterations, up=True))
            decoder.append(staying_on(staying, enlarging[1]))
            atoms = staying[1]
        ups.append(CapsuleConv(dims, atoms, *spec.last, 4, 2, spec.iterations, up=True))
        final = (spec.out_channels, spec.atoms, 1, 1, spec.iterations)
        decoder.append(CapsuleConv(dims, spec.last[1], *final, squashed=False))
        self.ups, self.decoder = nn.ModuleList(ups), nn.ModuleList(decoder)
        initialise(self)

    def sums(self, x: Tensor) -> Tensor:
        """What is squashed to the capsule of each class at each voxel, (B, classes, atoms, *S)."""
        x = self.first(self.checked(x)).relu().unsqueeze(1)
        maps = [x]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        x = maps.pop()
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = block(torch.cat((up(x), maps.pop()), 1))
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (logits_of(self.sums(x)),)


def logits_of(sums: Tensor) -> Tensor:
    """Logits (B, classes, *S) of the lengths of capsules that sums s (B, classes, atoms, *S) are squashed to.

    A length p = |s|^2 / (1 + |s|^2) has the logit log(p / (1 - p)) = log |s|^2.
    """
    return (sums.square().sum(2) + FAINT).log()


@dataclass(frozen=True)
class Redrawn:
    """What SegCaps with its second task gives: the logits, and the image (B, C, *S) inside the target."""

    logits: tuple[Tensor, ...]
    image: Tensor

    def terms(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """`restoration`: mean squared error of the image inside the target; the mask has shape (B, 1, *S)."""
        return {"restoration": functional.mse_loss(self.image, image * mask)}


class CapsuleRestoration(nn.Module):
    """SegCaps that also restores the image inside the target from the capsules of its class; for training only.

    Reference:
        lalonde2021capsules, section 3.3.
    """

    def __init__(self, net: SegCaps) -> None:
        super().__init__()
        spec = net.spec
        conv, classes = CONV[spec.dims], spec.out_channels
        widths = (spec.atoms * classes, 64, 128)
        units = [nn.Sequential(conv(a, b, 1), nn.ReLU(inplace=True)) for a, b in pairwise(widths)]
        self.head = nn.Sequential(*units, conv(widths[-1], spec.in_channels, 1))
        initialise(self)
        self.net = net

    def forward(self, x: Tensor, masks: Tensor) -> Redrawn:
        """Logits and the restored image; `masks` (B, classes, *S) are one where the target has the class."""
        sums = self.net.sums(x)
        capsules = squash(sums, axis=2) * masks.unsqueeze(2)
        return Redrawn((logits_of(sums),), self.head(capsules.flatten(1, 2)))


variant(
    "segcaps",
    of=SegCapsSpec,
    papers=("lalonde2021capsules", "sabour2017dynamic"),
    about="SegCaps R3: a U of capsules; what finer ones vote for coarser ones is routed by agreement.",
    left_out="Its second task, to restore the image inside the structure, is not trained.",
)
