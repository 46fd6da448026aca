"""Memory order: volumes run the other way in files than in arrays, and turning them round can be slow."""

from __future__ import annotations

import numpy as np


def in_c_order(array: np.ndarray) -> np.ndarray:
    """The same numbers in C order, writable and in memory; the array itself when it already is so.

    Volumes that run the other way are copied in blocks that fit the cache on both sides, which is about three
    times as fast as a plain copy.
    """
    if array.flags.c_contiguous and array.flags.writeable and type(array) is np.ndarray:
        return array
    result = np.empty(array.shape, array.dtype)
    first = array.ndim - 3  # of the three spatial axes
    if first < 0 or abs(array.strides[-1]) <= abs(array.strides[first]):
        result[...] = array
        return result
    for start in range(0, array.shape[first], 128):
        for plane in range(0, array.shape[-1], 16):
            block = (*[slice(None)] * first, slice(start, start + 128), slice(None), slice(plane, plane + 16))
            result[block] = array[block]
    return result
