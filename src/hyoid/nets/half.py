"""Convolutions and norms whose parameters get right gradients in bfloat16 on a processor.

oneDNN's gradient of the weights of convolutions in bfloat16 is wrong, and reads and writes beyond its memory:

- on processors with avx512_bf16, where maps are shorter along an axis than the kernel: off by 1 to 1e36, or nan, in
  volumes with 2 slices and a kernel of 3, with 2 to 4 and one of 5, with 1 row and one of 5; in images and volumes with
  a last axis of 1 and steps of 2 or 3, of 2 and steps of 3
- on processors with matrix units (AMX), where maps have few slices and these are large: torch 2.13 crashes, hangs or
  computes on with 8 slices of 96 x 96; from 10 slices on it does not, at no size that was tried

So while a net learns, such maps get zeros at their end, and what is answered to them is left out: padding with zeros
does the same, so all other answers stay as they are. `planning.gradients` looks whether that was enough.

torch adds up the gradients of layer norms in bfloat16: cosines of 0.98 to those in float32 with 32768 tokens, of 0.95
where they have one sign. Such norms are computed in float32, as on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

FEW, LARGE = 16, 64 * 64
"""Fewer slices than this, of as many voxels, are not safe with matrix units; with some room on either side."""

MATRIX_UNITS = bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())
"""Whether this processor has them."""


def learns_in_half(x: Tensor) -> bool:
    """Whether a gradient of these maps will be computed in bfloat16 by the processor."""
    half = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return half and torch.is_grad_enabled() and x.device.type == "cpu"


def safe_sizes(sizes: Sequence[int], kernel: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Along each axis the fewest voxels, not fewer than there are, of which the gradient of the weights is right.

    Args:
        sizes: Of the larger maps of the convolution along each axis, slices first.
        kernel: Voxels of the kernel; 1 along axes with dilation, which are safe.
        counts: Of the smaller maps; one slice of a volume alone is safe.
    """
    safe = [max(size, k) for size, k in zip(sizes, kernel, strict=True)]
    if len(sizes) == 3 and counts[0] == 1:
        safe[0] = sizes[0]
    if len(sizes) == 3 and MATRIX_UNITS and sizes[0] < FEW and sizes[1] * sizes[2] >= LARGE:
        safe[0] = FEW
    return safe


def lengthened(x: Tensor, more: Sequence[int]) -> Tensor:
    """Maps with so many more zeros at the end of each axis."""
    return functional.pad(x, [end for count in reversed(more) for end in (0, count)])


def shortened(x: Tensor, counts: Sequence[int]) -> Tensor:
    """The first voxels of maps along each axis, in the layout of all."""
    last = torch.channels_last_3d if x.ndim == 5 else torch.channels_last
    kept = last if x.is_contiguous(memory_format=last) and not x.is_contiguous() else torch.contiguous_format
    box: tuple[Any, ...] = (..., *(slice(count) for count in counts))
    return x[box].contiguous(memory_format=kept)


class _Conv(_ConvNd):
    """A convolution, padded with zeros if at all."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.ndim != weight.ndim or not learns_in_half(x):
            return super()._conv_forward(x, weight, bias)
        sizes, padding = x.shape[2:], cast(Sequence[int], self.padding)
        axes = list(zip(sizes, self.kernel_size, self.stride, padding, self.dilation, strict=True))
        counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]
        safe = safe_sizes(sizes, [k if d == 1 else 1 for _, k, _, _, d in axes], counts)
        more = [wanted - n for wanted, n in zip(safe, sizes, strict=True)]
        if not any(more):
            return super()._conv_forward(x, weight, bias)
        return shortened(super()._conv_forward(lengthened(x, more), weight, bias), counts)


class Conv2d(_Conv, nn.Conv2d):
    """A convolution of images."""


class Conv3d(_Conv, nn.Conv3d):
    """A convolution of volumes."""


class _ConvTranspose(_ConvTransposeNd):
    """A transposed convolution."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The enlarged maps."""
        if x.ndim != self.weight.ndim or output_size is not None or not learns_in_half(x):
            return cast(Tensor, super().forward(x, output_size))
        sizes, padding = x.shape[2:], cast(Sequence[int], self.padding)
        axes = list(zip(sizes, self.kernel_size, self.stride, padding, self.output_padding, self.dilation, strict=True))
        counts = [(n - 1) * s - 2 * p + d * (k - 1) + 1 + o for n, k, s, p, o, d in axes]
        safe = safe_sizes(counts, [k if d == 1 else 1 for _, k, _, _, _, d in axes], sizes)
        more = [-((n - wanted) // s) for wanted, n, s in zip(safe, counts, self.stride, strict=True)]
        if not any(more):
            return cast(Tensor, super().forward(x))
        return shortened(super().forward(lengthened(x, more)), counts)


class ConvTranspose2d(_ConvTranspose, nn.ConvTranspose2d):
    """A transposed convolution of images."""


class ConvTranspose3d(_ConvTranspose, nn.ConvTranspose3d):
    """A transposed convolution of volumes."""


class LayerNorm(nn.LayerNorm):
    """A norm over the last axes, with learnt scale and shift."""

    def forward(self, x: Tensor) -> Tensor:
        """The normed tokens, in the number format that they came in."""
        if not learns_in_half(x):
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)
