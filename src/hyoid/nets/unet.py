"""The U: one spec that composes stem, stages, ways down and up, skips, decoder and heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional

from . import parts  # noqa: F401  (fills the shelves)
from .decoders import WayUp, decoders
from .encoders import Level, WayDown, encoders
from .heads import heads
from .layers import Part, Parts, Style, build_part, channels_last, part_name
from .net import Net, NetSpec
from .recompute import Recomputed
from .resample import LINEAR
from .sizes import Sizes

Share = Annotated[float, Field(ge=0, lt=1)]


class UNetSpec(NetSpec):
    """What a U looks like, as data.

    Fields with one entry per level also take a single value for all of them. A part is a name from its shelf, or a
    mapping of `name` and options, such as `{name: group, groups: 4}`.
    """

    kind: Literal["u"] = "u"
    channels: tuple[int, ...] = Field((32, 64, 128, 256, 512), description="Width of each level, finest first.")
    blocks_encoder: tuple[int, ...] = Field((), description="Convolutions or residual blocks on the way down.")
    blocks_decoder: tuple[int, ...] = Field((), description="The same on the way up; one entry fewer than levels.")
    kernels: tuple[tuple[int, ...], ...] = Field((), description="Kernel of each level along each axis.")
    strides: tuple[tuple[int, ...], ...] = Field((), description="Step down into each level; the first is 1.")
    decoder_channels: tuple[int, ...] = Field((), description="Width of the decoder; empty: as the encoder.")
    encoder: Part = Field("stages", description="What makes the maps.")
    stem: Part | None = Field(None, description="A block before the first level, or none.")
    block: Parts = Field("plain", description="Block of the encoder.")
    block_decoder: Parts | None = Field(None, description="Block of the decoder; none: as the encoder's.")
    down: Part = Field("strided", description="The way into the next coarser level.")
    up: Parts = Field("transposed", description="The way into the next finer level.")
    up_channels: Literal["skip", "same", "half"] | tuple[int, ...] = Field("skip", description="Width after ways up.")
    up_bias: bool = Field(True, description="Whether ways up have a bias.")
    skip: Parts = Field("identity", description="What happens to the encoder's map before it joins.")
    fuse: Literal["concat", "concat_up_first", "add"] = Field("concat", description="How the skip joins.")
    decoder: Part = Field("unet", description="The graph of the way up.")
    head: Part = Field("conv", description="What turns the last map into logits.")
    padding: Literal["same", "valid"] = Field("same", description="Padded, or every convolution shrinks the map.")
    norm: Part = Field("instance", description="Normalisation of features.")
    act: Part = Field("leaky_relu", description="Activation.")
    order: str = Field("CNA", pattern="^[CNAD]+$", description="Unit: C conv, N norm, A activation, D dropout.")
    bias: bool | None = Field(None, description="Bias of convolutions; none: where no norm follows.")
    dropout: tuple[Share, ...] = Field((), description="Per level, at D in `order`, else after each encoder stage.")
    drop: Literal["channels", "elements"] = Field("channels", description="What dropout drops.")
    deep_supervision: bool = Field(False, description="Logits from every level of the decoder while training.")
    answer: Literal["finest", "mean", "merged", "sum"] = Field(
        "finest",
        description="With deep_supervision: finest logits, in evaluation the mean of all, all merged or added.",
    )
    recompute: bool = Field(
        False, description="Whether training computes maps again instead of keeping them: less memory, more time."
    )
    supervised: int | None = Field(None, ge=1, description="With deep_supervision: how many of the finest levels.")

    @model_validator(mode="before")
    @classmethod
    def _one_value_for_all_levels(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        channels = filled.get("channels", cls.model_fields["channels"].default)
        if not isinstance(channels, Sequence):
            return values
        levels = len(channels)
        dims = filled.get("dims", 2)
        filled["kernels"] = _per_level(filled.get("kernels") or 3, levels, dims)
        strides = filled.get("strides") or 2
        if isinstance(strides, int):
            strides = [1] + [strides] * (levels - 1)
        filled["strides"] = _per_level(strides, levels, dims)
        for name, count, default in _COUNTS:
            value = filled.get(name)
            value = default if value is None or value == () or value == [] else value
            filled[name] = [value] * (levels + count) if isinstance(value, int | float) else value
        return filled

    @field_validator("channels")
    @classmethod
    def _two_levels(cls, channels: tuple[int, ...]) -> tuple[int, ...]:
        if len(channels) < 2 or min(channels) < 1:
            raise ValueError("a U has at least two levels of at least one channel each")
        return channels

    @model_validator(mode="after")
    def _fits(self) -> UNetSpec:
        levels = len(self.channels)
        expected = {"kernels": 0, "strides": 0, **{name: count for name, count, _ in _COUNTS}}
        for name, count in expected.items():
            got = len(getattr(self, name))
            if got != levels + count and not (name == "decoder_channels" and got == 0):
                raise ValueError(f"{name} has {got} entries where {levels} levels need {levels + count}")
        for name in ("kernels", "strides"):
            if any(len(entry) != self.dims or min(entry) < 1 for entry in getattr(self, name)):
                raise ValueError(f"{name} need {self.dims} positive numbers for each level in {self.dims}D")
        if any(size % 2 == 0 for kernel in self.kernels for size in kernel):
            raise ValueError("kernels are odd, so that a convolution has a centre")
        if any(step != 1 for step in self.strides[0]):
            raise ValueError("the first level lies on the grid of the image, so its stride is 1")
        if self.order.count("C") != 1:
            raise ValueError("order has exactly one C, the convolution")
        if self.padding == "valid" and self.down == "strided":
            raise ValueError('valid padding needs a way down of its own, such as down: max, not "strided"')
        if isinstance(self.up_channels, tuple) and len(self.up_channels) != levels - 1:
            raise ValueError(f"up_channels has {len(self.up_channels)} entries where {levels} levels need {levels - 1}")
        if self.answer != "finest" and not self.deep_supervision:
            raise ValueError(f'answer "{self.answer}" is made of the logits of every level: set deep_supervision too')
        if self.padding == "valid" and self.deep_supervision:
            raise ValueError("valid padding leaves coarser logits another extent, so deep_supervision needs same")
        return self

    def style(self, level: int) -> Style:
        """How the convolutions of a level are dressed."""
        dressed = (self.order, self.norm, self.act, self.bias, self.padding == "valid")
        return Style(self.dims, *dressed, self.dropout[level], self.drop)

    def levels(self) -> tuple[Level, ...]:
        """The levels, finest first."""
        widths = (*(self.decoder_channels or self.channels[:-1]), 0)
        return tuple(
            Level(
                channels=self.channels[index],
                decoder_channels=widths[index],
                kernel=self.kernels[index],
                stride=self.strides[index],
                blocks_encoder=self.blocks_encoder[index],
                blocks_decoder=(*self.blocks_decoder, 0)[index],
                style=self.style(index),
            )
            for index in range(len(self.channels))
        )

    @property
    def undrawn(self) -> str:
        """What lies across levels or side by side."""
        if part_name(self.encoder, "encoder") == "parallel":
            return "the way down is two encoders side by side; widths are of both together."
        if part_name(self.decoder, "decoder") == "full_scale":
            return "each level of the way up also takes every finer map down and every coarser one up."
        return ""

    def build(self) -> UNet:
        """The net, newly initialised."""
        return UNet(self)


_COUNTS = (("blocks_encoder", 0, 2), ("blocks_decoder", -1, 2), ("decoder_channels", -1, ()), ("dropout", 0, 0.0))


def _per_level(value: Any, levels: int, dims: int) -> Any:
    """A kernel or stride for each level and axis, from one number or one for each level."""
    if isinstance(value, int):
        value = [value] * levels
    return [[entry] * dims if isinstance(entry, int) else entry for entry in value]


class UNet(Net):
    """A U-shaped net: an encoder, a decoder joined to it by skips, and heads.

    Reference:
        ronneberger2015unet.
    """

    def __init__(self, spec: UNetSpec) -> None:
        levels = spec.levels()
        down = WayDown(spec.in_channels, levels, spec.block, spec.down, spec.stem)
        encoder: Any = build_part(encoders, spec.encoder, way=down)
        block = spec.block if spec.block_decoder is None else spec.block_decoder
        ups = (spec.up, spec.up_channels, spec.up_bias)
        up = WayUp(encoder.channels, encoder.strides, levels, block, *ups, spec.skip, spec.fuse)
        decoder: Any = build_part(decoders, spec.decoder, way=up)
        sizes = Sizes(encoder.strides, encoder.shrinks, decoder.shrinks)
        super().__init__(sizes.divisor, sizes.margin, spec)
        self.sizes, self.encoder, self.decoder = sizes, encoder, decoder
        supervised = decoder.channels[: spec.supervised if spec.deep_supervision else 1]
        self.heads = nn.ModuleList(
            build_part(heads, spec.head, style=level.style, in_channels=width, out_channels=spec.out_channels)
            for width, level in zip(supervised, levels, strict=False)
        )
        if spec.answer == "mean":  # heads that answer alike learn alike
            self.head_weights = (1 / len(self.heads),) * len(self.heads)
        self.merge: nn.Module | None = None
        if spec.answer == "merged":
            self.merge = spec.style(0).pointwise(len(self.heads) * spec.out_channels, spec.out_channels)
        self._recompute(spec.recompute)
        initialise(self)

    def _recompute(self, asked: bool) -> None:
        """Every level but the finest of the decoder: its maps are needed first, so nothing is won by dropping them."""
        levels = [module for part in (self.encoder, self.decoder) for module in part.modules()]
        for module in levels:
            if isinstance(module, Recomputed):
                module.recompute = asked
        if isinstance(finest := next(iter(getattr(self.decoder, "levels", ())), None), Recomputed):
            finest.recompute = False

    def smallest_input(self) -> tuple[int, ...]:
        """The smallest shape it accepts; others are larger by multiples of `divisor`."""
        return self.sizes.smallest

    def last_convolution(self) -> nn.Conv2d | nn.Conv3d | None:
        """The end of the finest head, unless it looks at neighbours or the logits are made of those of every level."""
        head = self.heads[0]
        last = head[-1] if isinstance(head, nn.Sequential) else head
        if self.spec.answer != "finest" or not isinstance(last, nn.Conv2d | nn.Conv3d):
            return None
        return last if math.prod(last.kernel_size) == 1 and last.groups == 1 else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits, finest first.

        Args:
            x: Images, shape (B, C, *S), of a shape that `fitting_shape` gives.

        Returns:
            Logits (B, out_channels, *S) and, in training with deep supervision, those of the coarser levels. With
            `answer` "merged" a convolution makes one of all, with "sum" they are added; with "mean" evaluation
            averages them.
        """
        return self.decode(self.encode(x))

    def encode(self, x: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """The encoder's maps of images (B, C, *S), finest first; with a condition when its blocks take one."""
        x = channels_last(self.checked(x))
        return self.encoder(x) if condition is None else self.encoder(x, condition)

    def decode(self, features: Sequence[Tensor], condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """The logits of the encoder's maps."""
        maps = self.decoder(features) if condition is None else self.decoder(features, condition)
        if not self.training and self.spec.answer == "finest":
            maps = maps[:1]
        logits = tuple(head(features).contiguous() for head, features in zip(self.heads, maps, strict=False))
        if self.merge is not None:
            return (self.merge(torch.cat(_on_the_finest_grid(logits), dim=1)),)
        if self.spec.answer == "sum":
            return (torch.stack(_on_the_finest_grid(logits)).sum(0),)
        if not self.training and self.spec.answer == "mean":
            return (torch.stack(_on_the_finest_grid(logits)).mean(0),)
        return logits


def _on_the_finest_grid(logits: Sequence[Tensor]) -> list[Tensor]:
    """All logits linearly enlarged to the size of the first."""
    shape, mode = logits[0].shape[2:], LINEAR[logits[0].ndim - 2]
    return [x if x.shape[2:] == shape else functional.interpolate(x, shape, mode=mode) for x in logits]


def initialise(net: nn.Module) -> None:
    """Draw weights by He's rule for leaky slopes of 0.01; parts with a method `initialise` then have their say.

    Reference:
        he2015delving; isensee2021nnunet.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in net.modules():
        start = getattr(module, "initialise", None)
        if callable(start):
            start()
