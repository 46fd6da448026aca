"""What a computer is, in a few lines of text, and how much of it is used."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

from .progress import log


def cores() -> int:
    """Cores of the processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Processor, cores, memory, GPU and system of this computer; lines that it does not tell are left out."""
    import psutil
    import torch

    lines = {
        "processor": _processor(),
        "cores": str(cores()),
        "memory of the machine": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {name: text for name, text in lines.items() if text}


def user_cache() -> Path:
    """Where hyoid keeps what it can make again: HYOID_CACHE, or hyoid in XDG_CACHE_HOME or in ~/.cache."""
    if own := os.environ.get("HYOID_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hyoid"


def use_threads(count: int | None) -> None:
    """Let torch compute with so many threads, at most one for each core; None leaves it as it is."""
    if count is not None:
        import torch

        most = cores()
        if count > most:
            _warn_once(f"{count} threads were asked for, and this machine has {most} cores: {most} compute.")
        torch.set_num_threads(min(count, most))


_warn_once = cache(log.warning)


def _processor() -> str:
    """The name that Linux knows, else what Python says."""
    known = Path("/proc/cpuinfo")
    if known.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", known.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.processor()
