"""Transformers: published counts, and positions on other grids."""

from __future__ import annotations

import torch

from hyoid.nets.blocks.tokens import Positions
from oracles import count


def test_unetr_has_the_parameters_of_monai_without_its_spare_norms():
    """MONAI's 92,802,478 include a norm for cross-attention in each of 12 layers, which no input ever meets."""
    assert count("unetr", 3, 1, 14) == 92_802_478 - 12 * 2 * 768


def test_positions_of_another_size_are_interpolated():
    positions = Positions(3, (4, 4))
    assert positions(torch.zeros(1, 3, 4, 4)).allclose(positions.weight)
    assert positions(torch.zeros(1, 3, 6, 8)).shape == (1, 3, 6, 8)
