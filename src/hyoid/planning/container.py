"""Memory of the container that this process runs in."""

from __future__ import annotations

import math
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Limit, usage, and what of `memory.stat` is the copy of files not looked at lately, in both versions of cgroups.
_VERSIONS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def left_and_limit() -> tuple[float, float]:
    """Bytes that may still be used, and all that may be used; both infinite where there is no limit.

    Copies of files count as left, since the system drops them when memory is needed.
    """
    for limit_name, usage_name, copies_name in _VERSIONS:
        usage = _CGROUPS / usage_name
        try:
            limit = float((_CGROUPS / limit_name).read_text())
            used = float(usage.read_text())
            facts = dict(line.split() for line in usage.with_name("memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # this version is not there, or its limit is "max"
            continue
        return max(0.0, limit - used + float(facts.get(copies_name, 0))), limit
    return math.inf, math.inf
