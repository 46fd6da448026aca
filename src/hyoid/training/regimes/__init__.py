"""The shelf of regimes, one file each.

- `supervised`: every batch is labelled
"""

from ..regime import Regime, check_devices, regimes
from . import supervised

__all__ = ["Regime", "check_devices", "regimes", "supervised"]
