"""A computer in words."""

from __future__ import annotations

from hyoid.core.machine import machine


def test_every_line_says_something():
    lines = machine()
    assert all(lines.values()) and {"cores", "system", "memory of the machine"} <= set(lines)
