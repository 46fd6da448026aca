"""Nets that read the maps of a ResNet at several scales: FPN, PSPNet, SSNet."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..blocks.context import BoundaryRefinement, GlobalConvolution, PyramidPooling
from ..layers import CHANNEL_DROPOUT, CONV, Style, Unit, channels_last
from ..net import Net
from ..resample import LINEAR, Enlarge
from ..unet import initialise
from ..variants import variant
from .backbone import BackboneSpec, step_of


class FPNSpec(BackboneSpec):
    """FPN for segmentation: maps of all levels from a quarter on, brought to one width, added from coarse to fine."""

    kind: Literal["fpn"] = "fpn"
    pyramid: int = Field(256, ge=1, description="Width that all maps are brought to.")
    merged: int = Field(128, ge=1, description="Width of the maps that are added at the end.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the last channels dropped.")


class FPN(Net, spec=FPNSpec):
    """The net of `FPNSpec`.

    The paper predicts from every map; to segment, these are brought to a quarter of the grid, added and scored once, as
    in public code. Trap: a review says that maps are concatenated on the way to finer grids; the paper, and this, adds
    them.

    Reference:
        lin2017fpn.
    """

    def __init__(self, spec: FPNSpec) -> None:
        depth, dims = len(spec.channels), spec.dims
        super().__init__((2 ** (depth - 1),) * dims, spec=spec)
        self.encoder = spec.backbone()
        self.laterals = nn.ModuleList(CONV[dims](width, spec.pyramid, 1) for width in spec.channels[:1:-1])
        style = Style(dims, norm={"name": "group", "groups": 32}, act="relu")
        self.branches = nn.ModuleList(self._branch(style, steps) for steps in reversed(range(depth - 2)))
        self.dropout = CHANNEL_DROPOUT[dims](spec.dropout)
        self.head = CONV[dims](spec.merged, spec.out_channels, 1)
        initialise(self)

    def _branch(self, style: Style, steps: int) -> nn.Module:
        """Convolutions that bring a map so many steps finer."""
        spec = self.spec
        layers: list[nn.Module] = []
        for number in range(max(1, steps)):
            width = spec.merged if number else spec.pyramid
            layers.append(Unit(style, width, spec.merged, (3,) * spec.dims))
            if steps:
                layers.append(Enlarge((2,) * spec.dims, LINEAR[spec.dims], True))
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        seen, shape = self.encoder(channels_last(self.checked(x)))[:1:-1], x.shape[2:]
        maps: list[Tensor] = []
        for lateral, features in zip(self.laterals, seen, strict=True):
            finer = lateral(features)
            if maps:
                finer = finer + functional.interpolate(maps[-1], scale_factor=2.0, mode="nearest")
            maps.append(finer)
        merged = torch.stack([branch(m) for branch, m in zip(self.branches, maps, strict=True)]).sum(0)
        logits = self.head(self.dropout(merged))
        return (self.spec.enlarged(logits, shape),)


variant(
    "fpn",
    of=FPNSpec,
    papers=("lin2017fpn", "he2016deep"),
    about="FPN: a ResNet-34 whose maps are added from coarse to fine and merged on a quarter of the grid.",
    channels=(16, 64, 64, 128, 256, 512),
    bottleneck=False,
    align_corners=True,
)


class PSPNetSpec(BackboneSpec):
    """PSPNet: the last map of a ResNet beside its means over ever larger parts of the image."""

    kind: Literal["pspnet"] = "pspnet"
    bins: tuple[int, ...] = Field((1, 2, 3, 6), min_length=1, description="Parts along each axis that are averaged.")
    width: int = Field(512, ge=1, description="Width of the map that is scored.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of its channels dropped.")


class PSPNet(Net, spec=PSPNetSpec):
    """The net of `PSPNetSpec`; in training the map before the last is scored too.

    Reference:
        zhao2017pspnet.
    """

    head_weights = (1.0, 0.4)

    def __init__(self, spec: PSPNetSpec) -> None:
        encoder, dims = spec.backbone(dilated=2), spec.dims
        super().__init__(step_of(encoder.strides), spec=spec)  # type: ignore[arg-type]
        self.encoder = encoder
        style = Style(dims, norm="batch", act="relu")
        last, before = spec.channels[-1], spec.channels[-2]
        self.pooling = PyramidPooling(style, last, spec.bins, spec.align_corners)
        self.head = _scored(style, self.pooling.out_channels, spec.width, spec.out_channels, spec.dropout)
        self.auxiliary = _scored(style, before, max(1, before // 4), spec.out_channels, spec.dropout)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits and, in training, those of the map before the last on its own grid."""
        maps = self.encoder(channels_last(self.checked(x)))
        logits = self.spec.enlarged(self.head(self.pooling(maps[-1])), x.shape[2:])
        return (logits, self.auxiliary(maps[-2]).contiguous()) if self.training else (logits,)


def _scored(style: Style, in_channels: int, width: int, classes: int, dropout: float) -> nn.Sequential:
    """A convolution of 3, dropout, and the score."""
    dims = style.dims
    unit = Unit(style, in_channels, width, (3,) * dims)
    return nn.Sequential(unit, CHANNEL_DROPOUT[dims](dropout), CONV[dims](width, classes, 1))


class SSNetSpec(BackboneSpec):
    """SSNet: maps of a ResNet scored by large separable kernels, refined, and added from coarse to fine."""

    kind: Literal["ssnet"] = "ssnet"
    kernel: int = Field(7, ge=3, description="Size of the large kernels.")


class SSNet(Net, spec=SSNetSpec):
    """The net of `SSNetSpec`; its adversary is a critic of its own.

    Reference:
        huo2018ssnet; peng2017large.
    """

    def __init__(self, spec: SSNetSpec) -> None:
        encoder, dims, classes = spec.backbone(), spec.dims, spec.out_channels
        super().__init__(step_of(encoder.strides), spec=spec)  # type: ignore[arg-type]
        self.encoder = encoder
        widths = spec.channels[2:]
        self.scores = nn.ModuleList(
            nn.Sequential(GlobalConvolution(dims, width, classes, spec.kernel), BoundaryRefinement(dims, classes))
            for width in widths
        )
        self.refinements = nn.ModuleList(BoundaryRefinement(dims, classes) for _ in range(len(widths) + 1))
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.encoder(channels_last(self.checked(x)))
        scores = [score(m) for score, m in zip(self.scores, maps[2:], strict=True)]
        logits = scores.pop()
        for finer, refine in zip(reversed(scores), self.refinements, strict=False):
            logits = refine(_enlarged(logits, finer) + finer)
        for refine, finer in zip(self.refinements[len(scores) :], (maps[1], x), strict=True):
            logits = refine(_enlarged(logits, finer))
        return (logits.contiguous(),)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Maps on the grid of another one."""
    return functional.interpolate(x, like.shape[2:], mode=LINEAR[x.ndim - 2])


variant(
    "pspnet",
    of=PSPNetSpec,
    papers=("zhao2017pspnet", "he2016deep"),
    about="PSPNet: a ResNet-50 on an eighth of the grid beside its means over 1, 4, 9 and 36 parts of the image.",
    align_corners=True,
)
variant(
    "ssnet",
    of=SSNetSpec,
    papers=("huo2018ssnet", "peng2017large", "he2016deep"),
    about="SSNet's generator: a ResNet-50 scored by separable kernels of 7, refined at borders and added.",
    left_out="Its critic is not trained; the net learns from annotation alone.",
)
