"""Nets with many answers: latent numbers, dropout, and what spread says."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.dropout import Doubt, DropoutSampler
from hyoid.nets.family.probabilistic import Gaussian, PosteriorBranch
from oracles import count


def small(dims: int = 2):
    torch.manual_seed(0)
    return build_spec("probabilistic_unet", dims, 1, 2, channels=(4, 8, 8), convolutions=1).build()


def test_parameters_are_those_of_its_parts():
    """Three convolutions a level, a decoder that mirrors them, the prior's way down, three joins and the logits."""
    widths = (32, 64, 128, 192, 192, 192, 192)

    def stage(a, b):
        return a * b * 9 + b + 2 * (b * b * 9 + b)

    down = sum(stage(a, b) for a, b in zip((1, *widths), widths, strict=False))
    up = sum(stage(a + b, a) for a, b in pairwise(widths))
    joins = (32 + 6) * 32 + 32 + 2 * (32 * 32 + 32) + 32 * 2 + 2
    assert count("probabilistic_unet", 2, 1, 2, norm="none") == 2 * down + up + joins + 192 * 12 + 12


def test_ways_up_keep_corners_and_stand_before_the_skip():
    level = small().decoder.levels[0]
    ramp = torch.arange(3.0).expand(1, 8, 3, 3)
    torch.testing.assert_close(level.up(ramp)[0, 0, 0], torch.linspace(0, 2, 6))
    assert level.fusion == "concat_up_first"


def test_divergence_is_that_of_normal_distributions():
    generator = torch.Generator().manual_seed(0)
    one, other = (
        Gaussian(torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator)) for _ in range(2)
    )
    pair = [Normal(g.mean, g.log_deviation.exp()) for g in (one, other)]
    torch.testing.assert_close(one.divergence(other), kl_divergence(*pair).sum(1))
    assert one.divergence(one).abs().max() < 1e-6


def test_evaluation_answers_with_the_mean_and_samples_differ():
    net = small().eval()
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(net(x)[0], net(x)[0])
    samples = net.samples(x, 5)
    assert samples.shape == (5, 1, 2, 8, 8)
    assert (samples.var(0) > 0).any()


def test_many_samples_lie_around_the_answer_of_the_mean_when_the_prior_is_narrow():
    net = small().eval()
    with torch.no_grad():
        net.prior.head.bias[net.spec.latent :] = -12.0
        net.prior.head.weight[net.spec.latent :] = 0
    x = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(net.samples(x, 3).mean(0), net(x)[0].detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_posterior_learns_and_comes_near_the_prior(dims):
    branch = PosteriorBranch(small(dims))
    x, masks = torch.randn(2, 1, *[8] * dims), torch.rand(2, 2, *[8] * dims).round()
    explained = branch(x, masks)
    term = explained.terms()["latent"]
    (term + explained.logits[0].square().mean()).backward()
    assert term > 0
    assert all(p.grad is not None for p in branch.parameters())


def dropping():
    torch.manual_seed(0)
    changes = {"channels": (8, 16), "dropout": (0.0, 0.5), "norm": "batch"}
    return build_spec("unet", 2, 1, 3, **changes).build()


def test_dropout_draws_answers_and_leaves_the_net_as_it_was():
    net = dropping()
    sampler = DropoutSampler(net, lambda logits: logits.softmax(1))
    x = torch.randn(1, 1, 8, 8)
    before, statistics = net(x)[0], net.encoder.stages[0].block[0].norm.running_mean.clone()
    samples = sampler.samples(x, 6)
    assert samples.shape == (6, 1, 3, 8, 8) and (samples.var(0) > 0).any()
    assert torch.equal(net(x)[0], before) and not net.training
    assert torch.equal(net.encoder.stages[0].block[0].norm.running_mean, statistics)


def test_a_net_without_dropout_is_refused():
    with pytest.raises(ConfigError, match="no dropout"):
        DropoutSampler(build_spec("unet", 2, 1, 2, channels=(4, 8)).build(), torch.sigmoid)


def test_doubt_of_answers_that_agree_and_of_answers_that_do_not():
    sure = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    agreed = Doubt.of(torch.stack([sure, sure]))
    assert agreed.entropy.item() == agreed.mutual_information.item() == agreed.variance.item() == 0
    torn = Doubt.of(torch.stack([sure, sure.flip(1)]))
    assert torn.entropy.item() == pytest.approx(math.log(2)) == torn.mutual_information.item()
    assert torn.variance.item() == pytest.approx(0.25)
    vague = Doubt.of(torch.full((2, 1, 2, 1, 1), 0.5))
    assert vague.entropy.item() == pytest.approx(math.log(2)) and vague.mutual_information.item() == 0


def test_doubt_of_regions_counts_each_by_itself():
    answers = torch.full((2, 1, 2, 1, 1), 0.5)
    assert Doubt.of(answers, regions=True).entropy.item() == pytest.approx(2 * math.log(2))
