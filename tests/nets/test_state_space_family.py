"""State spaces: the scan against its definition, step by step."""

from __future__ import annotations

import pytest
import torch

from hyoid.nets.blocks.sequence import FourWays, Mamba, selective_scan


def one_by_one(u, delta, a, b, c, d):
    """Equation 2 as it is written."""
    state = u.new_zeros(u.shape[0], u.shape[2], a.shape[1])
    seen = []
    for t in range(u.shape[1]):
        state = torch.exp(delta[:, t, :, None] * a) * state + delta[:, t, :, None] * b[:, t, None] * u[:, t, :, None]
        seen.append((state * c[:, t, None]).sum(-1) + d * u[:, t])
    return torch.stack(seen, 1)


def given(length: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(length)
    shapes = [(2, length, 3), (2, length, 3), (3, 4), (2, length, 4), (2, length, 4), (3,)]
    u, delta, a, b, c, d = (torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes)
    return [x.requires_grad_() for x in (u, delta.exp(), -a.exp(), b, c, d)]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 50])
def test_scan_is_the_recurrence_with_its_gradients(length):
    values = given(length)
    ours, exact = selective_scan(*values), one_by_one(*values)
    assert torch.allclose(ours, exact, atol=1e-12)
    weights = torch.randn(exact.shape, dtype=torch.float64)
    pairs = zip(*(torch.autograd.grad((y * weights).sum(), values) for y in (ours, exact)), strict=True)
    assert all(torch.allclose(one, other, atol=1e-10) for one, other in pairs)


def test_scan_stays_exact_where_states_vanish_at_once():
    u, delta, a, b, c, d = given(30)
    values = (u, 1000 * delta, a, b, c, d)
    assert torch.allclose(selective_scan(*values), one_by_one(*values), rtol=1e-10)


def test_mamba_sees_only_what_came_before():
    mamba, x = Mamba(4, states=3), torch.randn(1, 9, 4)
    changed = x.clone()
    changed[:, 5:] += 1
    assert torch.allclose(mamba(x)[:, :5], mamba(changed)[:, :5], atol=1e-6)
    assert not torch.allclose(mamba(x)[:, 5:], mamba(changed)[:, 5:], atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_scans_in_all_directions_see_the_whole_map(dims):
    scan, x = FourWays(dims, 4, states=3), torch.randn(1, *[5] * dims, 4, requires_grad=True)
    middle = scan(x)[(0, *[2] * dims)]
    (gradient,) = torch.autograd.grad(middle.sum(), x)
    assert gradient.abs().sum(-1).gt(0).all()
