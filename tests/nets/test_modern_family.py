"""MedNeXt: its published sizes, and equality with MONAI."""

from __future__ import annotations

import pytest
import torch

from hyoid.nets import build_spec
from oracles import assert_equal_nets, count


@pytest.mark.parametrize(("size", "millions"), [("s", 5.6), ("b", 10.5), ("m", 17.6), ("l", 61.8)])
def test_mednext_has_the_parameters_of_its_paper(size, millions):
    """The paper does not say for how many classes, so a tenth of a million is left open."""
    assert abs(count(f"mednext_{size}", 3, 1, 2) / 1e6 - millions) < 0.1


@pytest.mark.parametrize("dims", [2, 3])
def test_equals_monai_mednext(dims):
    from monai.networks.nets.mednext import MedNeXt

    settings = {"encoder_expansion_ratio": (2, 3), "decoder_expansion_ratio": (3, 2), "bottleneck_expansion_ratio": 4}
    counts = {"blocks_down": (1, 2), "blocks_bottleneck": 1, "blocks_up": (2, 1)}
    theirs = MedNeXt(dims, 8, 2, 3, **settings, **counts, kernel_size=3, use_residual_connection=True)
    changes = {"channels": (8, 16, 32), "expansions": (2, 3, 4), "blocks": (1, 2, 1)}
    ours = build_spec("mednext_b", dims, 2, 3, **changes).build()
    spare = set(ours.heads[1:].parameters())
    ours.heads = ours.heads[:1]
    assert spare
    assert_equal_nets(theirs, ours, torch.randn(1, 2, *[16] * dims))
