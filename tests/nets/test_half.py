"""Convolutions of maps with few slices: the same answers and gradients, and no crash."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hyoid.nets import half, layers
from hyoid.nets.half import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d, learns_in_half, safe_sizes
from hyoid.nets.pyramids.resnet_v2 import STANDARDISED
from hyoid.planning.gradients import is_right

CONVOLUTIONS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (1, 3, 3), "padding": (0, 1, 1)},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3},
    {"kernel_size": 1, "groups": 2},
    {"kernel_size": 5, "padding": 2, "stride": (3, 1, 2), "bias": False},
]
TRANSPOSED = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": (1, 2, 2), "stride": (1, 2, 2)},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
    {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
]


def answer_and_gradients(layer: nn.Module, maps: Tensor) -> list[Tensor]:
    maps = maps.detach().requires_grad_()
    answer = layer(maps)
    torch.manual_seed(1)
    grads = torch.autograd.grad(answer, [maps, *layer.parameters()], torch.randn_like(answer))
    return [answer.detach(), *grads]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize(
    ("kind", "plain", "options"),
    [
        *((Conv3d, nn.Conv3d, options) for options in CONVOLUTIONS),
        *((ConvTranspose3d, nn.ConvTranspose3d, options) for options in TRANSPOSED),
    ],
)
def test_zeros_at_the_end_change_neither_answers_nor_gradients(kind, plain, options, layout, monkeypatch):
    torch.manual_seed(0)
    ours, theirs = kind(4, 6, **options).double(), plain(4, 6, **options).double()
    theirs.load_state_dict(ours.state_dict())
    maps = torch.randn(2, 4, 5, 7, 8, dtype=torch.float64).contiguous(memory_format=layout)
    monkeypatch.setattr(half, "learns_in_half", lambda x: True)
    monkeypatch.setattr(
        half, "safe_sizes", lambda sizes, *_: [n + more for n, more in zip(sizes, (7, 1, 3), strict=True)]
    )
    for one, other in zip(answer_and_gradients(ours, maps), answer_and_gradients(theirs, maps), strict=True):
        torch.testing.assert_close(one, other)
    assert ours(maps).stride() == theirs(maps).stride()


@pytest.mark.parametrize("size", [(2, 8, 8), (3, 6, 6), (4, 5, 1), (1, 8, 8), (8, 1, 4), (8, 2, 2)])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Conv3d, {"kernel_size": 3, "padding": 1}),
        (Conv3d, {"kernel_size": 3, "padding": 2}),
        (Conv3d, {"kernel_size": 3, "padding": 1, "stride": 2}),
        (Conv3d, {"kernel_size": 5, "padding": 2}),
        (Conv3d, {"kernel_size": 5, "padding": 2, "stride": 2}),
        (Conv3d, {"kernel_size": 7, "padding": 3}),
        (Conv3d, {"kernel_size": 3, "padding": 1, "groups": 16}),
        (Conv3d, {"kernel_size": 2, "padding": 1}),
        (ConvTranspose3d, {"kernel_size": 3, "padding": 1}),
        (ConvTranspose3d, {"kernel_size": 5, "padding": 2, "stride": 2, "output_padding": 1}),
        (ConvTranspose3d, {"kernel_size": 2, "stride": 2}),
    ],
)
def test_gradients_in_half_precision_are_those_in_full(kind, options, size):
    assert is_right(kind(16, 16, **options), (2, 16, *size))


@pytest.mark.parametrize("channels", [16, 20, 64])
@pytest.mark.parametrize("size", [(16, 1), (7, 1), (7, 2), (1, 7)])
@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_so_are_those_of_narrow_images(stride, kernel, size, channels):
    options = {"kernel_size": kernel, "stride": stride, "padding": kernel // 2}
    for kind in (Conv2d, ConvTranspose2d):
        assert is_right(kind(channels, channels, **options), (2, channels, *size))


def test_only_what_is_learned_in_half_precision_gets_them(monkeypatch):
    monkeypatch.setattr(half, "MATRIX_UNITS", True)
    maps = torch.zeros(1, 1, 8, 4, 4)
    assert not learns_in_half(maps) and learns_in_half(maps.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert learns_in_half(maps)
        with torch.no_grad():
            assert not learns_in_half(maps)
    assert safe_sizes((8, 96, 96), (3, 3, 3), (8, 96, 96)) == [16, 96, 96]
    for enough in ((16, 96, 96), (8, 32, 32)):
        assert safe_sizes(enough, (3, 3, 3), enough) == [*enough]
    monkeypatch.setattr(half, "MATRIX_UNITS", False)
    assert safe_sizes((8, 96, 96), (3, 3, 3), (8, 96, 96)) == [8, 96, 96]
    assert safe_sizes((2, 1, 6), (3, 5, 5), (2, 1, 6)) == [3, 5, 6]
    assert safe_sizes((1, 6, 6), (3, 3, 3), (1, 6, 6)) == [1, 6, 6]


@pytest.mark.slow
def test_a_net_learns_from_patches_of_few_slices():
    code = """
import torch
from hyoid.nets import build_spec
net = build_spec("unet", 3, 1, 2, channels=(16, 32)).build()
for _ in range(4):
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(torch.randn(3, 1, 8, 96, 96))[0].float().square().mean()
    loss.backward()
print("learned")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "learned\n", done.stderr


def test_nets_are_built_of_them():
    files = [file for file in Path(half.__file__).parent.rglob("*.py") if file != Path(half.__file__)]
    made = re.compile(r"^(?!.*>>>).*nn\.(Conv(Transpose)?[23]d|LayerNorm)\(", re.MULTILINE)
    assert len(files) > 50 and not [file for file in files if made.search(file.read_text())]
    assert [*layers.CONV.values(), *layers.TRANSPOSED.values()] == [Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d]
    assert {cls.__mro__[2] for cls in STANDARDISED.values()} == {Conv2d, Conv3d}
