"""hyoid: from a folder of annotated medical images to a trained, measured and deployable U-Net.

The verbs (`run`, `inspect`, `plan`, `prepare`, `train`, `predict`, `evaluate`, `compare`, `report`, `demo`, `cite`)
live in `hyoid.workflow`; the words (`Grid`, `Labels`, `Image`, `Case`, `Batch`, `UNetSpec`, ...) live in the rooms
below it.
Both are imported from here when they are first used, so that `import hyoid` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    **dict.fromkeys(
        ["run", "inspect", "plan", "prepare", "train", "predict", "evaluate", "compare", "report", "demo", "cite"],
        "workflow",
    ),
    "Grid": "core.grid",
    "Labels": "core.labels",
    "Image": "core.case",
    "Case": "core.case",
    "Batch": "core.case",
    "HyoidError": "core.errors",
    "ConfigError": "core.errors",
    "DataError": "core.errors",
    "read_image": "files.formats",
    "write_image": "files.formats",
    "open_dataset": "datasets.dataset",
    "Dataset": "datasets.dataset",
    "UNetSpec": "nets.unet",
    "nets": "nets.unet",
    "losses": "losses.loss",
    "metrics": "metrics.metric",
    "tasks": "tasks.task",
    "Fingerprint": "planning.fingerprint",
    "Plan": "planning.plan",
    "Experiment": "experiment",
    "Predictor": "prediction.predictor",
    "Ensemble": "prediction.ensemble",
    "Report": "evaluation.report",
}

__all__ = [*_PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hyoid' has no attribute {name!r}")
    return getattr(import_module(f"hyoid.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
