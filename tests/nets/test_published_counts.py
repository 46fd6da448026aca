"""Every net has the number of parameters that others published for it, or a reason why not."""

from __future__ import annotations

import pytest

from hyoid.nets import nets
from hyoid.nets.published import PublishedCount, published

FIGURES = [(name, one) for name, found in published().items() if not isinstance(found, str) for one in found]


def test_every_net_tells_a_published_count_or_why_there_is_none():
    assert set(published()) == set(nets)
    assert all(published().values())


@pytest.mark.parametrize(("name", "one"), FIGURES, ids=[f"{name}-{one.figure}" for name, one in FIGURES])
def test_parameters_are_the_published_ones_unless_a_reason_is_told(name, one):
    assert one.agrees(one.ours(name)) == (one.differs is None)


def test_printed_millions_agree_to_their_digits():
    one = PublishedCount(ends=(1, 1), figure="9.04 M", source="a paper")
    assert one.agrees(9_041_601)
    assert not one.agrees(9_046_000)
