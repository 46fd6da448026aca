"""Energy that work takes: counted by the machine where it tells, else estimated from the time its cores were busy."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

WATTS_PER_CORE = 10.0
"""What a busy core is taken to draw: desktop and server processors are sold with 5 to 15 W for each core."""

_MOST_WATTS = 500.0
"""No package draws more; in the time this takes to fill a counter it has surely not come round twice."""

COUNTERS = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """Energy of a piece of work.

    Attributes:
        processor: Joules of the processors.
        counted: Whether the machine counted them (everything it did then, other programs too); else estimated.
        accelerator: Joules of all GPUs, when they were used and count.
    """

    processor: float
    counted: bool
    accelerator: float | None = None

    @property
    def total(self) -> float:
        """All joules that are known."""
        return self.processor + (self.accelerator or 0.0)

    def __add__(self, other: Energy) -> Energy:
        known = [one.accelerator for one in (self, other) if one.accelerator is not None]
        return Energy(self.processor + other.processor, self.counted and other.counted, sum(known) if known else None)


class EnergyMeter:
    """Counts from the moment it is made.

    Args:
        counters: Where Linux shows the energy counters of processors (RAPL).
    """

    def __init__(self, counters: Path = COUNTERS) -> None:
        self._counters = sorted(counters.glob("intel-rapl:?"))
        self._started, self._busy = _seconds(), _busy_seconds()
        self._before = [_number(one / "energy_uj") for one in self._counters]
        self._gpus = _accelerator_joules() if _torch_computes() else None

    def taken(self) -> Energy:
        """The energy since then."""
        counted = self._counted()
        joules = WATTS_PER_CORE * (_busy_seconds() - self._busy) if counted is None else counted
        now = _accelerator_joules() if self._gpus is not None and _torch_computes() else None
        gpus = None if now is None or self._gpus is None else now - self._gpus
        return Energy(round(joules, 1), counted is not None, None if gpus is None else round(gpus, 1))

    def _counted(self) -> float | None:
        """Joules of the counters; None when there are none that may be read, or they may have come round twice."""
        if not self._counters:
            return None
        total, seconds = 0.0, _seconds() - self._started
        for path, before in zip(self._counters, self._before, strict=True):
            now, most = _number(path / "energy_uj"), _number(path / "max_energy_range_uj")
            if before is None or now is None or most is None or seconds * _MOST_WATTS * 1e6 > most:
                return None
            total += (now - before) % most if now < before else now - before
        return total / 1e6


_seconds = time.monotonic


def _busy_seconds() -> float:
    """Time that cores spent on this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _torch_computes() -> bool:
    """Whether torch is here and has a GPU; it is not imported for the question."""
    torch = sys.modules.get("torch")
    return bool(torch is not None and torch.cuda.is_available())


def _accelerator_joules() -> float | None:
    """What the driver has counted for all GPUs so far; None when it does not."""
    try:
        driver = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    number, millijoules, total = ctypes.c_uint(), ctypes.c_ulonglong(), 0.0
    if driver.nvmlInit_v2() or driver.nvmlDeviceGetCount_v2(ctypes.byref(number)):
        return None
    for index in range(number.value):
        device = ctypes.c_void_p()
        if driver.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
            return None
        if driver.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
            return None
        total += millijoules.value / 1000
    return total
