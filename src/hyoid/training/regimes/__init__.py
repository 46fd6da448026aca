"""The shelf of regimes, one file each.

- `supervised`: every batch is labelled
"""

from ..regime import Regime, regimes
from . import supervised

__all__ = ["Regime", "regimes", "supervised"]
