"""A dense U on slices and one on the volume, fused: H-DenseUNet."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..encoders import WayDown, encoders
from ..layers import CONV, Style, Unit, build_part, channels_last
from ..net import Net, NetSpec
from ..resample import LINEAR
from ..unet import UNetSpec, initialise
from ..variants import variant
from .backbone import step_of


class HDenseUNetSpec(NetSpec):
    """H-DenseUNet: features of a dense U on slices, each with its neighbours, beside those of one on the volume.

    In 2D it is the first of the two alone, DenseUNet-167.

    Its sizes are the paper's; its graph is not that of the authors' code, which enlarges by nearest neighbours, joins
    maps before their norm, has no joins on slices in the hybrid, and drops before the last norm.
    """

    kind: Literal["h_dense_unet"] = "h_dense_unet"
    entrance: int = Field(96, ge=1, description="Width of the first convolutions.")
    growth: tuple[int, int] = Field((48, 32), description="Channels that a dense layer adds, on slices and in volume.")
    layers: tuple[int, ...] = Field((6, 12, 36, 24), min_length=2, description="Dense layers of each block, on slices.")
    layers_3d: tuple[int, ...] = Field((3, 4, 12, 8), min_length=2, description="The same in the volume.")
    features: int = Field(64, ge=1, description="Width of the last map of both.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of the last features dropped.")

    def build(self) -> Net:
        """The net, newly initialised."""
        return SliceDenseUNet(self) if self.dims == 2 else HDenseUNet(self)


class DenseU(nn.Module):
    """A DenseNet and a way up, (B, C, *S) to features (B, `out_channels`, *S); with `added`, maps join by their sum.

    In a volume all but the first two steps keep the first axis.
    """

    def __init__(
        self, dims: int, in_channels: int, entrance: int, growth: int, layers: tuple[int, ...], features: int
    ) -> None:
        super().__init__()
        levels = len(layers) + 2
        flat = (2, 2) if dims == 2 else (1, 2, 2)
        strides = [(1,) * dims, (2,) * dims, (2,) * dims, *[flat] * (levels - 3)]
        given = {"dims": dims, "in_channels": in_channels, "out_channels": 1, "norm": "batch", "act": "relu"}
        fields = {"channels": (entrance,) * levels, "blocks_encoder": (1, 1, *layers), "strides": strides}
        part = {"name": "densenet", "growth": growth}
        spec = UNetSpec.parse({**given, **fields})
        self.encoder = build_part(encoders, part, way=WayDown(in_channels, spec.levels()))
        self.strides: list[tuple[int, ...]] = list(self.encoder.strides)[::-1]  # type: ignore[arg-type]
        self.out_channels = features
        style, three = Style(dims, norm="batch", act="relu"), (3,) * dims
        maps: list[int] = list(self.encoder.channels)[::-1]  # type: ignore[arg-type]
        # each unit is as wide as the map that joins next; in a volume, where none does, as the publication has it
        widths = (*maps[2:-1], entrance, features) if dims == 2 else (maps[0], *maps[2:-1], features)
        self.added = dims == 2
        if self.added:  # the coarsest map is narrowed to the one that it is added to
            self.narrow = CONV[dims](maps[1], maps[0], 1)
        before = (maps[0], *widths)
        self.units = nn.ModuleList(Unit(style, a, b, three) for a, b in zip(before, widths, strict=False))

    def forward(self, x: Tensor) -> Tensor:
        *finer, y = self.encoder(channels_last(x))[1:]
        mode = LINEAR[x.ndim - 2]
        for number, unit in enumerate(self.units):
            y = functional.interpolate(y, scale_factor=[float(s) for s in self.strides[number]], mode=mode)
            if self.added and finer:
                skip = finer.pop()
                y = y + (self.narrow(skip) if number == 0 else skip)
            y = unit(y)
        return y


def _dense_u(spec: HDenseUNetSpec, dims: int, in_channels: int) -> DenseU:
    index = dims - 2
    layers = (spec.layers, spec.layers_3d)[index]
    return DenseU(dims, in_channels, spec.entrance, spec.growth[index], layers, spec.features)


class SliceDenseUNet(Net):
    """DenseUNet-167, the part of `HDenseUNetSpec` that sees slices.

    Reference:
        li2018hdenseunet.
    """

    def __init__(self, spec: HDenseUNetSpec, in_channels: int | None = None) -> None:
        u = _dense_u(spec, 2, in_channels or spec.in_channels)
        super().__init__(step_of(u.strides), spec=spec)
        self.u = u
        self.head = CONV[2](u.out_channels, spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.head(self.u(self.checked(x))).contiguous(),)


class HDenseUNet(Net):
    """The net of `HDenseUNetSpec` in 3D; slices lie across the first axis, where preparation puts the coarsest one.

    The authors multiply the scores of slices by 250, so that they reach the range of their intensities; images here are
    normalised, and so are not multiplied.

    Reference:
        li2018hdenseunet, figure 2.
    """

    def __init__(self, spec: HDenseUNetSpec) -> None:
        slices = SliceDenseUNet(spec, 3 * spec.in_channels)
        volume = _dense_u(spec, 3, spec.in_channels + spec.out_channels)
        depth, *plane = step_of(volume.strides)
        super().__init__((depth, *map(max, plane, slices.divisor)), spec=spec)
        self.slices, self.volume = slices, volume
        width = volume.out_channels
        self.fuse = nn.Sequential(
            CONV[3](width, width, 3, padding=1), nn.Dropout(spec.dropout), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
        )
        self.head = CONV[3](width, spec.out_channels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        stack = with_neighbours(self.checked(x)).movedim(2, 1)
        batch, depth = stack.shape[:2]
        features = self.slices.u(stack.flatten(0, 1))
        scores = self.slices.head(features)
        flat, scores = (m.unflatten(0, (batch, depth)).movedim(1, 2) for m in (features, scores))
        return (self.head(self.fuse(self.volume(torch.cat((x, scores), 1)) + flat)).contiguous(),)


def with_neighbours(x: Tensor) -> Tensor:
    """Each slice of a volume (B, C, D, H, W) with the one before and the one behind, (B, 3C, D, H, W)."""
    before = torch.cat((x[:, :, :1], x[:, :, :-1]), 2)
    behind = torch.cat((x[:, :, 1:], x[:, :, -1:]), 2)
    return torch.cat((before, x, behind), 1)


variant(
    "h_dense_unet",
    of=HDenseUNetSpec,
    papers=("li2018hdenseunet", "huang2017densenet"),
    about="H-DenseUNet: a dense U on slices with their neighbours, one on volume and scores, features added.",
)
