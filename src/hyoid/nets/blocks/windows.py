"""Attention in windows that shift from layer to layer, and ways between grids of tokens.

Tokens lie on their grid with channels last: (B, *S, C).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..half import LayerNorm
from .tokens import SelfAttention


class WindowAttention(SelfAttention):
    """Every token looks at those of its window, with several heads and a learnt bias for each relative place.

    A window that is larger than the map shrinks to it. Trap: public code then reads the biases of the wrong places, by
    cutting a table that was laid out for the full window.

    Reference:
        liu2021swin, equation 4.
    """

    def __init__(self, channels: int, heads: int, window: Sequence[int]) -> None:
        super().__init__(channels, heads)
        self.window = tuple(window)
        self.places = nn.Parameter(torch.empty(math.prod(2 * w - 1 for w in window), heads))

    def initialise(self) -> None:
        """Small random biases."""
        nn.init.trunc_normal_(self.places, std=0.02)

    def forward(self, x: Tensor, window: tuple[int, ...], apart: Tensor | None) -> Tensor:  # type: ignore[override]
        """Windows of tokens (B * windows, tokens, C); `apart` (windows, tokens, tokens) keeps some from each other."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.places[_relative(window, self.window).to(x.device)].permute(2, 0, 1)
        bias = bias.unsqueeze(0) if apart is None else bias + apart.unsqueeze(1)
        repeats = (len(x) // len(bias), 1, 1, 1)
        seen = functional.scaled_dot_product_attention(q, k, v, bias.repeat(repeats).to(q.dtype))
        return self.out(seen.transpose(1, 2).flatten(2))


@lru_cache(maxsize=64)
def _relative(window: tuple[int, ...], full: tuple[int, ...]) -> Tensor:
    """For each pair of tokens of a window, the row of the table that stands for their relative place."""
    with _kept():
        places = torch.stack(torch.meshgrid(*map(torch.arange, window), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :]
        index = torch.zeros(apart.shape[1:], dtype=torch.long)
        for axis, size in zip(apart, full, strict=True):
            index = index * (2 * size - 1) + axis + size - 1
        return index


@contextmanager
def _kept() -> Iterator[None]:
    """Inside the block tensors are made that any later call can use: of real numbers, and as good for training."""
    with torch.device("cpu"), torch.inference_mode(False):
        yield


class SwinLayer(nn.Module):
    """Norm and attention in windows, norm and two dense layers, each added to its input; on (B, *S, C).

    Args:
        channels: Width of tokens.
        heads: Heads of attention.
        window: Tokens of a window along each axis.
        shifted: Whether windows lie half a window further.
        expansion: Widening between the dense layers.

    Reference:
        liu2021swin.
    """

    def __init__(self, channels: int, heads: int, window: Sequence[int], shifted: bool, expansion: int = 4) -> None:
        super().__init__()
        self.window, self.shifted = tuple(window), shifted
        self.norm1 = LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window)
        self.norm2 = LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attended(self.norm1(x))
        return x + self.narrow(functional.gelu(self.widen(self.norm2(x))))

    def _attended(self, x: Tensor) -> Tensor:
        shape = x.shape[1:-1]
        window = tuple(min(w, n) for w, n in zip(self.window, shape, strict=True))
        shift = tuple(w // 2 if self.shifted and n > w else 0 for w, n in zip(self.window, shape, strict=True))
        missing = [-n % w for n, w in zip(shape, window, strict=True)]
        padded = functional.pad(x, [0, 0, *[v for m in reversed(missing) for v in (0, m)]])
        axes, grid = list(range(1, x.ndim - 1)), padded.shape[1:-1]
        apart = None
        if any(shift):
            padded = padded.roll([-s for s in shift], axes)
            apart = _apart(tuple(grid), window, shift).to(x.device)
        parts = self.attention(to_windows(padded, window), window, apart)
        whole = from_windows(parts, window, grid)
        if any(shift):
            whole = whole.roll(list(shift), axes)
        return whole[(slice(None), *[slice(n) for n in shape])]


def to_windows(x: Tensor, window: Sequence[int]) -> Tensor:
    """Tokens (B, *S, C) as windows (B * windows, tokens, C); S are multiples of the window."""
    batch, *shape, channels = x.shape
    split = [v for n, w in zip(shape, window, strict=True) for v in (n // w, w)]
    dims = len(shape)
    order = [0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2), 2 * dims + 1]
    return x.reshape(batch, *split, channels).permute(order).reshape(-1, math.prod(window), channels)


def from_windows(parts: Tensor, window: Sequence[int], shape: Sequence[int]) -> Tensor:
    """The tokens (B, *S, C) of windows."""
    counts = [n // w for n, w in zip(shape, window, strict=True)]
    dims = len(counts)
    order = [0, *[v for axis in range(dims) for v in (1 + axis, 1 + dims + axis)], 1 + 2 * dims]
    whole = parts.reshape(-1, *counts, *window, parts.shape[-1]).permute(order)
    return whole.reshape(-1, *shape, parts.shape[-1])


@lru_cache(maxsize=64)
def _apart(shape: tuple[int, ...], window: tuple[int, ...], shift: tuple[int, ...]) -> Tensor:
    """-100 between tokens of one window that came from opposite ends of the map, else 0."""
    with _kept():
        region = torch.zeros(1, *shape, 1)
        cuts = [
            (slice(-w), slice(-w, -s), slice(-s, None)) if s else (slice(None),)
            for w, s in zip(window, shift, strict=True)
        ]
        for number, place in enumerate(product(*cuts)):
            region[(slice(None), *place)] = number
        parts = to_windows(region, window).squeeze(-1)
        return (parts[:, None] != parts[:, :, None]).float() * -100.0


class PatchMerging(nn.Module):
    """Neighbours of 2 along each axis joined, normed and mixed; (B, *S, C) to (B, *S/2, out_channels).

    Trap: MONAI's older form takes some neighbours twice in 3D and others never.

    Reference:
        liu2021swin.
    """

    def __init__(self, dims: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.dims = dims
        self.norm = LayerNorm(2**dims * channels)
        self.reduction = nn.Linear(2**dims * channels, out_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # published weights count the first axis fastest in 2D and the last one in 3D
        starts = [s[::-1] if self.dims == 2 else s for s in product(range(2), repeat=self.dims)]
        parts = [x[(slice(None), *[slice(start, None, 2) for start in place])] for place in starts]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class PatchExpanding(nn.Module):
    """Each token becomes `factor` along each axis and is normed; (B, *S, C) to (B, *S * factor, out_channels).

    Reference:
        cao2022swinunet.
    """

    def __init__(self, dims: int, channels: int, out_channels: int, factor: int = 2) -> None:
        super().__init__()
        self.dims, self.factor = dims, factor
        self.widen = nn.Linear(channels, factor**dims * out_channels, bias=False)
        self.norm = LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        dims, factor = self.dims, self.factor
        x = self.widen(x).unflatten(-1, (*[factor] * dims, -1))
        order = [0, *[v for axis in range(dims) for v in (1 + axis, 1 + dims + axis)], 1 + 2 * dims]
        shape = [n * factor for n in x.shape[1 : 1 + dims]]
        return self.norm(x.permute(order).reshape(len(x), *shape, -1))
