"""Maps that weigh voxels in the loss, computed from each prepared case and kept in the store."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.case import Case
from ..run_folder import RunFolder

MAPS = ("touching",)


def maps_of(folder: RunFolder) -> dict[str, Callable[[Case], np.ndarray]]:
    """What the store of a run keeps beside images and labels; empty when every voxel weighs the same."""
    name = folder.experiment.training.voxel_weights
    return {} if name is None else {name: lambda prepared: _touching(folder, prepared)}


def _touching(folder: RunFolder, prepared: Case) -> np.ndarray:
    """Large weights in the gaps between objects that nearly touch (U-Net paper, eq. 2).

    Objects are those the annotation numbers, else the connected pieces of the first structure.
    """
    from ..losses.weights import touching_weights
    from ..ops.morphology import components
    from ..ops.resample import onto

    assert prepared.truth is not None
    if folder.dataset.encoding.kind in ("instances", "objects"):
        objects = onto(folder.dataset.read_instances(prepared.id), prepared.image.grid).array[0]
    else:
        first = folder.experiment.task_labels.values[0]
        objects, _ = components(np.isin(prepared.truth.array[0], first))
    return touching_weights(objects)
