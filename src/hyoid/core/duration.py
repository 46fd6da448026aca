"""Lengths of time in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds as people say them: "8 s", "3:05 min", "2:10 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
