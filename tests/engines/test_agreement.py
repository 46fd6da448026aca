"""What engines and torch decide is compared voxel by voxel."""

import pytest
import torch

from hyoid.engines.agreement import decided_alike, dice_of_decisions


def test_dice_of_decisions_counts_channels_that_occur():
    ours = torch.tensor([[[[0.9, 0.9, 0.1, 0.1]], [[0.1, 0.1, 0.9, 0.9]], [[0.0, 0.0, 0.0, 0.0]]]])
    theirs = torch.tensor([[[[0.9, 0.1, 0.1, 0.1]], [[0.1, 0.9, 0.9, 0.9]], [[0.0, 0.0, 0.0, 0.0]]]])
    assert dice_of_decisions(ours, theirs) == pytest.approx([2 / 3, 4 / 5])


def test_alike_is_the_share_of_equal_decisions():
    ours = torch.tensor([[[0.9, 0.2, 0.6, 0.4]], [[0.1, 0.8, 0.4, 0.6]]]).movedim(0, 1)
    theirs = torch.tensor([[[0.6, 0.4, 0.4, 0.3]], [[0.4, 0.6, 0.6, 0.7]]]).movedim(0, 1)
    assert decided_alike(ours, theirs) == 0.75
