"""The prepared cases of a run: which they are, and where they lie."""

from __future__ import annotations

from pathlib import Path

from ..datasets.dataset import Dataset
from ..preparation.store import Store, prepare_all, store_folder
from ..run_folder import RunFolder
from ..training.regimes import regime_class
from .voxel_weights import maps_of


def unlabelled_of(folder: RunFolder) -> tuple[str, ...]:
    """Ids of the unlabelled cases that a run learns from; empty for a regime that feeds on labelled cases alone."""
    feeds = regime_class(folder.experiment.training.regime).feeds
    return folder.split.unlabelled if set(feeds) - {"labelled"} else ()


def prepared_folder(folder: RunFolder) -> Path:
    """Where the prepared cases of a run lie, once they are there."""
    return store_folder(folder.plan.preparation, folder.prepared, maps_of(folder), _asked(folder))


def _asked(folder: RunFolder) -> list[str]:
    """What else is kept of the cases: numbers of objects, and second images for a regime that feeds on pairs."""
    pairs = folder.dataset.num_others and "pairs" in regime_class(folder.experiment.training.regime).feeds
    return ["numbered"] * (folder.task.truth == "instances") + ["other"] * bool(pairs)


def prepared(folder: RunFolder, cases: Dataset | None = None) -> Store:
    """The annotated cases of a run, and the unlabelled ones that it learns from, prepared where they are not yet.

    `cases` is its data set with the channels that an earlier stage of a cascade adds; its own when None.
    """
    dataset = folder.dataset if cases is None else cases
    place, workers, asked = folder.prepared, folder.workers, _asked(folder)
    entries = [*dataset.cases, *map(dataset.entry, unlabelled_of(folder))]
    return prepare_all(dataset, folder.plan.preparation, place, workers, maps_of(folder), entries, asked)
