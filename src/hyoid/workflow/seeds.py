"""Which runs are one training with several seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from ..core.errors import HyoidError
from ..experiment import Experiment
from ..run_folder import EnsembleFolder, RunFolder

_CHOSEN = {"dims", "patch", "batch", "net", "precision", "policy", "mirror_axes", "foreground_share", "batch_dice"}
"""What of a plan makes another training; intensities are measured in voxels that the seed draws."""


def pools_of(folders: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """Names of runs, those together that differ by their seed alone; a pool of one is called as its run.

    Each seed counts once: runs of the same seed are not pooled.
    """
    known: dict[str, dict[int, str]] = {}
    for name, folder in folders.items():
        settings, seed = _asked(folder) or (name, 0)
        runs = known.setdefault(settings, {})
        if seed in runs:
            runs = known.setdefault(f"{settings}{name}", {})
        runs[seed] = name
    return {_name(runs): runs for runs in (tuple(by_seed.values()) for by_seed in known.values())}


def _asked(folder: Path) -> tuple[str, int] | None:
    """Everything but the seed that decides what a run gives, as text, and the seed; None for what is no run."""
    run = RunFolder(folder.parent if folder.name == "test" else folder)
    if EnsembleFolder(run.path).ensemble_file.is_file() or not run.experiment_file.is_file():
        return None
    try:
        experiment = Experiment.read(run.experiment_file)
    except HyoidError:
        return None
    settings = experiment.model_dump(mode="json", exclude={"seed", "device", "threads", "plan"})
    if (plan := experiment.plan) is not None:
        spacing = [size and f"{size:.3g}" for size in plan.spacing_mm or ()]
        settings["plan"] = plan.model_dump(mode="json", include=_CHOSEN) | {"spacing": spacing}
    return json.dumps(settings, sort_keys=True), experiment.seed


def _name(runs: tuple[str, ...]) -> str:
    """What a pool is called: what its runs have in common."""
    if len(runs) == 1:
        return runs[0]
    alike = "".join(letters[0] for letters in takewhile(lambda letters: len({*letters}) == 1, zip(*runs, strict=False)))
    shared = re.sub(r"([\W_]+(seed|s)?[\W_]*)?$", "", alike, count=1, flags=re.IGNORECASE)
    return f"{shared or runs[0]} ({len(runs)} seeds)"
