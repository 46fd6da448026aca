"""Patches of the prepared cases of a run, for what is calibrated or judged on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..ops.boxes import read_box
from ..preparation.store import Store
from ..run_folder import RunFolder
from .prepared import prepared, prepared_folder

COUNT = 16
"""Patches that are taken, of as many cases as there are."""


def patches_of(folder: RunFolder, part: str, shape: Sequence[int], again: bool = True) -> Tensor:
    """Patches (n, C, *shape) around structures, of the cases that train or validate a run.

    Args:
        part: "training" or "validation".
        shape: Of a patch; shorter than the cases where a 2D net answers slices of volumes.
        again: Whether cases are prepared again when they are gone, or have changed.

    Raises:
        ConfigError: When the run has no such cases.
        DataError: When they are gone, and are not to be prepared again.
    """
    ids = folder.split.training if part == "training" else folder.split.validation
    if not ids:
        raise ConfigError(f"{folder.path}: the run has no {part} cases to take patches of.")
    if again and folder.plan.preparation.before is None:
        prepared(folder)
    store, draw = Store.open(prepared_folder(folder), ids[:COUNT]), np.random.default_rng(0)
    return torch.from_numpy(np.stack([_patch(store, ids[i % len(ids)], shape, draw) for i in range(COUNT)]))


def _patch(store: Store, case: str, shape: Sequence[int], draw: np.random.Generator) -> np.ndarray:
    """The box around a voxel of a structure, or around the middle of the image when there is none."""
    image = store.image(case)
    size = (1,) * (len(image.shape) - 1 - len(shape)) + tuple(shape)
    found = store.locations(case)
    if found:
        voxels = found[sorted(found)[draw.integers(len(found))]]
        centre = [int(index) for index in voxels[draw.integers(len(voxels))]]
    else:
        centre = [n // 2 for n in image.shape[1:]]
    box = read_box(image, [c - n // 2 for c, n in zip(centre, size, strict=True)], size)
    return box.astype(np.float32).reshape(box.shape[0], *shape)
