"""W-Net: its two U's."""

from __future__ import annotations

from itertools import pairwise

import torch

from hyoid.nets import build_spec
from hyoid.nets.family.unsupervised import WNet
from oracles import count


def module(a: int, b: int, separable: bool) -> int:
    """Parameters of two convolutions of 3 with bias and batch norm, regular or separable."""
    total = 0
    for channels in (a, b):
        conv = channels * 9 + channels + channels * b + b if separable else channels * b * 9 + b
        total += conv + 2 * b
    return total


def test_parameters_are_those_of_nine_modules():
    widths = (64, 128, 256, 512, 1024)
    down = module(3, 64, False) + sum(module(a, b, True) for a, b in pairwise(widths))
    up = module(128, 64, False) + sum(module(2 * w, w, True) for w in widths[1:-1])
    ways = sum(b * a * 4 + a for a, b in pairwise(widths))
    assert count("w_net", 2, 3, 64) == down + up + ways + 64 * 64 + 64


def test_second_u_restores_the_image_from_segments():
    torch.manual_seed(0)
    both = WNet(build_spec("w_net", 2, 3, 4, channels=(4, 8, 8)).build())
    x = torch.randn(2, 3, 8, 8)
    parted = both(x)
    assert parted.logits[0].shape == (2, 4, 8, 8) and parted.image.shape == x.shape
    parted.terms(x)["restoration"].backward()
    assert all(p.grad is not None for p in both.parameters())  # restoring teaches both


def test_restoring_alone_makes_the_error_fall():
    torch.manual_seed(0)
    both = WNet(build_spec("w_net", 2, 1, 3, channels=(8, 16)).build())
    x = torch.zeros(1, 1, 16, 16)
    x[..., 4:12, 4:12] = 1
    optimiser = torch.optim.AdamW(both.parameters(), 1e-2)
    values = []
    for _ in range(30):
        optimiser.zero_grad()
        term = both(x).terms(x)["restoration"]
        term.backward()
        optimiser.step()
        values.append(term.item())
    assert values[-1] < values[0] / 4
