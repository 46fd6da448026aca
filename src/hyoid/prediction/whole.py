"""Answers that need the maps of a whole image, such as objects: where these are kept, and how they are read again."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from ..core.errors import ConfigError
from ..files.canvas import Canvas
from ..tasks.task import Task
from .settings import PredictionSettings


def check_assembling(task: Task, settings: PredictionSettings) -> None:
    """Refuse settings that do not fit the answers of a task.

    Raises:
        ConfigError: Naming the setting.
    """
    name = type(task).__name__
    if settings.refine is not None and (task.assembles or not task.probable):
        raise ConfigError(f"prediction.refine corrects probabilities of single voxels; {name} needs it left out.")
    if settings.largest_component and task.truth != "labels":
        raise ConfigError(f"prediction.largest_component keeps pieces of structures, and {name} answers no structures.")


@contextmanager
def room_for(shape: tuple[int, ...], memory_gb: float, dtype: type = np.float16) -> Iterator[np.ndarray]:
    """Room for maps (K, *S): in memory, or mapped to a temporary file when they would take more than allowed.

    Raises:
        HyoidError: When the disk of temporary files (`TMPDIR`) has no room for them.
    """
    if np.dtype(dtype).itemsize * math.prod(shape) <= memory_gb * 2**30:
        yield np.empty(shape, dtype)
        return
    with Canvas(Path(tempfile.gettempdir()), shape, np.dtype(dtype)) as canvas:
        yield canvas.mapped


def slabs_of(maps: np.ndarray, num_bytes: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Maps (K, *S) in slabs of about so many bytes across the first spatial axis, and where each begins."""
    step = max(1, num_bytes // (4 * maps[:, :1].size))
    for start in range(0, maps.shape[1], step):
        yield start, torch.from_numpy(np.ascontiguousarray(maps[:, start : start + step]))
