"""Capsules: groups of channels whose length says how likely something is there, and which agree on the next layer.

Maps of capsules have shape (B, N, A, *S): N kinds of capsules of A numbers each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers import CONV, TRANSPOSED
from .conv import PadLast

FAINT = 1e-12
"""Added to squared lengths, so that a capsule of zeros has a gradient."""


def squash(x: Tensor, axis: int) -> Tensor:
    """Vectors made shorter than one, short ones much and long ones little: |x|^2 / (1 + |x|^2) of their direction.

    Reference:
        sabour2017dynamic, equation 1.
    """
    squared = x.square().sum(axis, keepdim=True) + FAINT
    return x * squared.sqrt() / (1 + squared)


def route(votes: Tensor, bias: Tensor, iterations: int) -> Tensor:
    """Sums (B, M, A, *S) on which the votes (B, N, M, A, *S) of all kinds agree; squashed, they are the capsules.

    `bias` has shape (M, A). Each kind shares its vote among the M capsules by a softmax of how well it agreed with
    them so far.

    Reference:
        lalonde2021capsules; sabour2017dynamic, procedure 1.
    """
    shift = bias.reshape(1, *bias.shape, *[1] * (votes.ndim - 4))
    agreed = votes.new_zeros((*votes.shape[:3], 1, *votes.shape[4:]))
    for _ in range(iterations - 1):
        capsules = squash((agreed.softmax(2) * votes).sum(1) + shift, axis=2)
        agreed = agreed + (votes * capsules.unsqueeze(1)).sum(3, keepdim=True)
    return (agreed.softmax(2) * votes).sum(1) + shift


class CapsuleConv(nn.Module):
    """Votes by a convolution that all kinds of capsules share, and their routing.

    Args:
        dims: 2 or 3.
        atoms: Numbers of each capsule that comes in.
        capsules: Kinds of capsules that come out.
        out_atoms: Numbers of each of them.
        kernel: Size of the convolution.
        stride: Its step.
        iterations: Rounds of routing.
        up: Whether the convolution is transposed, which enlarges by its stride.
        squashed: Whether the sums become capsules.
    """

    def __init__(
        self,
        dims: int,
        atoms: int,
        capsules: int,
        out_atoms: int,
        kernel: int = 5,
        stride: int = 1,
        iterations: int = 3,
        up: bool = False,
        squashed: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.iterations, self.squashed = (capsules, out_atoms), iterations, squashed
        padding = (kernel - stride) // 2 if up else kernel // 2
        # steps are padded at the end, as the authors' TensorFlow has it
        self.pad = PadLast((kernel,) * dims, (stride,) * dims) if stride > 1 and not up else nn.Identity()
        padding = padding if up or stride == 1 else 0
        conv = TRANSPOSED if up else CONV
        self.conv = conv[dims](atoms, capsules * out_atoms, kernel, stride, padding, bias=False)
        self.bias = nn.Parameter(torch.full(self.shape, 0.1))

    def forward(self, x: Tensor) -> Tensor:
        votes = self.conv(self.pad(x.flatten(0, 1)))
        votes = votes.unflatten(1, self.shape).unflatten(0, x.shape[:2])
        sums = route(votes.float() if votes.dtype in _HALF else votes, self.bias, self.iterations)
        return squash(sums, axis=2) if self.squashed else sums


_HALF = (torch.float16, torch.bfloat16)
