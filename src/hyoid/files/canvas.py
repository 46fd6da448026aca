"""Labels that are larger than memory, on disk until they are written into their format."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..core.boxes import Index
from ..core.errors import HyoidError

MAPPED_BYTES = 2**26
"""Bytes of the file that are in the memory of the process at once."""


class Canvas:
    """An array (*S) of zeros on disk that is filled and read box by box.

    Its file has no name, so that nothing of it remains however the process ends.

    Raises:
        HyoidError: When there is no room in the folder.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        num_bytes = math.prod(shape) * self.dtype.itemsize
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by __exit__)
        try:
            # Room is taken now: a disk that is found full while the file is mapped ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, num_bytes)
            else:
                self._file.truncate(num_bytes)
        except OSError as error:
            self._file.close()
            raise HyoidError(
                f"{folder}: there is no room for the {num_bytes / 1e9:.3g} GB of an answer ({error.strerror})."
            ) from error

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __setitem__(self, place: Index, box: np.ndarray) -> None:
        """Keep the numbers of a box."""
        for part, rows in self._rows(place, "r+"):
            part[:, *place[1:]] = box[rows]

    def __getitem__(self, place: Index) -> np.ndarray:
        """The numbers of a box, in memory."""
        shape = [len(range(*part.indices(size))) for part, size in zip(place, self.shape, strict=True)]
        result = np.empty(shape, self.dtype)
        for part, rows in self._rows(place, "r"):
            result[rows] = part[:, *place[1:]]
        return result

    @property
    def mapped(self) -> np.ndarray:
        """The whole array, mapped: the system holds what fits of it in memory."""
        return np.memmap(self._file, self.dtype, "r+", 0, self.shape)

    def _rows(self, place: Index, mode: str) -> Iterator[tuple[np.ndarray, slice]]:
        """A few rows of the file at a time, and where these lie in the box."""
        first, last, _ = place[0].indices(self.shape[0])
        line = math.prod(self.shape[1:]) * self.dtype.itemsize
        step = max(1, MAPPED_BYTES // line)
        for begin in range(first, last, step):
            end = min(begin + step, last)
            shape = (end - begin, *self.shape[1:])
            yield (
                np.memmap(self._file, self.dtype, mode, begin * line, shape),  # type: ignore[call-overload]
                slice(begin - first, end - first),
            )
