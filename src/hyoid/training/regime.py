"""Regime: what a batch teaches and to whom."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..core.case import Batch
from ..core.errors import ConfigError
from ..core.registry import Registry


class Regime(Protocol):
    """A way to learn from batches; it never mentions a device.

    Each turn is called like the attribute that holds the module it teaches: with `turns = ("net", "critic")` the
    loop gives `regime.net` and `regime.critic` an optimiser each and lets them learn one after the other.

    A regime may also have `before_step(progress)` and `after_step(progress)`, called before and after all turns of a
    step with progress in 0..1, and `counted()`, which gives the voxels (3, structures) that were hit, answered, and in
    the target, of the patches since it was asked last.
    """

    turns: tuple[str, ...]

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        """Scalars whose sum this turn minimises, by the names they have in the curves."""


regimes: Registry[Regime] = Registry("regime")
"""Builders of regimes: `build(net=..., task=..., loss=...)`."""


def check_devices(name: str, count: int) -> None:
    """Refuse several devices for a regime that does not say, before it is built, that it has a single turn.

    Raises:
        ConfigError: When it may teach several nets, which several devices were never seen to do.
    """
    if count > 1 and len(getattr(regimes[name].build, "turns", ())) != 1:
        raise ConfigError(
            f"training.devices is {count}, but regime {name!r} may teach several nets in turn, which is for one device;"
            " set it to 1."
        )
