"""Transformer layers on sequences of tokens, and the positions of tokens on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..half import LayerNorm
from ..resample import LINEAR


class SelfAttention(nn.Module):
    """Every token looks at every other one, with several heads; on sequences (B, L, C).

    Reference:
        vaswani2017attention.
    """

    def __init__(self, channels: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v)
        return self.out(seen.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Norm and attention, norm and two dense layers, each added to its input.

    Reference:
        dosovitskiy2021vit.
    """

    def __init__(
        self, channels: int, heads: int, wide: int, bias: bool = True, dropout: float = 0.0, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels, eps)
        self.attention = SelfAttention(channels, heads, bias)
        self.norm2 = LayerNorm(channels, eps)
        self.widen = nn.Linear(channels, wide)
        self.narrow = nn.Linear(wide, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        y = self.dropout(functional.gelu(self.widen(self.norm2(x))))
        return x + self.dropout(self.narrow(y))


class Positions(nn.Module):
    """A learnt vector for each place of a grid, added to its tokens; interpolated for grids of another size.

    Trap: public code adds a table of fixed length, so that the net accepts images of the training size only.

    Reference:
        dosovitskiy2021vit, appendix D.
    """

    def __init__(self, channels: int, grid: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, channels, *grid))
        self.initialise()

    def initialise(self) -> None:
        """Small random vectors."""
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, *S) with its positions added."""
        if x.shape[2:] == self.weight.shape[2:]:
            return x + self.weight
        return x + functional.interpolate(self.weight, x.shape[2:], mode=LINEAR[x.ndim - 2])
