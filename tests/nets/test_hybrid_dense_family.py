"""H-DenseUNet: its sizes, and which voxels its parts see."""

from __future__ import annotations

import itertools

import torch

from hyoid.nets import build_spec
from hyoid.nets.family.hybrid_dense import with_neighbours

SMALL = {
    "entrance": 8,
    "growth": (4, 4),
    "layers": (1, 2),
    "layers_3d": (1, 1),
    "features": 8,
}


def dense_block(width: int, layers: int, growth: int, cube: int) -> tuple[int, int]:
    """Width and parameters of a dense block: norm, 1x1 to four times the growth, norm, 3 to the growth."""
    total = 0
    for _ in range(layers):
        total += 2 * width + width * 4 * growth + 8 * growth + 4 * growth * growth * cube
        width += growth
    return width, total


def test_slices_have_the_parameters_of_densenet_161_and_the_decoder():
    width, total = 96, 96 * 3 * 49 + 192
    maps = [96]
    for number, layers in enumerate((6, 12, 36, 24)):
        width, block = dense_block(width, layers, 48, 9)
        maps.append(width)
        total += block + 2 * width
        if number < 3:
            total += width * width // 2
            width //= 2
    assert maps == [96, 384, 768, 2112, 2208]
    widths = (2208, 768, 384, 96, 96, 64)
    total += 2112 * 2208 + 2208 + sum(a * b * 9 + 2 * b for a, b in itertools.pairwise(widths))
    with torch.device("meta"):
        net = build_spec("h_dense_unet", 2, 3, 3).build()
    assert sum(p.numel() for p in net.parameters()) == total + 64 * 3 + 3


def test_volume_has_the_published_widths():
    with torch.device("meta"):
        net = build_spec("h_dense_unet", 3, 1, 3).build()
    assert net.volume.encoder.channels[1:] == (96, 192, 224, 496, 504)
    assert net.divisor == (4, 32, 32)


def test_slices_come_with_their_neighbours():
    x = torch.arange(4.0).reshape(1, 1, 4, 1, 1)
    assert with_neighbours(x)[0, :, :, 0, 0].T.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]


def test_slices_lie_across_the_first_axis_and_the_volume_sees_on():
    torch.manual_seed(0)
    net = build_spec("h_dense_unet", 3, 1, 2, **SMALL).build().eval()
    seen = []
    net.slices.u.register_forward_pre_hook(lambda part, given: seen.append(given[0]))
    x = torch.randn(1, 1, 12, 16, 32, requires_grad=True)
    logits = net(x)[0]
    (gradient,) = torch.autograd.grad(seen[0][4].sum(), x, retain_graph=True)
    assert seen[0].shape == (12, 3, 16, 32)
    assert gradient.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist() == [3, 4, 5]
    (gradient,) = torch.autograd.grad(logits[:, :, 4].sum(), x)
    assert len(gradient.abs().sum((0, 1, 3, 4)).nonzero()) > 6
