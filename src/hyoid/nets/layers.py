"""The smallest parts of a net: what a convolution unit is made of, as data.

`Style` says how every convolution of a net is dressed; blocks, downs, ups and heads ask it for their layers, so that
2D and 3D, valid and padded, and every norm and activation are one code.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from .half import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

norms: Registry[nn.Module] = Registry("norm")
acts: Registry[nn.Module] = Registry("activation")

Part = str | dict[str, Any]
"""A part of a net in a spec: its name, or a mapping of `name` and its options."""

Parts = Part | tuple[Part, ...]
"""A part for all levels, or one for each, finest first; the last one holds for coarser levels too."""

Built = TypeVar("Built")

CONV: dict[int, Callable[..., nn.Module]] = {2: Conv2d, 3: Conv3d}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {2: ConvTranspose2d, 3: ConvTranspose3d}
MAX_POOL: dict[int, Callable[..., nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL: dict[int, Callable[..., nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
BATCH_NORM: dict[int, Callable[..., nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CHANNEL_DROPOUT: dict[int, Callable[..., nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}


def build_part(shelf: Registry[Built], part: Part, **given: Any) -> Built:
    """The part a spec names, from its shelf.

    Args:
        shelf: Where the part stands.
        part: Its name, or a mapping of `name` and options.
        **given: What the net decides for it, such as its channels; no option may contradict it.

    Raises:
        ConfigError: When the name or an option is unknown.
    """
    name = part_name(part, shelf.kind)
    options = {} if isinstance(part, str) else {key: value for key, value in part.items() if key != "name"}
    own = [option for option in inspect.signature(shelf[name].build).parameters if option not in given]
    for option in options:
        if option not in own:
            known = f" Options: {', '.join(own) or 'none'}."
            raise ConfigError(f"{shelf.kind} {name!r} has no option {option!r}.{closest(option, own)}{known}")
    return shelf.build(name, **given, **options)


def part_name(part: Part, kind: str = "part") -> str:
    """The name of a part.

    Raises:
        ConfigError: When it has options but no name.
    """
    name = part if isinstance(part, str) else part.get("name")
    if not isinstance(name, str):
        raise ConfigError(f"A {kind} with options needs a name, as in {{name: plain, first: 0.5}}; got {part}.")
    return name


def at_level(parts: Parts, level: int) -> Part:
    """The part for a level, from one for all or one for each."""
    return parts[min(level, len(parts) - 1)] if isinstance(parts, tuple) else parts


@dataclass(frozen=True)
class Style:
    """How the convolutions of a net are dressed.

    Attributes:
        dims: 2 or 3.
        order: Letters of a unit in sequence: C convolution, N norm, A activation, D dropout.
        norm: A part from `norms`.
        act: A part from `acts`.
        bias: Whether convolutions have a bias; None means only those that no norm follows.
        valid: Whether convolutions use no padding, so that every one shrinks the map.
        dropout: Probability of dropping, at D in `order`.
        drop: What is dropped: whole channels or single elements.
    """

    dims: int
    order: str = "CNA"
    norm: Part = "instance"
    act: Part = "leaky_relu"
    bias: bool | None = None
    valid: bool = False
    dropout: float = 0.0
    drop: str = "channels"

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        bias: bool = True,
        groups: int = 1,
        dilation: int = 1,
    ) -> nn.Module:
        """A convolution; padded to keep the size unless the style is valid."""
        padding = 0 if self.valid else tuple(k // 2 * dilation for k in kernel)
        return CONV[self.dims](
            in_channels, out_channels, tuple(kernel), stride, padding, dilation, bias=bias, groups=groups
        )

    def pointwise(self, in_channels: int, out_channels: int, bias: bool = True) -> nn.Module:
        """A convolution of a single voxel."""
        return CONV[self.dims](in_channels, out_channels, 1, bias=bias)

    def transposed(self, in_channels: int, out_channels: int, stride: Sequence[int], bias: bool = True) -> nn.Module:
        """A transposed convolution whose kernel is its stride, so that it enlarges exactly by it."""
        return TRANSPOSED[self.dims](in_channels, out_channels, tuple(stride), tuple(stride), bias=bias)

    def norm_layer(self, channels: int) -> nn.Module | None:
        """The norm, or None when there is none."""
        return build_part(norms, self.norm, dims=self.dims, channels=channels)

    def act_layer(self, channels: int, inplace: bool = True) -> nn.Module | None:
        """The activation, or None when there is none."""
        return build_part(acts, self.act, channels=channels, inplace=inplace)

    def dress(self, channels: int, inplace: bool = True) -> list[nn.Module]:
        """The norm and the activation, as far as there are any."""
        layers = (self.norm_layer(channels), self.act_layer(channels, inplace))
        return [layer for layer in layers if layer is not None]

    def dropout_layer(self) -> nn.Module | None:
        """The dropout, or None when nothing is dropped."""
        if not self.dropout:
            return None
        return CHANNEL_DROPOUT[self.dims](self.dropout) if self.drop == "channels" else nn.Dropout(self.dropout)

    def has_bias(self, order: str) -> bool:
        """Whether the convolution of a unit of this order has a bias."""
        if self.bias is not None:
            return self.bias
        return "N" not in order[order.index("C") :] or self.norm == "none"


class Unit(nn.Sequential):
    """A convolution with its norm, activation and dropout, in the order of the style.

    Attributes:
        out_channels: Channels it gives.
        shrink: Voxels it removes from each axis (valid convolutions).
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        order: str = "",
        groups: int = 1,
    ) -> None:
        order = order or style.order
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for letter in order:
            name, layer = "conv", None  # type: str, nn.Module | None
            if letter == "C":
                layer = style.conv(in_channels, out_channels, kernel, stride, bias=style.has_bias(order), groups=groups)
                channels = out_channels
            elif letter == "N":
                name, layer = "norm", style.norm_layer(channels)
            elif letter == "A":
                # in place would change the input itself, which a skip may still need
                name, layer = "act", style.act_layer(channels, inplace=bool(layers))
            elif letter == "D":
                name, layer = "dropout", style.dropout_layer()
            if layer is not None:
                layers[name] = layer
        super().__init__(layers)
        self.out_channels = out_channels
        self.shrink = tuple(k - 1 if style.valid else 0 for k in kernel)


class InstanceNorm(nn.Module):
    """Instance norm: each channel of each sample to mean 0 and variance 1, then a scale and a shift.

    Where maps are channels-last, batch norm of one sample at a time: the same formula in a kernel that keeps that
    layout. Torch's own copies maps out of it and back, and on CPUs its gradient for a single sample is wrong there
    (2.13). A map of a single voxel gives the shift, where torch's own refuses.

    Reference:
        ulyanov2016instance.
    """

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        if not innermost(x):
            return torch.instance_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps, True)
        samples = x.split(1) if len(x) > 1 else (x,)
        normed = [torch.batch_norm(s, self.weight, self.bias, None, None, True, 0.0, self.eps, True) for s in samples]
        return torch.cat(normed) if len(normed) > 1 else normed[0]

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, affine={self.weight is not None}"


class GroupNorm(nn.GroupNorm):
    """Group norm; on CPUs through the contiguous layout, in which its gradient takes a fraction of the time.

    Reference:
        wu2018group.
    """

    def forward(self, x: Tensor) -> Tensor:
        # A single channel counts as contiguous in either layout, and torch's backward pass crashes in one (2.13).
        x = x.contiguous() if x.shape[1] > 1 else x.clone(memory_format=torch.contiguous_format)
        normed = torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        return channels_last(normed)


def innermost(x: Tensor) -> bool:
    """Whether channels lie innermost: on CPUs, and on GPUs in half precision, whose tensor cores read them so.

    A compiler chooses by itself.
    """
    half = x.device.type == "cuda" and torch.is_autocast_enabled("cuda")
    return (half or x.device.type == "cpu") and not torch.compiler.is_compiling()


def channels_last(x: Tensor) -> Tensor:
    """The maps (B, C, *S) with channels innermost in memory, where that is faster.

    Convolutions keep the layout they are given, so a net asks for it once, at its door; its weights stay as they are.
    """
    if not innermost(x):
        return x
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    # with one channel both layouts look alike; only a copy says which one is meant
    return x.clone(memory_format=layout) if x.shape[1] == 1 else x.contiguous(memory_format=layout)


@norms.register("instance", papers="ulyanov2016instance")
def _instance(dims: int, channels: int, affine: bool = True, eps: float = 1e-5) -> nn.Module:
    """Each channel of each sample to mean 0 and variance 1."""
    return InstanceNorm(channels, eps, affine)


@norms.register("batch", papers="ioffe2015batch")
def _batch(
    dims: int, channels: int, affine: bool = True, eps: float = 1e-5, momentum: float = 0.1, scale: bool = True
) -> nn.Module:
    """Each channel to mean 0 and variance 1 over the batch; running statistics in evaluation."""
    norm = BATCH_NORM[dims](channels, eps, momentum, affine)
    if not scale:
        norm.register_parameter("weight", None)
    return norm


@norms.register("group", papers="wu2018group")
def _group(dims: int, channels: int, groups: int = 8, affine: bool = True, eps: float = 1e-5) -> nn.Module:
    """Groups of channels of each sample to mean 0 and variance 1; fewer groups when channels do not divide."""
    while channels % groups:
        groups -= 1
    return GroupNorm(groups, channels, eps, affine)


@norms.register("none")
def _no_norm(dims: int, channels: int) -> None:
    """No norm."""


@acts.register("relu")
def _relu(channels: int, inplace: bool) -> nn.Module:
    """max(x, 0)."""
    return nn.ReLU(inplace)


@acts.register("relu6")
def _relu6(channels: int, inplace: bool) -> nn.Module:
    """min(max(x, 0), 6)."""
    return nn.ReLU6(inplace)


@acts.register("leaky_relu")
def _leaky_relu(channels: int, inplace: bool, slope: float = 0.01) -> nn.Module:
    """x above zero, a small slope below."""
    return nn.LeakyReLU(slope, inplace)


@acts.register("prelu", papers="he2015delving")
def _prelu(channels: int, inplace: bool) -> nn.Module:
    """Leaky with a learned slope for each channel."""
    return nn.PReLU(channels)


@acts.register("elu")
def _elu(channels: int, inplace: bool) -> nn.Module:
    """x above zero, exp(x) - 1 below."""
    return nn.ELU(inplace=inplace)


@acts.register("gelu")
def _gelu(channels: int, inplace: bool) -> nn.Module:
    """x times the normal distribution function."""
    return nn.GELU()


@acts.register("silu")
def _silu(channels: int, inplace: bool) -> nn.Module:
    """x times its sigmoid."""
    return nn.SiLU(inplace)


@acts.register("none")
def _no_act(channels: int, inplace: bool) -> None:
    """No activation."""
