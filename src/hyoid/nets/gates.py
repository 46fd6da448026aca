"""Attention gates: skips that let through what the decoder looks for.

Both compute one weight between 0 and 1 for each voxel, sigmoid(psi(ReLU(W_x x + W_g g))), and multiply the encoder's
map x by it; public drawings that show x and the weights side by side are wrong. They differ in where they look from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import CONV, Style, Unit
from .resample import LINEAR
from .skips import skips


class AttentionGate(nn.Module):
    """A gate on the finer grid: it looks from the enlarged map of the decoder.

    Reference:
        oktay2018attention, in the form of most public 2D code: three convolutions of single voxels with norms.
    """

    def __init__(self, style: Style, in_channels: int, gate_channels: int, inner: int) -> None:
        super().__init__()
        self.out_channels = in_channels
        padded = replace(style, valid=False)
        one = (1,) * style.dims
        self.gate = Unit(padded, gate_channels, inner, one, order="CN")
        self.skip = Unit(padded, in_channels, inner, one, order="CN")
        self.psi = Unit(padded, inner, 1, one, order="CN")

    def weights(self, skip: Tensor, gate: Tensor) -> Tensor:
        """How much of each voxel passes, (B, 1, *S) between 0 and 1."""
        return torch.sigmoid(self.psi(functional.relu(self.gate(gate) + self.skip(skip))))

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        return skip * self.weights(skip, gate)


@skips.register("attention_gate", papers=("oktay2018attention", "schlemper2019attention"))
def _attention_gate(
    style: Style, in_channels: int, gate_channels: int, level: int, inner: int | None = None
) -> nn.Module:
    """A gate on the finer grid; `inner` channels, half of the skip's unless told otherwise."""
    return AttentionGate(style, in_channels, gate_channels, inner or max(1, in_channels // 2))


class GridGate(nn.Module):
    """One gate on the coarser grid, whose weights are then enlarged; a norm follows the product.

    Reference:
        oktay2018attention.
    """

    def __init__(self, style: Style, channels: int, gate_channels: int, inner: int, stride: Sequence[int]) -> None:
        super().__init__()
        cells = tuple(stride)
        self.theta = CONV[style.dims](channels, inner, cells, cells, bias=False)
        self.phi = style.pointwise(gate_channels, inner)
        self.psi = style.pointwise(inner, 1)
        self.out = Unit(replace(style, bias=True), channels, channels, (1,) * style.dims, order="CN")

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        looked = functional.relu(self.theta(skip) + self.phi(gate))
        weights = torch.sigmoid(self.psi(looked))
        return self.out(skip * functional.interpolate(weights, skip.shape[2:], mode=LINEAR[skip.ndim - 2]))


@skips.register("attention_gate_grid", papers=("oktay2018attention", "schlemper2019attention"))
class GridAttentionGates(nn.Module):
    """Gates on the coarser grid, one or several, whose products a unit combines.

    From the bottom of the U they look through a unit of single voxels, which makes the gating signal; from other levels
    at the decoder's map itself.
    """

    coarse = True

    def __init__(
        self,
        style: Style,
        in_channels: int,
        gate_channels: int,
        level: int,
        stride: Sequence[int],
        bottom: bool,
        gates: int = 2,
    ) -> None:
        super().__init__()
        self.out_channels = in_channels
        one = (1,) * style.dims
        signal = Unit(style, gate_channels, gate_channels, one, order="CNA") if bottom else None
        self.signal = nn.Identity() if signal is None else signal
        self.gates = nn.ModuleList(
            GridGate(style, in_channels, gate_channels, in_channels, stride) for _ in range(gates)
        )
        self.combine = Unit(style, gates * in_channels, in_channels, one, order="CNA")

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        signal = self.signal(gate)
        return self.combine(torch.cat([each(skip, signal) for each in self.gates], dim=1))
