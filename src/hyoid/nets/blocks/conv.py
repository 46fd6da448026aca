"""Blocks made of convolutions: plain, residual, residual before activation, V-Net's.

A block builder takes (style, in_channels, out_channels, kernel, stride, depth) and its own options, and gives a module
that reports `.out_channels` (which may differ from what was asked) and `.shrink` (voxels lost along each axis).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.registry import Registry
from ..layers import AVERAGE_POOL, Style, Unit

blocks: Registry[nn.Module] = Registry("block")


class Stack(nn.Sequential):
    """Parts one after the other; reports what comes out."""

    def __init__(self, in_channels: int, parts: Sequence[nn.Module]) -> None:
        super().__init__(*parts)
        self.out_channels: int = parts[-1].out_channels if parts else in_channels  # type: ignore[assignment]
        shrinks = [part.shrink for part in parts if hasattr(part, "shrink")]
        self.shrink: tuple[int, ...] = tuple(map(sum, zip(*shrinks, strict=True)))


@blocks.register("plain", papers="ronneberger2015unet")
def plain(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    first: float = 1.0,
) -> nn.Module:
    """Convolution units in a row; the first one strides and may be narrower by the factor `first`."""
    widths = [in_channels, *[round(out_channels * first)] * (depth > 1), *[out_channels] * max(1, depth - 1)]
    if depth == 0:
        widths = [in_channels]
    steps = [tuple(stride)] + [(1,) * style.dims] * depth
    pairs = zip(widths, widths[1:], steps, strict=False)
    return Stack(in_channels, [Unit(style, a, b, kernel, step) for a, b, step in pairs])


@blocks.register("across_slices", papers="han2017liver")
def across_slices(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    slices: int = 5,
) -> nn.Module:
    """A unit that sees several slices (the first axis of a volume) at once; in 2D a plain one."""
    if slices % 2 == 0:
        raise ConfigError(f"a slice and as many on each side of it are an odd number, not {slices}")
    seen = (slices, *kernel[1:]) if style.dims == 3 else tuple(kernel)
    return Unit(style, in_channels, out_channels, seen, tuple(stride))


class ResidualBlock(nn.Module):
    """Two units and a shortcut, added before the last activation (ResNet-D shortcut).

    The shortcut pools where the block strides and projects where the width changes; `projected` is a strided
    convolution of single voxels without norm. The last norm starts at zero, so that the block starts as its shortcut.

    Reference:
        he2016deep; he2019bag (ResNet-D); isensee2024revisited; ma2024umamba (projected).
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        projected: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.first = Unit(style, in_channels, out_channels, kernel, stride)
        self.second = Unit(style, out_channels, out_channels, kernel, order=style.order.replace("A", ""))
        self.shortcut = (
            style.conv(in_channels, out_channels, (1,) * style.dims, tuple(stride))
            if projected
            else _shortcut(style, in_channels, out_channels, stride)
        )
        self.act = style.act_layer(out_channels) or nn.Identity()

    def initialise(self) -> None:
        """Let the block start as its shortcut."""
        weight = getattr(getattr(self.second, "norm", None), "weight", None)
        if weight is not None:
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.second(self.first(x)) + self.shortcut(x))


def _shortcut(style: Style, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = []
    if any(step > 1 for step in stride):
        layers.append(AVERAGE_POOL[style.dims](tuple(stride), tuple(stride)))
    if in_channels != out_channels:
        projecting = replace(style, bias=False)
        layers.append(Unit(projecting, in_channels, out_channels, (1,) * style.dims, order="CN"))
    return nn.Sequential(*layers)


@blocks.register("residual", papers=("he2016deep", "he2019bag"))
def residual(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    projected: bool = False,
    more: int = 0,
    entrance: bool = False,
) -> nn.Module:
    """Residual blocks in a row, each of two convolutions; the first one strides.

    With `projected` the shortcut of the first is a convolution even where nothing changes. `more` blocks than the
    level has are for stems, which otherwise have one. With `entrance` a convolution of single voxels without norm
    brings the map to its width before the first block, as in wolny/pytorch-3dunet.
    """
    _refuse_valid(style, "residual")
    if entrance and depth and in_channels != out_channels:
        enter = Unit(replace(style, bias=True), in_channels, out_channels, (1,) * style.dims, order="C")
        body = residual(style, out_channels, out_channels, kernel, stride, depth, projected, more)
        return Stack(in_channels, [enter, *body.children()])
    first = partial(ResidualBlock, projected=projected)
    return _row(ResidualBlock, style, in_channels, out_channels, kernel, stride, depth + more, first)


class PadLast(nn.Module):
    """Zeros that a convolution needs to make one voxel of each stride; an odd one stands at the end.

    TensorFlow pads so, where torch has an odd zero at the beginning.
    """

    def __init__(self, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        over = [max(0, size - step) for size, step in zip(reversed(kernel), reversed(stride), strict=True)]
        self.ends = [end for zeros in over for end in (zeros // 2, zeros - zeros // 2)]

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.ends)


class PreactivatedBlock(nn.Module):
    """Norm, activation, convolution, twice; the input is added, projected where size or width change.

    With `activated` the shortcut projects the normed and activated input, always and without a norm, and strided
    convolutions are padded at their end, as in TensorFlow.

    Reference:
        he2016identity; zhang2018road; wang2020nonlocal (activated).
    """

    def __init__(
        self,
        style: Style,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        activated: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels, self.activated = out_channels, activated
        self.first = Unit(replace(style, valid=activated), in_channels, out_channels, kernel, stride, order="NAC")
        self.pad = PadLast(kernel, stride) if activated else nn.Identity()
        self.second = Unit(style, out_channels, out_channels, kernel, order="NAC")
        same = in_channels == out_channels and all(step == 1 for step in stride) and not activated
        one, order = (1,) * style.dims, "C" if activated else "CN"
        self.shortcut = nn.Identity() if same else Unit(style, in_channels, out_channels, one, stride, order=order)

    def forward(self, x: Tensor) -> Tensor:
        *dressing, conv = self.first
        y = x
        for layer in dressing:
            y = layer(y)
        return self.second(conv(self.pad(y))) + self.shortcut(y if self.activated else x)


@blocks.register("preactivated", papers=("he2016identity", "zhang2018road"))
def preactivated(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    activated: bool = False,
) -> nn.Module:
    """Residual blocks that normalise and activate before they convolve; `activated`: the first shortcut, too."""
    _refuse_valid(style, "preactivated")
    first = partial(PreactivatedBlock, activated=activated)
    return _row(PreactivatedBlock, style, in_channels, out_channels, kernel, stride, depth, first)


class VNetStage(nn.Module):
    """Convolution units in a row; the input of the stage is added before a last activation.

    With `bare_last` the sum takes the last convolution before its activation, as the paper has it; its weights start at
    zero, so that without a norm maps do not grow from stage to stage.

    Reference:
        milletari2016vnet.
    """

    def __init__(self, style: Style, channels: int, kernel: Sequence[int], depth: int, bare_last: bool = False) -> None:
        super().__init__()
        self.out_channels, self.bare_last = channels, bare_last
        last = style.order.replace("A", "") if bare_last else style.order
        orders = [*[style.order] * (depth - 1), last]
        self.units = nn.Sequential(*[Unit(style, channels, channels, kernel, order=order) for order in orders])
        self.act = style.act_layer(channels) or nn.Identity()

    def initialise(self) -> None:
        """Let the stage start as the activation of its input."""
        if self.bare_last:
            nn.init.zeros_(self.units[-1].conv.weight)  # type: ignore[union-attr, arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.units(x) + x)


@blocks.register("vnet", papers="milletari2016vnet")
def vnet(
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    bare_last: bool = False,
) -> nn.Module:
    """V-Net's stage, whose input has the width of its output; nothing when `depth` is 0."""
    _refuse_valid(style, "vnet")
    if depth == 0:
        return Stack(in_channels, [])
    if in_channels != out_channels or any(step > 1 for step in stride):
        raise ConfigError(
            f"A vnet block adds its input to its output, so it needs as many channels in as out and no stride; got "
            f"{in_channels} and {out_channels}, stride {tuple(stride)}. Use down: strided_unit and decoder_channels "
            f"twice the channels."
        )
    return VNetStage(style, out_channels, kernel, depth, bare_last)


class RepeatedInput(nn.Module):
    """One unit to which the image is added, its channels repeated in turn to as many: V-Net's entrance.

    Trap: a public port joins the copies along the batch, so that the sum is of the wrong images.

    Reference:
        milletari2016vnet.
    """

    def __init__(self, style: Style, in_channels: int, out_channels: int, kernel: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.times = -(-out_channels // in_channels)
        self.unit = Unit(style, in_channels, out_channels, kernel, order="CN")
        self.act = style.act_layer(out_channels) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        repeated = x.repeat(1, self.times, *[1] * (x.ndim - 2))[:, : self.out_channels]
        return self.act(self.unit(x) + repeated)


@blocks.register("repeated_input", papers="milletari2016vnet")
def repeated_input(
    style: Style, in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int], depth: int
) -> nn.Module:
    """V-Net's entrance: a unit plus the repeated image."""
    _refuse_valid(style, "repeated_input")
    return RepeatedInput(style, in_channels, out_channels, kernel)


def _row(
    block: type[nn.Module],
    style: Style,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    depth: int,
    first: Callable[..., nn.Module],
) -> Stack:
    """`depth` blocks; the first one strides and changes the width."""
    one, ends = (1,) * style.dims, (out_channels, kernel)
    row = [first(style, in_channels, *ends, tuple(stride))] if depth else []
    return Stack(in_channels, [*row, *(block(style, out_channels, *ends, one) for _ in range(depth - 1))])


def _refuse_valid(style: Style, name: str, does: str = "adds") -> None:
    if style.valid:
        raise ConfigError(f'Block {name!r} {does} maps of one size, so it needs padding "same"; got "valid".')


def require_same_grid(name: str, style: Style, stride: Sequence[int]) -> None:
    """Refuse strides and valid convolutions for a block that gives maps of the size it gets.

    Raises:
        ConfigError: When the block is asked to stride, or convolutions are not padded.
    """
    if any(step > 1 for step in stride):
        raise ConfigError(
            f"Block {name!r} keeps the size of its maps, so it needs a way down of its own, such as down: max; "
            f'got stride {tuple(stride)} from down: "strided".'
        )
    _refuse_valid(style, name, "joins")
