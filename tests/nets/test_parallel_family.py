"""Two encoders, two decoders, and the U that is told the time."""

from __future__ import annotations

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.blocks.conditioned import TimeEmbedding
from hyoid.nets.family.diffusion import kept_shares, noisy
from oracles import count

SMALL = {"channels": (4, 8)}


def test_each_encoder_sees_its_channels_only():
    torch.manual_seed(0)
    net = build_spec("unet_two_encoders", 2, 3, 2, **SMALL).build().eval()
    assert net.encoder.groups == (2, 1)
    x = torch.randn(1, 3, 8, 8)
    changed = x.clone()
    changed[:, 2] += torch.randn(8, 8)
    width = net.encoder.encoders[0].channels[0]
    for before, after, encoder in zip(
        net.encoder(x), net.encoder(changed), net.encoder.encoders[0].channels, strict=True
    ):
        assert torch.equal(before[:, :encoder], after[:, :encoder])
        assert not torch.equal(before[:, encoder:], after[:, encoder:])
    assert width == 4


def test_groups_of_channels_are_checked_and_one_channel_is_seen_by_both():
    encoder = {"name": "parallel", "groups": (1, 3)}
    assert build_spec("unet_two_encoders", 2, 4, 2, **SMALL, encoder=encoder).build().encoder.groups == (1, 3)
    with pytest.raises(ConfigError, match="do not share an image of 3"):
        build_spec("unet_two_encoders", 2, 3, 2, **SMALL, encoder=encoder).build()
    x = torch.randn(1, 1, 8, 8)
    assert build_spec("unet_two_encoders", 2, 1, 2, **SMALL).build()(x)[0].shape == (1, 2, 8, 8)


def test_the_second_decoder_alone_answers_the_last_channels():
    torch.manual_seed(0)
    head = {"name": "split", "second": 2}
    net = build_spec("unet_two_decoders", 2, 1, 5, **SMALL, head=head).build()
    net(torch.randn(1, 1, 8, 8))[0][:, 3:].sum().backward()
    mine, others = net.decoder.decoders[1], net.decoder.decoders[0]
    assert all(p.grad.abs().sum() > 0 for p in mine.parameters() if p.ndim > 1)
    assert all(p.grad is None or not p.grad.any() for p in others.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.encoder.parameters() if p.ndim > 1)


def test_two_decoders_need_two_channels():
    with pytest.raises(ConfigError, match="share 1 channels"):
        build_spec("unet_two_decoders", 2, 1, 1, **SMALL).build()


def test_two_decoders_cost_one_encoder():
    one, two = (count(name, 2, 1, 3, **SMALL) for name in ("unet", "unet_two_decoders"))
    with torch.device("meta"):
        decoder = build_spec("unet", 2, 1, 3, **SMALL).build().decoder
    assert two == one + sum(p.numel() for p in decoder.parameters())


def test_answers_depend_on_the_time_and_no_time_is_time_zero():
    torch.manual_seed(0)
    net = build_spec("diffusion_unet", 2, 1, 1, **SMALL).build().eval()
    x = torch.randn(2, 1, 8, 8)
    zero, later = net(x, torch.zeros(2))[0], net(x, torch.tensor([0.0, 500.0]))[0]
    assert torch.equal(net(x)[0], zero)
    torch.testing.assert_close(later[0], zero[0])
    assert (later[1] - zero[1]).abs().max() > 1e-3


def test_times_become_waves():
    embedding = TimeEmbedding(waves=4, longest=100.0)
    embedding.dense = torch.nn.Identity()
    waves = embedding(torch.tensor([0.0, 3.0]))
    expected = torch.tensor([[1.0, 1, 0, 0], [*torch.tensor([3.0, 0.3]).cos(), *torch.tensor([3.0, 0.3]).sin()]])
    torch.testing.assert_close(waves, expected)


def test_diffusion_keeps_variance_and_ends_in_noise():
    kept = kept_shares(1000)
    assert kept[0] == pytest.approx(1 - 1e-4) and kept[-1] < 1e-4 and (kept.diff() < 0).all()
    generator = torch.Generator().manual_seed(0)
    image, noise = (torch.randn(2, 1, 64, 64, generator=generator) for _ in range(2))
    mixed = noisy(image, noise, torch.tensor([1.0, 0.5]))
    assert torch.equal(mixed[0], image[0])
    assert mixed[1].var().item() == pytest.approx(1.0, abs=0.05)


def test_it_learns_to_tell_noise():
    """The simple loss of the paper falls on one picture."""
    torch.manual_seed(0)
    net = build_spec("diffusion_unet", 2, 1, 1, channels=(16, 32)).build()
    image, kept = torch.zeros(8, 1, 16, 16), kept_shares(100)
    image[..., 4:12, 4:12] = 1
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    values = []
    for _ in range(60):
        step, noise = torch.randint(100, (8,)), torch.randn(8, 1, 16, 16)
        optimiser.zero_grad()
        value = (net(noisy(image, noise, kept[step]), step)[0] - noise).square().mean()
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert sum(values[-5:]) < 0.5 * sum(values[:5])
