"""MedNeXt: its published sizes, and equality with MONAI."""

from __future__ import annotations

import pytest
import torch

from hyoid.nets import build_spec
from oracles import assert_equal_nets, count


@pytest.mark.parametrize(
    ("size", "kernel", "expected", "published"),
    [
        ("s", 3, 5_563_809, 5.6),
        ("b", 3, 10_539_201, 10.5),
        ("m", 3, 17_561_857, 17.6),
        ("l", 3, 61_792_161, 61.8),
        ("b", 5, 10_968_833, 11.0),
        ("m", 5, 18_273_729, 18.3),
        ("l", 5, 63_005_793, 63.0),
    ],
)
def test_mednext_has_the_parameters_of_its_paper(size, kernel, expected, published):
    """For 13 classes and deep supervision, as the authors count; their table has one decimal."""
    assert count(f"mednext_{size}", 3, 1, 13, kernel=kernel) == expected
    assert round(expected / 1e6, 1) == published


def test_small_mednext_of_kernel_five_is_cut_not_rounded_in_the_paper():
    assert count("mednext_s", 3, 1, 13, kernel=5) == 5_993_441  # published as 5.9 million


@pytest.mark.parametrize(("size", "missing"), [("s", 0), ("b", 15_456), ("m", 15_456), ("l", 52_512)])
def test_monai_lacks_what_its_ways_down_do_not_widen(size, missing):
    from monai.networks.nets.mednext import create_mednext

    with torch.device("meta"):
        theirs = create_mednext(size, 3, 1, 13, deep_supervision=True)
    ours = count(f"mednext_{size}", 3, 1, 13)
    assert sum(parameter.numel() for parameter in theirs.parameters()) == ours - missing


@pytest.mark.parametrize("dims", [2, 3])
def test_equals_monai_mednext_with_ways_down_as_wide_as_the_authors(dims):
    from monai.networks.blocks.mednext_block import MedNeXtDownBlock
    from monai.networks.nets.mednext import MedNeXt

    settings = {"encoder_expansion_ratio": (2, 3), "decoder_expansion_ratio": (3, 2), "bottleneck_expansion_ratio": 4}
    counts = {"blocks_down": (1, 2), "blocks_bottleneck": 1, "blocks_up": (2, 1)}
    theirs = MedNeXt(dims, 8, 2, 3, **settings, **counts, kernel_size=3, use_residual_connection=True)
    for level, (width, expansion) in enumerate([(8, 3), (16, 4)]):
        theirs.down_blocks[level] = MedNeXtDownBlock(width, 2 * width, expansion, 3, True, dim=f"{dims}d")
    changes = {"channels": (8, 16, 32), "expansions": (2, 3, 4), "blocks": (1, 2, 1)}
    ours = build_spec("mednext_b", dims, 2, 3, **changes).build()
    spare = set(ours.heads[1:].parameters())
    ours.heads = ours.heads[:1]
    assert spare
    assert_equal_nets(theirs, ours, torch.randn(1, 2, *[16] * dims))
