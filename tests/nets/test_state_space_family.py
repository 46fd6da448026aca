"""State spaces: the scan against its definition, step by step; published counts."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.blocks.attention import attentions
from hyoid.nets.blocks.sequence import FourWays, Mamba, selective_scan
from hyoid.nets.layers import Style
from oracles import build_block, count


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


@pytest.mark.parametrize(
    ("name", "dims", "scanned", "finest"),
    [
        ("u_mamba", 2, [0, 2, 4], None),
        ("u_mamba", 3, [0, 1, 2, 3, 4], 8),
        ("u_mamba_bot", 2, [4], None),
        ("u_mamba_bot", 3, [4], 8),
    ],
)
def test_u_mamba_is_its_authors_code(name, dims, scanned, finest):
    with torch.device("meta"):
        net = build_spec(name, dims, 1, 2, channels=(4, 6, 8, 10, 12)).build()
    stages, ways = net.encoder.stages, net.decoder.levels
    assert [level for level, stage in enumerate(stages) if hasattr(stage.block, "attention")] == scanned
    bodies = [getattr(stage.block, "block", stage.block) for stage in stages]
    assert [len(body) for body in (net.encoder.stem, *bodies)] == [2, 2, 2, 2, 1, 1]
    assert [len(level.block) for level in ways] == [1, 2, 2, 2]
    assert ways[0].block[0].first.conv.in_channels == (finest or 4)
    assert (ways[0].skip is None) == (finest is None) and ways[1].skip is not None


def test_projected_blocks_add_a_strided_convolution_without_norm():
    part = {"name": "residual", "projected": True, "more": 1}
    first, second = build_block(part, Style(2), 3, 4, stride=2).eval()
    x = torch.randn(1, 3, 6, 6)
    shortcut = functional.conv2d(x, first.shortcut.weight, first.shortcut.bias, stride=2)
    torch.testing.assert_close(first(x), functional.leaky_relu(first.second(first.first(x)) + shortcut, 0.01))
    assert len(second.shortcut) == 0


def test_a_mamba_layer_scans_voxels_or_channels_and_adds_nothing():
    x = torch.randn(2, 4, 3, 5)
    voxels, channels = (attentions.build("mamba", style=Style(2), channels=4, voxels=n) for n in (None, 15))
    expected = voxels.mamba(voxels.norm(x.flatten(2).mT)).mT.reshape(x.shape)
    torch.testing.assert_close(voxels(x), expected)
    torch.testing.assert_close(channels(x), channels.mamba(channels.norm(x.flatten(2))).reshape(x.shape))
    with pytest.raises(ConfigError, match="scans the channels of 15 voxels got a map of 16"):
        channels(torch.randn(1, 4, 4, 4))


def test_punet_is_of_the_published_size():
    assert count("punet", 2, 3, 1) == 261_223  # 0.26 million
