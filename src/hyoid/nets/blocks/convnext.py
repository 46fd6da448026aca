"""MedNeXt's block: a large kernel for each channel, then a wide mixing of channels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ..layers import CONV, TRANSPOSED, InstanceNorm


class MedNeXtBlock(nn.Module):
    """Depthwise convolution, norm of each channel, expansion, GELU, compression; the input is added.

    `step` 1 keeps the grid, 2 halves it, -2 doubles it. Where the grid changes, the shortcut is a strided convolution
    of single voxels. A doubled map lacks its first voxel along each axis, which is zero.

    Reference:
        roy2023mednext.
    """

    def __init__(
        self, dims: int, in_channels: int, out_channels: int, kernel: int, expansion: int, step: int = 1
    ) -> None:
        super().__init__()
        wide, stride = in_channels * expansion, abs(step)
        conv = TRANSPOSED[dims] if step < 0 else CONV[dims]
        self.depthwise = conv(in_channels, in_channels, kernel, stride, kernel // 2, groups=in_channels)
        self.norm = InstanceNorm(in_channels)
        self.expand = CONV[dims](in_channels, wide, 1)
        self.compress = CONV[dims](wide, out_channels, 1)
        self.shortcut = nn.Identity() if step == 1 else conv(in_channels, out_channels, 1, stride)
        self.padding = (1, 0) * dims if step < 0 else ()

    def forward(self, x: Tensor) -> Tensor:
        y = self.compress(functional.gelu(self.expand(self.norm(self.depthwise(x)))))
        return self._filled(y) + self._filled(self.shortcut(x))

    def _filled(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.padding) if self.padding else x
