"""What engines and torch decide is compared voxel by voxel."""

import pytest
import torch

from hyoid.engines.agreement import decided_alike, likeness, shares, varied


def test_likeness_of_probabilities_is_the_dice_of_channels_that_occur():
    ours = torch.tensor([[[[0.9, 0.9, 0.1, 0.1]], [[0.1, 0.1, 0.9, 0.9]], [[0.0, 0.0, 0.0, 0.0]]]])
    theirs = torch.tensor([[[[0.9, 0.1, 0.1, 0.1]], [[0.1, 0.9, 0.9, 0.9]], [[0.0, 0.0, 0.0, 0.0]]]])
    assert likeness(shares(ours, theirs)) == pytest.approx([2 / 3, 4 / 5])


def test_alike_is_the_share_of_equal_decisions():
    ours = torch.tensor([[[0.9, 0.2, 0.6, 0.4]], [[0.1, 0.8, 0.4, 0.6]]]).movedim(0, 1)
    theirs = torch.tensor([[[0.6, 0.4, 0.4, 0.3]], [[0.4, 0.6, 0.6, 0.7]]]).movedim(0, 1)
    assert decided_alike(ours, theirs) == 0.75


def test_likeness_of_other_numbers_is_one_less_their_relative_difference():
    ours = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 100 - 20
    ours[:, 1] = 0  # a channel without anything does not count
    assert likeness(shares(ours, ours, False), False) == pytest.approx([1.0], abs=1e-6)
    assert likeness(shares(ours, 1.01 * ours, False), False) == pytest.approx([0.99], abs=1e-3)
    assert likeness(shares(ours, -ours, False), False)[0] < 0


def test_maps_vary_by_what_they_decide_or_by_their_numbers():
    maps = torch.tensor([[[[0.1, 0.2, 0.3]]]])
    assert not varied(maps) and varied(maps, probable=False) and varied(2 * maps)
