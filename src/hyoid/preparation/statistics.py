"""Mean and standard deviation of an array that may be too large to copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CHUNK = 1 << 18


def mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation in float64, combined chunk by chunk (chan1983variance)."""
    count, mean, squares = 0, 0.0, 0.0
    for chunk in _chunks(values):
        shift = float(chunk.mean()) - mean
        squares += float(np.square(chunk - chunk.mean()).sum())
        squares += shift * shift * count * chunk.size / (count + chunk.size)
        count += chunk.size
        mean += shift * chunk.size / count
    return mean, float(np.sqrt(squares / max(count, 1)))


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers as float64, a few at a time, in the order of memory."""
    for part in np.nditer(
        np.asarray(values),
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=np.float64,
        casting="same_kind",
        buffersize=_CHUNK,
    ):
        chunk = np.asarray(part)
        if chunk.size:
            yield chunk
