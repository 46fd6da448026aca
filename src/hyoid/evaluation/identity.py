"""A short text that is the same for the same reference mask, so that it is noticed when two are not."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from ..core.grid import Grid
from ..metrics.pair import Pair
from ..ops.morphology import bounding_box

_CODES = "LPIRAS"


def mark_of_reference(pair: Pair, grid: Grid) -> str:
    """A hash of where the voxels of a reference lie, whatever the order of the axes in its file; "" when it has none.

    Args:
        pair: The structure in prediction and reference.
        grid: Where the whole image lies.
    """
    box = bounding_box(pair.reference)
    if box is None:
        return ""
    mask = pair.reference[box]
    starts = [first + part.start for first, part in zip(pair.start, box, strict=True)]
    if grid.dims == 3 and grid.calibrated:
        codes = [_CODES.index(code) for code in grid.orientation]
        flips = [axis for axis, code in enumerate(codes) if code < 3]
        for axis in flips:
            starts[axis] = pair.image_shape[axis] - starts[axis] - mask.shape[axis]
        order = np.argsort([code % 3 for code in codes])
        mask, starts = np.flip(mask, tuple(flips)).transpose(order), [starts[axis] for axis in order]
    found = blake2b(np.packbits(mask).tobytes(), digest_size=8)
    found.update(repr((starts, mask.shape)).encode())
    return found.hexdigest()
