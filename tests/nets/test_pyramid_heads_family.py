"""FPN against its published form."""

from __future__ import annotations

from oracles import count


def test_fpn_has_the_published_parameters():
    assert count("fpn", 2, 3, 1) == 23_155_393
