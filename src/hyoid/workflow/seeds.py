"""Which runs are one training with several seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..core.errors import HyoidError
from ..experiment import Experiment
from ..run_folder import EnsembleFolder, RunFolder

_CHOSEN = {"dims", "patch", "batch", "net", "precision", "policy", "mirror_axes", "foreground_share", "batch_dice"}
"""What of a plan makes another training; intensities are measured in voxels that the seed draws."""


def pools_of(folders: Mapping[str, Path]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Names of runs, those together that differ by their seed alone, and sentences on runs that are nearly such.

    Each run is in one pool; a pool of one is called as its run. Each seed counts once in a pool.
    """
    known: dict[str, dict[int, str]] = {}
    firsts: dict[str, tuple[str, dict[str, Any]]] = {}
    notes = list[str]()
    for name, folder in folders.items():
        settings, plan, seed = _asked(folder) or (name, {}, 0)
        first, usual = firsts.setdefault(settings, (name, plan))
        key = settings + json.dumps(plan, sort_keys=True)
        if key not in known and plan != usual:
            unlike = ", ".join(part for part in usual | plan if usual.get(part) != plan.get(part))
            notes.append(f"{name} was asked for like {first}, but its plan differs ({unlike}): not pooled.")
        if seed in known.get(key, {}):
            notes.append(f"{name} has the settings, plan and seed of {known[key][seed]}: not pooled.")
            key += name
        known.setdefault(key, {})[seed] = name
    return _named([tuple(by_seed.values()) for by_seed in known.values()]), tuple(notes)


def _asked(folder: Path) -> tuple[str, dict[str, Any], int] | None:
    """The settings that decide what a run gives, as text, its plan's choices, and the seed; None for what is no run."""
    run = RunFolder(folder.parent if folder.name == "test" else folder)
    if EnsembleFolder(run.path).ensemble_file.is_file() or not run.experiment_file.is_file():
        return None
    try:
        experiment = Experiment.read(run.experiment_file)
    except HyoidError:
        return None
    settings = experiment.model_dump(mode="json", exclude={"seed", "device", "threads", "plan"})
    plan = dict[str, Any]()
    if experiment.plan is not None:
        spacing = [size and f"{size:.3g}" for size in experiment.plan.spacing_mm or ()]
        plan = experiment.plan.model_dump(mode="json", include=_CHOSEN) | {"spacing": spacing}
    return json.dumps(settings, sort_keys=True), plan, experiment.seed


def _named(pools: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Pools by what their runs have in common in their names; by all their runs where another is called so."""
    common = [_common(runs) for runs in pools]
    named = dict[str, tuple[str, ...]]()
    for name, runs in zip(common, pools, strict=True):
        seeds = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
        clash = common.count(name) > 1 or (seeds and f"{name}{seeds}" in common)
        named[(" & ".join(runs) if clash else name) + seeds] = runs
    return named


def _common(runs: tuple[str, ...]) -> str:
    if len(runs) == 1:
        return runs[0]
    alike = "".join(letters[0] for letters in takewhile(lambda letters: len({*letters}) == 1, zip(*runs, strict=False)))
    shared = re.sub(r"([\W_]+(seed|s)?[\W_]*)?$", "", alike, count=1, flags=re.IGNORECASE)
    return shared or runs[0]
