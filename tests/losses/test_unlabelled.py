"""Losses without labels: against matrices of voxels by voxels, against torch, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from hyoid.losses.unlabelled import consistency, gaussian_divergence, rampup, soft_normalised_cut


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5)])
def test_the_cut_equals_that_of_the_whole_matrix(shape):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 2, *shape, generator=generator, dtype=torch.float64)
    said = torch.randn(1, 3, *shape, generator=generator, dtype=torch.float64).softmax(1)
    radius, intensity, width = 3, 0.4, 2.0
    points = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in shape), indexing="ij")).flatten(1).T
    apart = (points[:, None] - points[None]).square().sum(2)
    colours = image.flatten(2)[0].T
    unlike = (colours[:, None] - colours[None]).square().sum(2)
    weights = torch.exp(-unlike / intensity**2 - apart / width**2) * (apart < radius**2)
    parts = said.flatten(2)[0]
    within = torch.einsum("ku,uv,kv->k", parts, weights, parts)
    whole = torch.einsum("ku,uv->k", parts, weights)
    expected = (3 - (within / whole).sum()).item()
    found = soft_normalised_cut(said, image, radius, intensity, width)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_cut_along_an_edge_is_cheaper_than_across_it():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1.0
    along, across = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    along[:, 0, :, :4], along[:, 1, :, 4:] = 1, 1
    across[:, 0, :4], across[:, 1, 4:] = 1, 1
    assert soft_normalised_cut(along, image) < 1e-5 < soft_normalised_cut(across, image)


def test_consistency_equals_torch():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2))
    squares = (ours.softmax(1) - theirs.softmax(1)).square().mean()
    torch.testing.assert_close(consistency(ours, theirs), squares)
    expected = torch.nn.functional.kl_div(ours.log_softmax(1), theirs.softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(consistency(ours, theirs, divergence=True), expected.mean())
    weight = torch.zeros(2, 4, 5)
    weight[:, 1] = 3.0
    torch.testing.assert_close(consistency(ours, theirs, weight, divergence=True), expected[:, 1].mean())
    theirs.requires_grad_()
    ours.requires_grad_()
    consistency(ours, theirs).backward()
    assert theirs.grad is None and ours.grad.any()


def test_rampup_by_hand():
    assert rampup(0.0) == pytest.approx(math.exp(-5))
    assert rampup(0.1) == pytest.approx(math.exp(-5 / 4))
    assert rampup(0.2) == rampup(1.0) == 1.0


def test_gaussian_divergence_equals_torch():
    generator = torch.Generator().manual_seed(0)
    m, v, m0, v0 = (torch.randn(3, 4, generator=generator) for _ in range(4))
    normal = lambda mean, log: torch.distributions.Normal(mean, (log / 2).exp())  # noqa: E731
    expected = torch.distributions.kl_divergence(normal(m, v), normal(m0, v0)).sum(1).mean()
    torch.testing.assert_close(gaussian_divergence(m, v, m0, v0), expected)
    zero = torch.zeros_like(m)
    alone = torch.distributions.kl_divergence(normal(m, v), normal(zero, zero)).sum(1).mean()
    torch.testing.assert_close(gaussian_divergence(m, v), alone)
