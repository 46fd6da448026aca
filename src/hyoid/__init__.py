"""hyoid: from a folder of annotated medical images to a trained, measured and deployable U-Net.

The verbs come from `hyoid.workflow`, the words (`Grid`, `Labels`, `Image`, `Case`, ...) from the rooms below it.
`nets`, `losses`, `metrics` and `tasks` are the rooms of these names; each keeps its shelf under its own name, such as
`hyoid.losses.losses`. All are imported when they are first used, so that `import hyoid` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "Batch", "Case", "ConfigError", "DataError", "Dataset", "Ensemble", "Experiment", "Fingerprint", "Grid",
    "HyoidError", "Image", "Labels", "Plan", "Predictor", "Report", "Stop", "UNetSpec", "__version__", "cases", "cite",
    "compare", "demo", "evaluate", "inspect", "load", "losses", "metrics", "nets", "open_dataset", "plan", "predict",
    "prepare", "read_image", "report", "run", "show_nets", "stopping", "tasks", "train", "write_image",
]
# fmt: on
_ROOMS = ("losses", "metrics", "nets", "tasks")
_PLACES = {
    "core.case": ("Batch", "Case", "Image"),
    "core.errors": ("ConfigError", "DataError", "HyoidError"),
    "core.grid": ("Grid",),
    "core.labels": ("Labels",),
    "core.stopping": ("Stop", "stopping"),
    "datasets.dataset": ("Dataset", "open_dataset"),
    "evaluation.report": ("Report",),
    "experiment": ("Experiment",),
    "files.formats": ("read_image", "write_image"),
    "nets.unet": ("UNetSpec",),
    "planning.fingerprint": ("Fingerprint",),
    "planning.plan": ("Plan",),
    "prediction.ensemble": ("Ensemble",),
    "prediction.predictor": ("Predictor",),
    "workflow.cases": ("cases",),
    "workflow.loading": ("load",),
    "workflow": "cite compare demo evaluate inspect plan predict prepare report run show_nets train".split(),  # noqa: SIM905
}
"""Where names come from; type checkers read the same from the imports below, and a test compares all three lists."""

if TYPE_CHECKING:
    from . import losses, metrics, nets, tasks
    from .core.case import Batch, Case, Image
    from .core.errors import ConfigError, DataError, HyoidError
    from .core.grid import Grid
    from .core.labels import Labels
    from .core.stopping import Stop, stopping
    from .datasets.dataset import Dataset, open_dataset
    from .evaluation.report import Report
    from .experiment import Experiment
    from .files.formats import read_image, write_image
    from .nets.unet import UNetSpec
    from .planning.fingerprint import Fingerprint
    from .planning.plan import Plan
    from .prediction.ensemble import Ensemble
    from .prediction.predictor import Predictor
    from .workflow import cite, compare, demo, evaluate, inspect, plan, predict, prepare, report, run, show_nets, train
    from .workflow.cases import cases
    from .workflow.loading import load
else:

    def __getattr__(name):
        if name in _ROOMS:
            return import_module(f"hyoid.{name}")
        for place, names in _PLACES.items():
            if name in names:
                return getattr(import_module(f"hyoid.{place}"), name)
        raise AttributeError(f"module 'hyoid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
