"""How arrays of a prepared case are packed on disk, and read back in parts.

Images are int16 with a scale and an offset for each channel when that costs less than a thousandth of the channel's
standard deviation, else float32: half the disk and half the cold reading time.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np

from .statistics import mean_and_std

_MAX_ERROR = 1e-3
_MAX_PLACES = 10_000
_SLAB = 1 << 22


class Maps:
    """Arrays of files, mapped into memory: those that were asked for last, as many as a process may have files."""

    def __init__(self) -> None:
        self._known: dict[Path, np.ndarray] = {}  # the one that was asked for last comes last
        self._lock = Lock()

    def array(self, path: Path) -> np.ndarray:
        """The array of an .npy file; only what is read of it takes memory.

        Raises:
            OSError, ValueError: When it cannot be read.
        """
        with self._lock:
            known = self._known.pop(path, None)
            if known is None:
                known = np.load(path, mmap_mode="r")
            self._known[path] = known
            while len(self._known) > _most_open():
                del self._known[next(iter(self._known))]
            return known

    def forget(self, folder: Path) -> None:
        """Read the files of a folder anew from now on."""
        with self._lock:
            for path in [path for path in self._known if path.parent == folder]:
                del self._known[path]


@cache
def _most_open() -> int:
    """A quarter of the files that a process may have open, each of which a mapped array keeps."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # not on Windows, which has no such limit
        return 1024
    most = getrlimit(RLIMIT_NOFILE)[0]
    return 1024 if most == RLIM_INFINITY else max(16, min(1024, most // 4))


def pack(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """The image as int16 with scale and offset, or as float32 without when that would lose too much."""
    flat = array.reshape(len(array), -1)
    low, high = flat.min(1).astype(np.float64), flat.max(1).astype(np.float64)
    scale, offset = (high - low) / 65534, (high + low) / 2
    std = np.array([mean_and_std(channel)[1] for channel in flat])
    if not np.isfinite(scale).all() or (scale / 2 > _MAX_ERROR * std).any():
        return array.astype(np.float32), None, None
    scale = np.where(scale > 0, scale, 1.0)
    stored = np.empty(array.shape, np.int16)
    for channel, one, middle, target in zip(array, scale, offset, stored, strict=True):
        target[...] = np.rint((channel - np.float32(middle)) / np.float32(one))
    return stored, scale, offset


def smallest_type(labels: np.ndarray) -> type[np.integer]:
    """The smallest of uint8, int16 and int32 that holds these integers."""
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < 256:
        return np.uint8
    return np.int16 if low >= -(2**15) and high < 2**15 else np.int32


def sample_places(
    labels: np.ndarray, case_id: str, numbered: bool = False
) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """For each value that occurs (not 0) a sample of its voxels, (n, dims) int32 in order, and how many it has.

    With `numbered` positive values are numbers of objects, which are of one class and listed as the value 1.

    Every voxel draws a number, seeded by the case, and each value keeps its 10,000 smallest: one pass over slabs,
    memory bounded by a slab and the sample.
    """
    rng = np.random.default_rng(list(hashlib.sha256(case_id.encode()).digest()))
    plane = labels[0].size
    drawn: dict[int, np.ndarray] = {}
    places: dict[int, np.ndarray] = {}
    counts: dict[int, int] = {}
    step = max(1, _SLAB // plane)
    for begin in range(0, len(labels), step):
        slab = labels[begin : begin + step].ravel()
        if numbered:
            slab = np.minimum(slab, 1)
        where = np.flatnonzero(slab)
        numbers = rng.random(len(where))
        order = np.argsort(slab[where], kind="stable")
        found, starts = np.unique(slab[where[order]], return_index=True)
        for value, group in zip(found.tolist(), np.split(order, starts)[1:], strict=True):
            known = np.concatenate([drawn.get(value, np.zeros(0)), numbers[group]])
            voxels = np.concatenate([places.get(value, np.zeros(0, np.int64)), where[group] + begin * plane])
            counts[value] = counts.get(value, 0) + len(group)
            if len(voxels) > _MAX_PLACES:
                smallest = np.argpartition(known, _MAX_PLACES)[:_MAX_PLACES]
                known, voxels = known[smallest], voxels[smallest]
            drawn[value], places[value] = known, voxels
    index = {value: np.unravel_index(np.sort(voxels), labels.shape) for value, voxels in sorted(places.items())}
    return {value: np.stack(axes, 1).astype(np.int32) for value, axes in index.items()}, counts
