"""How much memory this process has needed, since a moment that can be set."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PROC = Path("/proc/self")


def forget_peak(device: str = "cpu") -> bool:
    """Begin to look for the peak anew; gives False where the system cannot, so that the peak stays that of the process.

    Args:
        device: Whose memory it is: that of a CUDA device, or that of the machine for all others.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.init()
        torch.cuda.empty_cache()  # else the peak would begin with what torch keeps of earlier work
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_gb(device: str = "cpu") -> float:
    """Most memory of this process since the peak was forgotten, or ever, in GB; 0 where the system does not tell."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_reserved(device) / 1e9
    if (_PROC / "status").is_file():
        found = re.search(r"VmHWM:\s*(\d+)", (_PROC / "status").read_text())
        return int(found[1]) * 1024 / 1e9 if found else 0.0
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
