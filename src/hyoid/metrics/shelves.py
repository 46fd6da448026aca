"""Every shelf of metrics, and which of them an evaluation of files can use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.case import Kind
from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from .calibration import probability_metrics
from .instances import object_metrics
from .metric import Metric, metrics
from .objects import Objects
from .pair import Pair
from .registration import Motion, registration_metrics
from .restoration import Images, image_metrics

SHELVES: dict[str, Registry[Metric]] = {
    "masks": metrics,
    "objects": object_metrics,
    "probabilities": probability_metrics,
    "images": image_metrics,
    "registration": registration_metrics,
}
"""What is compared, and the metrics of it."""


HELD: dict[Kind, tuple[type[Any], ...]] = {"labels": (Pair, Objects), "intensities": (Images,), "field": (Motion,)}
"""What metrics can compare of label images, images and fields."""

USUAL: dict[Kind, tuple[str, ...]] = {"intensities": ("psnr", "ssim", "mae"), "field": ("end_point_error", "folds")}
"""What is measured of images and fields when neither settings nor the task name anything."""


def of_files(name: str, **options: Any) -> Metric:
    """A metric by name, of what files hold: masks, objects, images or fields.

    Raises:
        ConfigError: When the name is unknown, or the metric looks at something else.
    """
    for kind, shelf in SHELVES.items():
        if name in shelf:
            found = shelf.build(name, **options)
            if any(found.compares in held for held in HELD.values()):
                return found
            raise ConfigError(f"metrics: {name} compares {kind}, and no file holds such; call it in Python.")
    known = sorted(name for shelf in SHELVES.values() for name in shelf)
    raise ConfigError(f"No metric is called {name!r}.{closest(name, known)} Known: {', '.join(known)}.")


def check_kind(chosen: Iterable[Metric], kind: Kind) -> None:
    """Refuse metrics that look at something else than answers of this kind."""
    for metric in chosen:
        if metric.compares not in HELD[kind]:
            fitting = [name for shelf in SHELVES.values() for name in shelf if shelf.build(name).compares in HELD[kind]]
            what = "images" if kind == "intensities" else f"{kind.removesuffix('s')}s"
            raise ConfigError(f"metrics: {metric.name} does not compare {what}; choose among {', '.join(fitting)}.")
