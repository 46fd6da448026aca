"""DeepLab, from the first to v3+: kernels spread apart instead of further steps down."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..blocks.context import SpatialPyramid, SpreadScores, SpreadUnit
from ..layers import CONV, MAX_POOL, Style, Unit, channels_last
from ..net import Net, NetSpec
from ..resample import LINEAR
from ..unet import initialise
from ..variants import variant
from .backbone import BackboneSpec, step_of


class DeepLabV1Spec(NetSpec):
    """The first DeepLab: VGG whose last poolings keep the grid, and a classifier of spread kernels."""

    kind: Literal["deeplab_v1"] = "deeplab_v1"
    channels: tuple[int, ...] = Field((64, 128, 256, 512, 512), min_length=2, description="Width before each pooling.")
    blocks: tuple[int, ...] = Field((2, 2, 3), min_length=1, description="Convolutions there; the last one repeats.")
    classifier: int = Field(1024, ge=1, description="Width of the classifier.")
    rate: int = Field(12, ge=1, description="Voxels between the taps of its kernel.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of its features dropped.")


class DeepLabV1(Net, spec=DeepLabV1Spec):
    """The net of `DeepLabV1Spec`, the form with the large field of view.

    The dense random field that follows in the paper is no part of the net.

    Reference:
        chen2015deeplab.
    """

    def __init__(self, spec: DeepLabV1Spec) -> None:
        dims, levels = spec.dims, len(spec.channels)
        stepping = max(1, levels - 2)
        super().__init__((2**stepping,) * dims, spec=spec)
        style = Style(dims, norm="none", act="relu", bias=True)
        width, layers = spec.in_channels, list[nn.Module]()
        for index, channels in enumerate(spec.channels):
            spread = 2 if index > stepping else 1  # behind the first pooling that keeps the grid
            for _ in range(spec.blocks[min(index, len(spec.blocks) - 1)]):
                layers += [style.conv(width, channels, (3,) * dims, dilation=spread), nn.ReLU(inplace=True)]
                width = channels
            layers.append(MAX_POOL[dims](3, 2 if index < stepping else 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            style.conv(width, spec.classifier, (3,) * dims, dilation=spec.rate),
            nn.ReLU(inplace=True),
            nn.Dropout(spec.dropout),
            Unit(style, spec.classifier, spec.classifier, (1,) * dims),
            nn.Dropout(spec.dropout),
            CONV[dims](spec.classifier, spec.out_channels, 1),
        )
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        logits = self.classifier(self.features(channels_last(self.checked(x))))
        return (functional.interpolate(logits, x.shape[2:], mode=LINEAR[self.spec.dims]).contiguous(),)


class DeepLabSpec(BackboneSpec):
    """DeepLab on a ResNet: v2, v3 and v3+."""

    kind: Literal["deeplab"] = "deeplab"
    blocks: tuple[int, ...] = Field((1, 1, 3, 4, 23, 3), min_length=1, description="Units of each; the last repeats.")
    dilated: int = Field(1, ge=0, description="Levels that spread their kernels instead of stepping down.")
    form: Literal["v2", "v3", "v3_plus"] = Field("v3", description="Which DeepLab.")
    rates: tuple[int, ...] = Field((6, 12, 18), min_length=1, description="Voxels between taps of the spread kernels.")
    width: int = Field(256, ge=1, description="Width after the spatial pyramid.")
    low_level: int = Field(48, ge=1, description="v3+: width of the finer map that joins.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share dropped after the spatial pyramid.")

    @property
    def undrawn(self) -> str:
        """The pyramid on the coarsest grid."""
        whole = "" if self.form == "v2" else ", and the mean of the image"
        return f"on the coarsest grid, kernels spread by {', '.join(map(str, self.rates))} lie side by side{whole}."


class DeepLab(Net, spec=DeepLabSpec):
    """The net of `DeepLabSpec`.

    Reference:
        chen2018deeplab (v2); chen2017rethinking (v3); chen2018encoder (v3+).
    """

    def __init__(self, spec: DeepLabSpec) -> None:
        encoder, dims = spec.backbone(spec.dilated), spec.dims
        super().__init__(step_of(encoder.strides), spec=spec)  # type: ignore[arg-type]
        self.encoder = encoder
        style = Style(dims, norm="batch", act="relu")
        last, width, plus = spec.channels[-1], spec.width, spec.form == "v3_plus"
        self.finer: nn.Module | None = None
        if spec.form == "v2":
            self.context: nn.Module = SpreadScores(dims, last, spec.out_channels, spec.rates)
            self.head: nn.Module = nn.Identity()
        else:
            pyramid = SpatialPyramid(style, last, width, spec.rates, spec.dropout, separable=plus)
            self.context = nn.Sequential(pyramid, SpreadUnit(style, width, width, separable=plus))
            self.head = CONV[dims](width, spec.out_channels, 1)
        if plus:
            self.finer = Unit(style, spec.channels[2], spec.low_level, (1,) * dims)
            self.head = nn.Sequential(
                SpreadUnit(style, width + spec.low_level, width, separable=True),
                CONV[dims](width, spec.out_channels, 1),
            )
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.encoder(channels_last(self.checked(x)))
        features = self.context(maps[-1])
        if self.finer is not None:
            finer = self.finer(maps[2])
            features = torch.cat([self.spec.enlarged(features, finer.shape[2:]), finer], 1)
        return (self.spec.enlarged(self.head(features), x.shape[2:]),)


variant(
    "deeplab_v1",
    of=DeepLabV1Spec,
    papers=("chen2015deeplab", "simonyan2015vgg"),
    about="DeepLab with a large field of view: VGG-16 on an eighth of the grid, kernels spread by 2 and 12.",
    left_out="The random field after its answers is drawn with prediction.refine=dense_crf only.",
)
variant(
    "deeplab_v2",
    of=DeepLabSpec,
    papers=("chen2018deeplab", "he2016deep"),
    about="DeepLab v2: ResNet-101 on an eighth of the grid, scores of four spread kernels added.",
    left_out="The random field after its answers is drawn with prediction.refine=dense_crf only.",
    form="v2",
    dilated=2,
    rates=(6, 12, 18, 24),
)
variant(
    "deeplab_v3",
    of=DeepLabSpec,
    papers=("chen2017rethinking", "he2016deep"),
    about="DeepLab v3: ResNet-101 on a sixteenth of the grid, spread kernels and the mean of the image.",
)
variant(
    "deeplab_v3_plus",
    of=DeepLabSpec,
    papers=("chen2018encoder", "he2016deep"),
    about="DeepLab v3+: v3 with separable kernels and a finer map that joins on a quarter of the grid.",
    form="v3_plus",
    align_corners=True,
)

# The finer map joins before its activation, as in the authors' code; `encoder: {name: xception, activated: true}` takes
# it behind, as on timm's encoder. Weights of timm's xception65 fit.
variant(
    "deeplab_v3_plus_xception",
    of=DeepLabSpec,
    papers=("chen2018encoder", "chollet2017xception"),
    about="DeepLab v3+ on the encoder of its paper: an aligned Xception without pooling, of 65 layers.",
    form="v3_plus",
    encoder="xception",
    channels=(16, 128, 256, 728, 1024, 2048),
    blocks=(0, 0, 0, 0, 16, 0),
    align_corners=True,
)
