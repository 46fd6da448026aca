"""State spaces: the scan against its definition, step by step; published counts."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hyoid.nets import build_spec
from hyoid.nets.blocks.sequence import FourWays, Mamba, selective_scan
from oracles import count


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


def test_four_ways_are_rows_and_columns_both_ways_each_with_its_own_weights():
    torch.manual_seed(0)
    scan, x = FourWays(2, 4, states=3).double(), torch.randn(2, 3, 5, 4, dtype=torch.float64)
    for parameter in scan.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    inner, gate = scan.in_proj(x).chunk(2, -1)
    inner = functional.silu(scan.depthwise(inner.permute(0, 3, 1, 2)))  # (B, C, H, W)
    rows, columns = inner.flatten(2), inner.transpose(2, 3).flatten(2)
    total = 0
    for way, sequence in zip(scan.ways, (rows, rows.flip(2), columns, columns.flip(2)), strict=True):
        sequence = sequence.transpose(1, 2)
        steps, b, c = functional.linear(sequence, way.x_proj.weight).split([way.rank, 3, 3], -1)
        delta = functional.softplus(functional.linear(steps, way.dt_proj.weight, way.dt_proj.bias))
        y = one_by_one(sequence, delta, -way.a_log.exp(), b, c, way.d).transpose(1, 2)
        y = y.flip(2) if way in (scan.ways[1], scan.ways[3]) else y
        by_columns = way in (scan.ways[2], scan.ways[3])
        total = total + (y.unflatten(2, (5, 3)).transpose(2, 3) if by_columns else y.unflatten(2, (3, 5)))
    expected = scan.out_proj(scan.norm(total.permute(0, 2, 3, 1)) * functional.silu(gate))
    torch.testing.assert_close(scan(x), expected)


@pytest.mark.parametrize(("classes", "expected"), [(1, 27_427_561), (9, 27_427_761)])
def test_vm_unet_has_the_parameters_of_its_authors_code(classes, expected):
    """By the sum of their layers; the code itself needs a compiled scan."""
    assert count("vm_unet", 2, 3, classes) == expected


def test_vm_unet_adds_skips_before_it_enlarges_and_none_at_the_finest_level():
    net = build_spec("vm_unet", 2, 2, 3, channels=(8, 12, 16)).build().eval()
    x = torch.randn(1, 2, 32, 32)
    tokens = net.encoder[0](net.embed_norm(net.embed(x).movedim(1, -1)))
    second = net.downs[0](tokens)
    third = net.downs[1](net.encoder[1](second))
    bottom = net.decoder[2](net.encoder[2](third))
    middle = net.decoder[1](net.ups[1](bottom + third))
    finest = net.decoder[0](net.ups[0](middle + second))
    expected = net.head(net.enlarge(finest).movedim(-1, 1))
    torch.testing.assert_close(net(x)[0], expected)


def test_punet_is_of_the_published_size():
    assert count("punet", 2, 3, 1) == 261_223  # 0.26 million
