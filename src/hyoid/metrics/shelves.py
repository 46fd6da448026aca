"""Every shelf of metrics, and which of them an evaluation of label images can use."""

from __future__ import annotations

from typing import Any

from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from .calibration import probability_metrics
from .instances import object_metrics
from .metric import Metric, metrics
from .registration import registration_metrics
from .restoration import image_metrics

SHELVES: dict[str, Registry[Metric]] = {
    "masks": metrics,
    "objects": object_metrics,
    "probabilities": probability_metrics,
    "images": image_metrics,
    "registration": registration_metrics,
}
"""What is compared, and the metrics of it."""


def of_label_images(name: str, **options: Any) -> Metric:
    """A metric of masks or of objects by name, which is what label images hold.

    Raises:
        ConfigError: When the name is unknown, or the metric looks at something else.
    """
    for shelf in (metrics, object_metrics):
        if name in shelf:
            return shelf.build(name, **options)
    for kind, shelf in SHELVES.items():
        if name in shelf:
            raise ConfigError(
                f"metrics: {name} compares {kind}, and an evaluation has label images; call it in Python."
            )
    known = sorted([*metrics, *object_metrics])
    raise ConfigError(f"No metric is called {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
