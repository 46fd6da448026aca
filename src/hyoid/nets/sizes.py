"""Sizes along the path of a U, for padded and for valid convolutions.

With n the size of the input along an axis, e_i and d_i the voxels that the encoder and decoder of level i remove and
f_i the voxels of the input that a voxel of level i steps by, the output has n - sum f_i (e_i + d_i) voxels. The input
is accepted when every way down divides evenly and every map keeps a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

Shape = tuple[int, ...]


class Sizes:
    """Which inputs a U accepts and how much smaller its output is.

    Args:
        strides: Step into each level along each axis, finest first.
        encoder: Voxels that the encoder removes at each level.
        decoder: Voxels that the decoder removes at each level but the coarsest.

    Attributes:
        divisor: Accepted sizes step by this.
        margin: Voxels lost at each end.
        smallest: The smallest accepted shape.
    """

    def __init__(self, strides: Sequence[Shape], encoder: Sequence[Shape], decoder: Sequence[Shape]) -> None:
        dims = len(strides[0])
        axes = [
            tuple(tuple(level[axis] for level in levels) for levels in (strides, encoder, decoder))
            for axis in range(dims)
        ]
        self.divisor = tuple(list(accumulate(steps, mul))[-1] for steps, _, _ in axes)
        self.margin = tuple(_lost(*axis) // 2 for axis in axes)
        self.smallest = tuple(_smallest(*axis) for axis in axes)


def _lost(strides: Shape, encoder: Shape, decoder: Shape) -> int:
    """Voxels by which the output is smaller than the input along an axis."""
    scales = list(accumulate(strides, mul))
    return sum(f * (e + d) for f, e, d in zip(scales, encoder, (*decoder, 0), strict=True))


def _smallest(strides: Shape, encoder: Shape, decoder: Shape) -> int:
    """The smallest input that leaves a voxel in every map of the decoder."""
    needed = 1
    for step, removed in zip(strides[1:], decoder, strict=True):
        # from fine to coarse: the map above must have so many voxels before it is enlarged
        needed = -(-(needed + removed) // step)
    size = max(needed, 1)
    for step, removed in zip(reversed(strides), reversed(encoder), strict=True):
        size = (size + removed) * step
    return size
