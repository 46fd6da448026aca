"""hyoid: from a folder of annotated medical images to a trained, measured and deployable U-Net.

The verbs come from `hyoid.workflow`, the words (`Grid`, `Labels`, `Image`, `Case`, ...) from the rooms below it.
`nets`, `losses`, `metrics` and `tasks` are the rooms of these names; each keeps its shelf under its own name, such as
`hyoid.losses.losses`. All are imported when they are first used, so that `import hyoid` costs almost nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "Batch", "Case", "ConfigError", "DataError", "Dataset", "Ensemble", "Experiment", "Fingerprint", "Grid",
    "HyoidError", "Image", "Labels", "Plan", "Predictor", "Report", "Stop", "UNetSpec", "__version__", "cases", "cite",
    "compare", "demo", "doctor", "evaluate", "inspect", "load", "losses", "metrics", "nets", "open_dataset", "plan",
    "predict", "prepare", "read_image", "report", "run", "show_nets", "stopping", "tasks", "train", "trust",
    "write_image",
]
# fmt: on

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
    from .workflow import (
        cite,
        compare,
        demo,
        doctor,
        evaluate,
        inspect,
        plan,
        predict,
        prepare,
        report,
        run,
        show_nets,
        train,
        trust,
    )
    from .workflow.cases import cases
    from .workflow.loading import load
else:

    @cache
    def _places():
        """The module of each name, read from the imports above, which type checkers follow and nobody executes."""
        import ast

        nodes = ast.walk(ast.parse(__spec__.loader.get_source(__name__)))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
        return {one.name: node.module for node in imports for one in node.names}

    def __getattr__(name):
        if name not in _places():
            raise AttributeError(f"module 'hyoid' has no attribute {name!r}")
        place = _places()[name]
        return getattr(import_module(f"hyoid.{place}"), name) if place else import_module(f"hyoid.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
