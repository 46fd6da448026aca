"""3D convolutions that are safe for flat maps on processors with matrix units (AMX).

There oneDNN's gradient of the weights in bfloat16 writes beyond its memory where maps have few slices and these are
large: torch 2.13 crashes, hangs or computes on with 8 slices of 96 x 96. From 10 slices on it does not, at no size that
was tried. So while a net learns, such maps get slices of zeros at their end, whose answers are left out: what padding
with zeros does anyway, so that all others stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW, LARGE = 16, 64 * 64
"""Fewer slices than this, of as many voxels, are not safe; with some room on either side."""

MATRIX_UNITS = bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())
"""Whether this processor has them."""


def needs_slices(x: Tensor) -> bool:
    """Whether the gradient of a convolution of such maps (B, C, D, H, W) is not safe here."""
    learns = torch.is_grad_enabled() and x.device.type == "cpu"
    half = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return MATRIX_UNITS and learns and half and x.shape[2] < FEW and x.shape[3] * x.shape[4] >= LARGE


def with_slices(x: Tensor) -> Tensor:
    """The maps with slices of zeros at their end, as many as are lacking."""
    return functional.pad(x, (0, 0, 0, 0, 0, FEW - x.shape[2]))


def without_slices(x: Tensor, count: int) -> Tensor:
    """The first slices of maps, in the layout of all."""
    first = x.narrow(2, 0, count)
    last = x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()
    return first.contiguous(memory_format=torch.channels_last_3d if last else torch.contiguous_format)


class Conv3d(nn.Conv3d):
    """A convolution, padded with zeros if at all."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.ndim != 5 or not needs_slices(x):
            return super()._conv_forward(x, weight, bias)
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        count = (x.shape[2] + 2 * int(self.padding[0]) - reach) // self.stride[0] + 1
        return without_slices(super()._conv_forward(with_slices(x), weight, bias), count)


class ConvTranspose3d(nn.ConvTranspose3d):
    """A transposed convolution."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The enlarged maps."""
        if x.ndim != 5 or output_size is not None or not needs_slices(x):
            return super().forward(x, output_size)
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        count = (x.shape[2] - 1) * self.stride[0] - 2 * int(self.padding[0]) + reach + self.output_padding[0]
        return without_slices(super().forward(with_slices(x)), count)
