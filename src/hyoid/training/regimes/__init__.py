"""The shelf of regimes, one file each.

- `supervised`: every batch is labelled
"""

from . import supervised

__all__ = ["supervised"]
