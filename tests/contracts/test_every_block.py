"""Gradients of every kind of block in bfloat16 are those in float32, at published widths and on the smallest maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hyoid.core.errors import ConfigError
from hyoid.nets.blocks.capsule import CapsuleConv
from hyoid.nets.blocks.conv import blocks
from hyoid.nets.blocks.convnext import MedNeXtBlock
from hyoid.nets.blocks.sequence import FourWays, Mamba
from hyoid.nets.blocks.tokens import TransformerLayer
from hyoid.nets.blocks.windows import PatchMerging, SwinLayer
from hyoid.nets.half import LayerNorm
from hyoid.nets.layers import Style, build_part

WIDTH = 64
SIZES = {2: ((16, 2), (8, 16)), 3: ((2, 4, 8), (4, 8, 2))}


def gradients(block: nn.Module, given: list[Tensor], half: bool) -> dict[str, Tensor]:
    block.zero_grad()
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        answer = block(*given)
    (answer.float() * torch.randn(answer.shape)).sum().backward()
    return {name: one.grad.double().flatten() for name, one in block.named_parameters() if one.grad is not None}


def check(block: nn.Module, *given: Tensor) -> None:
    """The cosine is above 0.99 for each gradient that is more than a thousandth of the largest."""
    exact, rough = gradients(block, [*given], half=False), gradients(block, [*given], half=True)
    largest = max(one.norm() for one in exact.values())
    for name, one in exact.items():
        if one.norm() > 1e-3 * largest:
            assert torch.cosine_similarity(one, rough[name], 0) > 0.99, name


def maps(size: tuple[int, ...], width: int = WIDTH) -> Tensor:
    return torch.randn(2, width, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [name for name in blocks if name != "conditioned"])
def test_of_blocks_that_levels_are_made_of(name, stride, dims):
    torch.manual_seed(0)
    for size in SIZES[dims]:
        kernel, strides = (5 if name == "vnet" else 3,) * dims, (stride,) * dims
        # a kink would turn rounding into another gradient
        style = Style(dims, norm="batch" if dims == 2 else "instance", act="silu")
        given = {"in_channels": WIDTH, "out_channels": WIDTH, "kernel": kernel, "stride": strides, "depth": 1}
        try:
            block = build_part(blocks, name, style=style, **given)
        except ConfigError:  # a few take no stride
            assert stride == 2
            continue
        check(block, maps(size))


OTHERS = {
    "capsules": (lambda: CapsuleConv(3, 16, 4, 32), (2, 2, 16, 2, 4, 6)),
    "capsules that enlarge": (lambda: CapsuleConv(3, 32, 4, 16, 4, 2, up=True), (2, 2, 32, 1, 2, 3)),
    "kernel of 5 in each channel": (lambda: MedNeXtBlock(3, WIDTH, WIDTH, 5, 2), (2, WIDTH, 2, 4, 6)),
    "kernel of 5 in each channel, images": (lambda: MedNeXtBlock(2, WIDTH, WIDTH, 5, 2, 2), (2, WIDTH, 16, 2)),
    "scan": (lambda: Mamba(WIDTH), (2, 96, WIDTH)),
    "scan along four ways": (lambda: FourWays(2, WIDTH), (2, 6, 7, WIDTH)),
    "transformer": (lambda: TransformerLayer(96, 3, 384), (2, 64, 96)),
    "shifted windows": (lambda: SwinLayer(96, 3, (4, 4, 4), True), (2, 2, 8, 8, 96)),
    "merged tokens": (lambda: PatchMerging(3, 48, 96), (2, 2, 8, 8, 48)),
    "norm of many tokens": (lambda: LayerNorm(24), (2, 65536, 24)),
}
"""Other parts with weights, and the shape of what they see."""


@pytest.mark.parametrize("name", OTHERS)
def test_of_other_parts(name):
    torch.manual_seed(0)
    build, shape = OTHERS[name]
    check(build(), 0.5 + torch.randn(shape, generator=torch.Generator().manual_seed(1)))
