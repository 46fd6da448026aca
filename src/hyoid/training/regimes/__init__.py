"""The shelf of regimes, one file each.

- `supervised`: every patch is labelled
"""

from ..regime import Regime, Turn, build_regime, check_regime, regime_class, regimes
from . import supervised

__all__ = ["Regime", "Turn", "build_regime", "check_regime", "regime_class", "regimes", "supervised"]
