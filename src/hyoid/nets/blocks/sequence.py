"""State spaces: the selective scan in plain torch, Mamba's block, and scans of images in four directions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ..half import LayerNorm
from ..layers import CONV, Style
from .attention import attentions


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The states h_t = exp(delta_t a) h_(t-1) + delta_t b_t u_t seen as y_t = c_t h_t + d u_t.

    The states advance in blocks of about the square root of the length: all blocks take a step at once from a state of
    zero, then each adds what its start has become. So a length L costs 2 sqrt(L) steps in place of L, and the answer
    is that of the sequence to rounding, as no factor is ever divided by. Memory is that of all states, (B, L, D, N).

    Args:
        u: Input, shape (B, L, D).
        delta: Positive step sizes, shape (B, L, D).
        a: Negative rates, shape (D, N).
        b: Input vectors, shape (B, L, N).
        c: Output vectors, shape (B, L, N).
        d: Weights of the input itself, shape (D).

    Returns:
        Shape (B, L, D), in 32 bits or more.

    Reference:
        gu2024mamba, equation 2.
    """
    u, delta, b, c = (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in (u, delta, b, c))
    length = u.shape[1]
    size = max(1, math.isqrt(length))
    missing = -length % size
    pieces = [functional.pad(x, (0, 0, 0, missing)).unflatten(1, (-1, size)) for x in (delta, delta * u, b)]
    decay = torch.exp(pieces[0].unsqueeze(-1) * a)  # (B, blocks, size, D, N)
    pushed = pieces[1].unsqueeze(-1) * pieces[2].unsqueeze(-2)
    # taken apart at once: the gradient of one slice alone would be as large as the whole
    decays, pushes = decay.unbind(2), pushed.unbind(2)
    states, shares = [pushes[0]], [decays[0]]
    for rate, push in zip(decays[1:], pushes[1:], strict=True):
        states.append(rate * states[-1] + push)
        shares.append(rate * shares[-1])
    starts = [torch.zeros_like(states[0][:, 0])]
    for share, state in zip(shares[-1].unbind(1)[:-1], states[-1].unbind(1)[:-1], strict=True):
        starts.append(share * starts[-1] + state)
    whole = torch.stack(states, 2) + torch.stack(shares, 2) * torch.stack(starts, 1).unsqueeze(2)
    seen = (whole.flatten(1, 2)[:, :length] * c.unsqueeze(-2)).sum(-1)
    return seen + d * u


class Selection(nn.Module):
    """The step sizes and vectors that a sequence chooses for itself, and the scan with them.

    Reference:
        gu2024mamba, algorithm 2.
    """

    def __init__(self, width: int, states: int, rank: int) -> None:
        super().__init__()
        self.states, self.rank = states, rank
        self.x_proj = nn.Linear(width, rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(rank, width)
        self.a_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(width, 1))
        self.d = nn.Parameter(torch.ones(width))

    def initialise(self) -> None:
        """Rates of 1 to N; step sizes between 0.001 and 0.1."""
        with torch.no_grad():
            self.a_log.copy_(torch.arange(1.0, self.states + 1).log().expand_as(self.a_log))
            nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
            steps = torch.exp(torch.empty_like(self.dt_proj.bias).uniform_(math.log(1e-3), math.log(0.1)))
            self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus gives the steps back

    def forward(self, x: Tensor) -> Tensor:
        rank, b, c = self.x_proj(x).split((self.rank, self.states, self.states), -1)
        delta = functional.softplus(self.dt_proj(rank))
        return selective_scan(x, delta, -self.a_log.exp(), b, c, self.d)


class Mamba(nn.Module):
    """Mamba: a short causal convolution, SiLU and the selective scan, gated; on sequences (B, L, C).

    Reference:
        gu2024mamba, figure 3.
    """

    def __init__(self, channels: int, states: int = 16, taps: int = 4, expand: int = 2) -> None:
        super().__init__()
        width = expand * channels
        self.in_proj = nn.Linear(channels, 2 * width, bias=False)
        self.taps = nn.Parameter(torch.empty(taps, width).uniform_(-(taps**-0.5), taps**-0.5))
        self.tap_bias = nn.Parameter(torch.zeros(width))
        self.selection = Selection(width, states, math.ceil(channels / 16))
        self.out_proj = nn.Linear(width, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.in_proj(x).chunk(2, -1)
        x = functional.silu(self._convolved(x))
        y = self.selection(x)
        return self.out_proj(y * functional.silu(gate))

    def _convolved(self, x: Tensor) -> Tensor:
        """Each voxel and the ones before it, weighted; the last tap is the voxel's own."""
        count, length = len(self.taps), x.shape[1]
        padded = functional.pad(x, (0, 0, count - 1, 0))
        terms = [self.taps[tap] * padded[:, tap : tap + length] for tap in range(count)]
        return torch.stack(terms).sum(0) + self.tap_bias


@attentions.register("mamba", papers=("ma2024umamba", "gu2024mamba"))
class MambaLayer(nn.Module):
    """Layer norm and Mamba over all voxels as one sequence; nothing is added to it.

    With `voxels`, for maps of exactly as many, channels are the sequence and a channel's voxels its features, which is
    what U-Mamba's code does where a map of the patch it was planned for has no more voxels than channels.

    Reference:
        ma2024umamba, figure 1.
    """

    def __init__(self, style: Style, channels: int, states: int = 16, voxels: int | None = None) -> None:
        super().__init__()
        self.voxels = voxels
        self.norm = LayerNorm(voxels or channels)
        self.mamba = Mamba(voxels or channels, states)

    def forward(self, x: Tensor) -> Tensor:
        if self.voxels is None:
            return as_map(self.mamba(self.norm(tokens(x))), x.shape[2:])
        found = math.prod(x.shape[2:])
        if found != self.voxels:
            raise ConfigError(
                f"A mamba layer that scans the channels of {self.voxels} voxels got a map of {found} voxels. "
                "Give it images of the size it was built for, or leave out its option `voxels`."
            )
        return self.mamba(self.norm(x.flatten(2))).reshape(x.shape)


class FourWays(nn.Module):
    """The selective scan over a map along each axis, forwards and backwards, each with its own weights, added.

    In 2D the four directions of VM-UNet: along rows and along columns, both ways. In 3D each axis is innermost once,
    so there are six.

    Reference:
        liu2024vmamba; ruan2024vmunet.
    """

    def __init__(self, dims: int, channels: int, states: int = 16, expand: int = 2) -> None:
        super().__init__()
        width = expand * channels
        self.in_proj = nn.Linear(channels, 2 * width, bias=False)
        self.depthwise = CONV[dims](width, width, 3, padding=1, groups=width)
        rank = math.ceil(channels / 16)
        self.ways = nn.ModuleList(Selection(width, states, rank) for _ in range(2 * dims))
        self.norm = LayerNorm(width)
        self.out_proj = nn.Linear(width, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps with channels last, (B, *S, C), in and out."""
        x, gate = self.in_proj(x).chunk(2, -1)
        x = functional.silu(self.depthwise(x.movedim(-1, 1)).movedim(1, -1))
        axes = list(range(1, x.ndim - 1))
        total: Tensor | None = None
        for number, way in enumerate(self.ways):
            axis = axes[-1 - number // 2]
            turned = x.movedim(axis, -2)
            y = _along(way, turned, backwards=bool(number % 2)).movedim(-2, axis)
            total = y if total is None else total + y
        assert total is not None  # there are at least four ways
        return self.out_proj(self.norm(total.to(x.dtype)) * functional.silu(gate))


def _along(way: nn.Module, x: Tensor, backwards: bool) -> Tensor:
    sequence = x.flatten(1, -2)
    y = way(sequence.flip(1)).flip(1) if backwards else way(sequence)
    return y.reshape(x.shape)


def tokens(x: Tensor) -> Tensor:
    """A map (B, C, *S) as a sequence (B, L, C)."""
    return x.flatten(2).transpose(1, 2)


def as_map(sequence: Tensor, shape: Sequence[int]) -> Tensor:
    """A sequence (B, L, C) as a map (B, C, *S) of this spatial shape."""
    return sequence.transpose(1, 2).reshape(len(sequence), -1, *shape)
