"""Fully convolutional nets that are no U: FCN, SegNet, DeepMedic and the dilated net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..layers import AVERAGE_POOL, CONV, MAX_POOL, TRANSPOSED, Style, Unit, channels_last
from ..net import Net, NetSpec
from ..unet import initialise
from ..variants import variant


class FCNSpec(NetSpec):
    """FCN: the classifier of VGG as convolutions, its scores enlarged, scores of finer maps added on the way."""

    kind: Literal["fcn"] = "fcn"
    channels: tuple[int, ...] = Field((64, 128, 256, 512, 512), min_length=2, description="Width before each pooling.")
    blocks: tuple[int, ...] = Field((2, 2, 3), min_length=1, description="Convolutions there; the last one repeats.")
    scored: int = Field(3, ge=1, description="Maps that are scored: 1 is FCN-32s, 2 FCN-16s, 3 FCN-8s.")
    classifier: int | None = Field(None, description="Width of the classifier; none: eight times the last map's.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of the classifier's features dropped.")
    pad: int = Field(0, ge=0, description="Zeros around the image (100 as published); 0: maps lie upon one another.")

    @model_validator(mode="after")
    def _fits(self) -> FCNSpec:
        if self.scored > len(self.channels):
            raise ValueError(f"scored is {self.scored} but there are {len(self.channels)} maps to score")
        if self.pad and min(self.late) < 0:
            raise ValueError(f"pad is {self.pad}, too few zeros for {len(self.channels)} poolings; use more, or 0")
        return self

    @property
    def late(self) -> tuple[int, ...]:
        """How many voxels of each finer score, and then of the image, lie before the enlarged scores begin.

        The unpadded classifier begins 3 late; an enlargement by 2 makes 2 n - 1 of n, the last one by f ends at the
        image, `pad` - 1 before it. So 5 and 9, and for the image 19, 27 and 31: the numbers of the authors' files.
        """
        begins, last = [3], 2 ** (len(self.channels) - self.scored + 1)
        for _ in range(self.scored - 1):
            begins.append(2 * begins[-1] - 1)
        return (*begins[1:], self.pad - 1 + last // 2 - last * begins[-1])


class BilinearUp(nn.Module):
    """A transposed convolution over all channels that starts as linear interpolation by whole factors.

    Reference:
        long2015fcn, section 3.3.
    """

    def __init__(self, dims: int, channels: int, factor: int, whole: bool = False) -> None:
        super().__init__()
        self.factor = factor
        self.conv = TRANSPOSED[dims](channels, channels, 2 * factor, factor, 0 if whole else factor // 2, bias=False)

    def initialise(self) -> None:
        """Weights of linear interpolation, each channel to itself."""
        places = (torch.arange(2 * self.factor) + 0.5) / self.factor - 1
        tent = 1 - places.abs()
        kernel, weight = tent, self.conv.get_parameter("weight")
        for _ in range(weight.ndim - 3):
            kernel = kernel[..., None] * tent
        with torch.no_grad():
            weight.zero_()
            for channel in range(len(weight)):
                weight[channel, channel] = kernel

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class FCN(Net, spec=FCNSpec):
    """The net of `FCNSpec`.

    The published net pads the image by 100 voxels, so that its unpadded classifier sees all of it, and crops the scores
    by numbers written into each of its three files: `FCNSpec.late`. With `pad` 0 the classifier's kernel of 7 is padded
    instead, which takes a part of the time. The image has to be a multiple of the deepest step.

    Reference:
        long2015fcn.
    """

    def __init__(self, spec: FCNSpec) -> None:
        depth, dims, classes = len(spec.channels), spec.dims, spec.out_channels
        super().__init__((2**depth,) * dims, spec=spec)
        style = Style(dims, order="CA", norm="none", act="relu")
        before = spec.in_channels
        stages = []
        for level, width in enumerate(spec.channels):
            count = spec.blocks[min(level, len(spec.blocks) - 1)]
            units = [Unit(style, width if index else before, width, (3,) * dims) for index in range(count)]
            stages.append(nn.Sequential(*units, MAX_POOL[dims](2, 2, ceil_mode=True)))
            before = width
        self.stages = nn.ModuleList(stages)
        wide = spec.classifier or 8 * before
        self.classifier = nn.Sequential(
            Unit(replace(style, valid=spec.pad > 0), before, wide, (7,) * dims),
            nn.Dropout(spec.dropout),
            Unit(style, wide, wide, (1,) * dims),
            nn.Dropout(spec.dropout),
        )
        widths = (wide, *spec.channels[-2::-1])[: spec.scored]
        self.scores = nn.ModuleList(CONV[dims](width, classes, 1) for width in widths)
        factors = [2] * (spec.scored - 1) + [2 ** (depth - spec.scored + 1)]
        self.ups = nn.ModuleList(BilinearUp(dims, classes, factor, spec.pad > 0) for factor in factors)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        shape, late = x.shape[2:], self.spec.late if self.spec.pad else (0,) * self.spec.scored
        x = channels_last(self.checked(x))
        # the first convolution pads by 1 of its own
        x = functional.pad(x, [max(0, self.spec.pad - 1)] * 2 * self.spec.dims)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        logits = self.ups[0](self.scores[0](self.classifier(x)))
        for score, up, features, begin in zip(self.scores[1:], self.ups[1:], maps[-2::-1], late, strict=False):
            logits = up(logits + part(score(features), begin, logits.shape[2:]))
        return (part(logits, late[-1], shape).contiguous(),)


def part(x: Tensor, begin: int, shape: Sequence[int]) -> Tensor:
    """A part of a map (B, C, *S) of this shape that begins so many voxels late along each axis."""
    for axis, size in enumerate(shape, start=2):
        x = x.narrow(axis, begin, size)
    return x


# In 3D the published classifier alone has 719 million numbers and the pad makes most of a volume zeros, so there the
# rows have a classifier of 512 and no pad.
for _step, _scored in (("32s", 1), ("16s", 2), ("8s", 3)):
    variant(
        f"fcn_{_step}",
        of=FCNSpec,
        papers=("long2015fcn", "simonyan2015vgg"),
        about=f"FCN-{_step}: VGG-16 as convolutions, {_scored} of its maps scored and added; a narrow one in 3D.",
        scored=_scored,
        in_2d={"pad": 100},
        in_3d={"classifier": 512},
    )


class SegNetSpec(NetSpec):
    """SegNet: VGG and its mirror, in which values go back to where the poolings found them."""

    kind: Literal["segnet"] = "segnet"
    channels: tuple[int, ...] = Field((64, 128, 256, 512, 512), min_length=1, description="Width of each level.")
    blocks: tuple[int, ...] = Field((2, 2, 3), min_length=1, description="Convolutions there; the last one repeats.")


class SegNet(Net, spec=SegNetSpec):
    """The net of `SegNetSpec`.

    It computes in 32 bits also where others use 16: rounding would change which value of a cell is the largest, and so
    where it goes back to.

    Reference:
        badrinarayanan2017segnet.
    """

    def __init__(self, spec: SegNetSpec) -> None:
        depth, dims = len(spec.channels), spec.dims
        super().__init__((2**depth,) * dims, spec=spec)
        style = Style(dims, norm="batch", act="relu", bias=True)
        kernel = (3,) * dims
        counts = [spec.blocks[min(level, len(spec.blocks) - 1)] for level in range(depth)]
        entering = (spec.in_channels, *spec.channels[:-1])

        def stage(widths: list[int], last: nn.Module | None = None) -> nn.Module:
            units = [Unit(style, a, b, kernel) for a, b in pairwise(widths)]
            return nn.Sequential(*units, *([] if last is None else [last]))

        self.encoder = nn.ModuleList(
            stage([before, *[width] * count])
            for before, width, count in zip(entering, spec.channels, counts, strict=True)
        )
        # the mirror of a stage; the finest one ends in the logits
        head = CONV[dims](spec.channels[0], spec.out_channels, 3, padding=1)
        self.decoder = nn.ModuleList(
            stage([width] * count, head) if level == 0 else stage([*[width] * count, entering[level]])
            for level, (width, count) in enumerate(zip(spec.channels, counts, strict=True))
        )
        self.pool = MAX_POOL[dims](2, 2, return_indices=True)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype in (torch.float16, torch.bfloat16):  # as training in mixed precision hands images over
            x = x.float()
        with _full_precision(x):
            return (self._decoded(*self._encoded(channels_last(self.checked(x)))).contiguous(),)

    def _encoded(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The coarsest map, and where every pooling found its values."""
        found = []
        for stage in self.encoder:
            x, indices = self.pool(stage(x))
            found.append(indices)
        return x, found

    def _decoded(self, x: Tensor, found: list[Tensor]) -> Tensor:
        for level in reversed(range(len(found))):
            x = self.decoder[level](unpool(x, found[level]))
        return x


def _full_precision(x: Tensor) -> AbstractContextManager[Any]:
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def unpool(x: Tensor, indices: Tensor) -> Tensor:
    """A map (B, C, *S) of twice the size with the values where a pooling by 2 found its largest, and zeros elsewhere.

    Reference:
        badrinarayanan2017segnet.
    """
    # not max_unpool, which has no form that gives the same result each time
    shape = [2 * n for n in x.shape[2:]]
    back = x.new_zeros(*x.shape[:2], math.prod(shape)).scatter(2, indices.flatten(2), x.flatten(2))
    return back.unflatten(2, shape)


variant(
    "segnet",
    of=SegNetSpec,
    papers=("badrinarayanan2017segnet", "simonyan2015vgg"),
    about="SegNet: VGG-16 with batch norm and its mirror; values go back to where poolings found them.",
)


class DeepMedicSpec(NetSpec):
    """DeepMedic: two paths of unpadded convolutions, one of them on an image a third as fine."""

    kind: Literal["deepmedic"] = "deepmedic"
    channels: tuple[int, ...] = Field(
        (30, 30, 40, 40, 40, 40, 50, 50), min_length=1, description="Width of each layer of both paths."
    )
    classifier: tuple[int, ...] = Field((150, 150), description="Widths of the layers that join the paths.")
    factor: int = Field(3, ge=3, description="How much coarser the second path is; odd.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of the last features dropped.")

    @model_validator(mode="after")
    def _odd(self) -> DeepMedicSpec:
        if self.factor % 2 == 0:
            raise ValueError("factor is odd, so that both paths have one centre")
        return self


class DeepMedic(Net, spec=DeepMedicSpec):
    """The net of `DeepMedicSpec`; its output is smaller than the image.

    The coarse path loses `factor` times as many voxels, so the fine one looks at the middle of the image only.

    Reference:
        kamnitsas2017deepmedic, figure 5.
    """

    def __init__(self, spec: DeepMedicSpec) -> None:
        depth, dims = len(spec.channels), spec.dims
        super().__init__((spec.factor,) * dims, (spec.factor * depth,) * dims, spec=spec)
        style = Style(dims, norm="batch", act="prelu", valid=True)

        def path() -> nn.Module:
            widths = (spec.in_channels, *spec.channels)
            return nn.Sequential(*[Unit(style, a, b, (3,) * dims) for a, b in pairwise(widths)])

        self.fine, self.coarse = path(), path()
        self.shrunk = AVERAGE_POOL[dims](spec.factor, spec.factor)
        widths = (2 * spec.channels[-1], *spec.classifier)
        self.classifier = nn.Sequential(
            *[Unit(style, a, b, (1,) * dims) for a, b in pairwise(widths)],
            nn.Dropout(spec.dropout),
            CONV[dims](widths[-1], spec.out_channels, 1),
        )
        initialise(self)

    def smallest_input(self) -> tuple[int, ...]:
        """The smallest shape that leaves two voxels in the coarse path; batch norm has nothing to do with one."""
        return tuple(2 * step + 2 * margin for step, margin in zip(self.divisor, self.margin, strict=True))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits of the middle of the image."""
        x = channels_last(self.checked(x))
        spare = self.margin[0] - len(self.spec.channels)
        inner: tuple[Any, ...] = (..., *[slice(spare, -spare)] * self.spec.dims)
        factors = (float(self.spec.factor),) * self.spec.dims
        coarse = functional.interpolate(self.coarse(self.shrunk(x)), scale_factor=factors, mode="nearest")
        return (self.classifier(torch.cat((self.fine(x[inner]), coarse), 1)).contiguous(),)


variant(
    "deepmedic",
    of=DeepMedicSpec,
    papers="kamnitsas2017deepmedic",
    about="DeepMedic: eleven unpadded layers, half of them twice, on the image and on one a third as fine.",
    left_out="The random field after its answers is drawn with prediction.refine=dense_crf only.",
)


class DilatedSpec(NetSpec):
    """Convolutions that look ever further on one grid."""

    kind: Literal["dilated"] = "dilated"
    channels: tuple[int, ...] = Field((32,) * 7, min_length=1, description="Width of each layer.")
    dilations: tuple[int, ...] = Field((1, 1, 2, 4, 8, 16, 1), description="Step between the taps of each layer.")

    @model_validator(mode="after")
    def _fits(self) -> DilatedSpec:
        if len(self.dilations) < len(self.channels) or min(self.dilations) < 1:
            raise ValueError(f"dilations need a positive number for each of {len(self.channels)} layers")
        return self


class DilatedFCN(Net, spec=DilatedSpec):
    """The net of `DilatedSpec`: nothing is pooled, seven layers see 67 voxels.

    Reference:
        moeskops2017adversarial.
    """

    def __init__(self, spec: DilatedSpec) -> None:
        super().__init__((1,) * spec.dims, spec=spec)
        style = Style(spec.dims, norm="batch", act="relu")
        layers: list[nn.Module] = []
        before = spec.in_channels
        for width, step in zip(spec.channels, spec.dilations, strict=False):
            conv = CONV[spec.dims](before, width, 3, padding=step, dilation=step, bias=False)
            layers += [conv, *style.dress(width)]
            before = width
        self.layers = nn.Sequential(*layers)
        self.head = CONV[spec.dims](before, spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.head(self.layers(channels_last(x))).contiguous(),)


variant(
    "dilated_fcn",
    of=DilatedSpec,
    papers="moeskops2017adversarial",
    about="Dilated net: seven convolutions of 3 with steps of 1, 1, 2, 4, 8, 16, 1, nothing pooled.",
    left_out="The critic that it learns against in the paper is not trained.",
)
