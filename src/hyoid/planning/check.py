"""Fixed settings looked at before anything is measured: names that are on no shelf, numbers that no image can have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.errors import ConfigError
from ..core.registry import Registry
from .settings import PlanningSettings


def check_settings(settings: PlanningSettings) -> None:
    """Refuse names, axes, patches and spacings that fit no data set, before data are measured."""
    from ..augmentation.policies import policies
    from ..nets.family.build import nets
    from ..nets.layers import norms
    from ..preparation.intensity import schemes

    _known("policy", policies, settings.policy)
    _known("net", nets, settings.net)
    _known("norm", norms, settings.norm)
    for name in settings.intensity or ():
        _known("intensity", schemes, name)
    for field in ("patch", "spacing_mm"):
        values = getattr(settings, field)
        if values is not None and (len(values) not in (2, 3) or min(values) <= 0):
            raise ConfigError(f"planning.{field} needs 2 or 3 positive numbers; got {list(values)}.")
    if settings.extent and settings.spacing_mm:
        raise ConfigError("planning.extent and planning.spacing_mm exclude each other; leave one of them out.")
    if settings.patch and settings.dims and len(settings.patch) < settings.dims:
        raise ConfigError(f"planning.patch needs {settings.dims} numbers; got {list(settings.patch)}.")
    check_mirror_axes(settings.mirror_axes or (), len(settings.spacing_mm or (0, 0, 0)))


def check_mirror_axes(axes: Iterable[int], dims: int) -> None:
    """Refuse to mirror an axis that images of so many dimensions do not have."""
    known = list(range(dims))
    for axis in axes:
        if axis not in known:
            raise ConfigError(f"planning.mirror_axes has axis {axis}; the axes of the images are {known}.")


def _known(setting: str, shelf: Registry[Any], name: str | None) -> None:
    if name is None:
        return
    try:
        shelf[name]
    except ConfigError as error:
        raise ConfigError(f"planning.{setting}: {error}") from None
