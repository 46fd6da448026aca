"""Capsules: the published count, and routing written out in loops."""

from __future__ import annotations

import math

import pytest
import torch

from hyoid.losses import losses
from hyoid.nets import build_spec
from hyoid.nets.blocks.capsule import CapsuleConv, route, squash
from hyoid.nets.family.capsule import CapsuleRestoration, logits_of
from oracles import count

SMALL = {
    "first": 4,
    "down": (((2, 4), (2, 4)), ((2, 4), (2, 4))),
    "up": (((2, 4), (2, 4)),),
    "last": (2, 4),
    "atoms": 4,
    "kernel": 3,
}


def test_segcaps_has_the_published_parameters():
    assert count("segcaps", 2, 1, 1) == 1_416_112


def test_the_restoration_adds_9537_parameters():
    net = build_spec("segcaps", 2, 1, 1).build()
    branch = CapsuleRestoration(net)
    assert sum(p.numel() for p in branch.parameters()) == 1_425_649


def test_squash_keeps_directions_and_shortens_below_one():
    x = torch.tensor([[3.0, 4.0], [0.03, 0.04]])
    y = squash(x, 1)
    torch.testing.assert_close(y.norm(dim=1), torch.tensor([25 / 26, 0.0025 / 1.0025]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(y / y.norm(dim=1, keepdim=True), x / x.norm(dim=1, keepdim=True))


def routed_in_loops(votes, bias, iterations):
    """One voxel: votes (N, M, A) as nested lists of numbers."""
    kinds, out, atoms = votes.shape
    agreed = [[0.0] * out for _ in range(kinds)]
    for _ in range(iterations):
        shares = []
        for row in agreed:
            total = sum(math.exp(v) for v in row)
            shares.append([math.exp(v) / total for v in row])
        capsules = []
        for m in range(out):
            s = [
                sum(shares[n][m] * float(votes[n, m, a]) for n in range(kinds)) + float(bias[m, a])
                for a in range(atoms)
            ]
            squared = sum(v * v for v in s)
            capsules.append([v * math.sqrt(squared) / (1 + squared) for v in s])
        for n in range(kinds):
            for m in range(out):
                agreed[n][m] += sum(float(votes[n, m, a]) * capsules[m][a] for a in range(atoms))
    return torch.tensor(capsules)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_equals_its_procedure_in_loops(iterations):
    generator = torch.Generator().manual_seed(0)
    votes = torch.randn(2, 3, 4, 5, 2, 2, generator=generator)
    bias = torch.randn(4, 5, generator=generator)
    capsules = squash(route(votes, bias, iterations), 2)
    for place in ((0, 0, 0), (1, 1, 0)):
        b, i, j = place
        expected = routed_in_loops(votes[b, :, :, :, i, j], bias, iterations)
        torch.testing.assert_close(capsules[b, :, :, i, j], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_capsules_step_down_and_back_up_exactly(dims):
    x = torch.randn(1, 3, 4, *[8] * dims)
    down = CapsuleConv(dims, 4, 2, 6, stride=2)(x)
    assert down.shape == (1, 2, 6, *[4] * dims)
    assert CapsuleConv(dims, 6, 5, 3, 4, 2, up=True)(down).shape == (1, 5, 3, *[8] * dims)


def test_logits_are_those_of_the_lengths():
    sums = torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    logits = logits_of(sums)
    torch.testing.assert_close(logits.sigmoid(), squash(sums, 2).norm(dim=2))
    assert logits_of(torch.zeros(1, 2, 3, 1, 1)).isfinite().all()


def test_the_restoration_sees_the_class_of_the_target_only():
    torch.manual_seed(0)
    branch = CapsuleRestoration(build_spec("segcaps", 2, 1, 2, **SMALL).build())
    x, masks = torch.randn(1, 1, 8, 8), torch.zeros(1, 2, 8, 8)
    masks[:, 1, 2:5, 2:5] = 1
    redrawn = branch(x, masks)
    outside = redrawn.image[0, 0][masks[0, 1] == 0]
    assert (outside - outside[0]).abs().max() < 1e-6
    assert redrawn.terms(x, masks[:, 1:])["restoration"].requires_grad
    assert redrawn.logits[0].shape == (1, 2, 8, 8)


def test_the_margin_loss_sees_the_lengths_of_capsules():
    """Lengths of .66 and .92: a softmax would make .15 and .85 of them."""
    lengths = torch.tensor([0.66, 0.92]).reshape(1, 2, 1, 1)
    expected = 0.5 * (0.66 - 0.1) ** 2
    loss = losses.build("margin")(lengths.logit(), torch.ones(1, 1, 1, dtype=torch.long))
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_capsules_step_as_in_tensorflow():
    """Of three zeros that a kernel of 5 needs for steps of 2, two stand at the end."""
    layer, x = CapsuleConv(2, 1, 1, 1, stride=2), torch.zeros(1, 1, 1, 8, 8)
    x[..., 0, 0] = 1
    votes = layer.conv(layer.pad(x[:, 0]))
    torch.testing.assert_close(votes[0, 0, 0, 0], layer.conv.weight[0, 0, 1, 1])
