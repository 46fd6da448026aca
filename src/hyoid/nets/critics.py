"""Critics: nets that judge an answer, for learning from an adversary.

A critic is built with (dims, in_channels) and its own options, and is called with what it is to judge, (B, C, *S): an
image and an answer side by side, or an image multiplied by an answer, as the regime sees fit.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from ..core.registry import Registry
from .layers import CONV, Part, Style

critics: Registry[nn.Module] = Registry("critic")


class Judged(NamedTuple):
    """What a critic says.

    Attributes:
        score: Higher for what looks real; a number for each patch (B, 1, *S') or for each sample (B, 1).
        features: Maps on the way to it, finest first, whose likeness may be asked for too.
    """

    score: Tensor
    features: tuple[Tensor, ...]


class _Ladder(nn.Module):
    """Convolution units one after the other, and a score of the last map."""

    def __init__(self, units: list[nn.Module], score: nn.Module) -> None:
        super().__init__()
        self.units, self.score = nn.ModuleList(units), score

    def forward(self, x: Tensor) -> Judged:
        features = []
        for unit in self.units:
            x = unit(x)
            features.append(x)
        return Judged(self.score(x), tuple(features))


def _unit(style: Style, in_channels: int, out_channels: int, kernel: int, stride: int, normed: bool) -> nn.Module:
    """A convolution, a norm unless it is the first, and a leaky activation."""
    norm = style.norm_layer(out_channels) if normed else None
    conv = CONV[style.dims](in_channels, out_channels, kernel, stride, (kernel - 1) // 2, bias=norm is None)
    layers = [conv, norm, style.act_layer(out_channels)]
    return nn.Sequential(*[layer for layer in layers if layer is not None])


def _style(dims: int, norm: Part) -> Style:
    return Style(dims, norm=norm, act={"name": "leaky_relu", "slope": 0.2})


@critics.register("patch", papers="isola2017pix2pix")
def patch(dims: int, in_channels: int, width: int = 64, layers: int = 3, norm: Part = "batch") -> nn.Module:
    """PatchGAN: a score for each overlapping patch, 70 voxels wide with three layers.

    Reference:
        isola2017pix2pix, section 6.1.2.
    """
    style = _style(dims, norm)
    widths = [in_channels, *[width * min(2**level, 8) for level in range(layers + 1)]]
    units = [
        _unit(style, a, b, 4, 1 if level == layers else 2, normed=level > 0)
        for level, (a, b) in enumerate(itertools.pairwise(widths))
    ]
    return _Ladder(units, CONV[dims](widths[-1], 1, 4, 1, 1))


@critics.register("pixel", papers="isola2017pix2pix")
def pixel(dims: int, in_channels: int, width: int = 64, norm: Part = "batch") -> nn.Module:
    """A score for each voxel by itself, of its channels alone."""
    style = _style(dims, norm)
    units = [_unit(style, in_channels, width, 1, 1, False), _unit(style, width, 2 * width, 1, 1, True)]
    return _Ladder(units, CONV[dims](2 * width, 1, 1))


class _Mean(nn.Module):
    """The mean of a map over the image."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(tuple(range(2, x.ndim)))


@critics.register("image", papers="son2017vgan")
def image(dims: int, in_channels: int, width: int = 32, layers: int = 4, norm: Part = "batch") -> nn.Module:
    """One score for the whole image: units that halve the grid, the mean of the last map, a dense layer.

    Reference:
        son2017vgan.
    """
    style = _style(dims, norm)
    widths = [in_channels, *[width * 2**level for level in range(layers)]]
    units = [_unit(style, a, b, 4, 2, normed=level > 0) for level, (a, b) in enumerate(itertools.pairwise(widths))]
    return _Ladder(units, nn.Sequential(_Mean(), nn.Linear(widths[-1], 1)))


class _MultiScale(nn.Module):
    """Features at every scale, the input among them; the score is their mean."""

    def __init__(self, units: list[nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)

    def forward(self, x: Tensor) -> Judged:
        features = [x]
        for unit in self.units:
            features.append(unit(features[-1]))
        score = torch.stack([f.flatten(1).mean(1) for f in features[1:]]).mean(0)
        return Judged(score[:, None], tuple(features))


@critics.register("multi_scale", papers="xue2018segan")
def multi_scale(dims: int, in_channels: int, width: int = 64, layers: int = 3, norm: Part = "batch") -> nn.Module:
    """SegAN's: no verdict but features at every scale, of which net and critic play for the mean difference.

    It sees the image multiplied by the answer, and by the reference.

    Reference:
        xue2018segan, equation 2.
    """
    style = _style(dims, norm)
    widths = [in_channels, *[width * 2**level for level in range(layers)]]
    units = [_unit(style, a, b, 4, 2, normed=level > 0) for level, (a, b) in enumerate(itertools.pairwise(widths))]
    return _MultiScale(units)


class _Projective(nn.Module):
    """A critic in 2D on projections of a volume along one axis."""

    def __init__(self, critic: nn.Module, axis: int) -> None:
        super().__init__()
        self.critic, self.axis = critic, axis

    def forward(self, x: Tensor) -> Judged:
        return self.critic(1 - torch.exp(-x.clamp(min=0).sum(2 + self.axis)))


@critics.register("projective", papers="khosravan2019pan")
def projective(dims: int, in_channels: int, each: Part = "patch", axis: int = 0) -> nn.Module:
    """PAN's second: a critic in 2D of a volume seen along one axis, 1 - exp(-sum) of its values above 0.

    Reference:
        khosravan2019pan.
    """
    if dims != 3:
        raise ConfigError('The critic "projective" looks through a volume, so it needs 3D; use "patch" in 2D.')
    name, options = (
        (each, {}) if isinstance(each, str) else (each["name"], {k: v for k, v in each.items() if k != "name"})
    )
    return _Projective(critics.build(name, dims=2, in_channels=in_channels, **options), axis)
