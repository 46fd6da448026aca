"""All structures of a label map at once, from one joint histogram of predicted and reference values."""

from __future__ import annotations

import numpy as np

from ..core.labels import Labels
from .scan import count_meetings

_SLAB_VOXELS = 1 << 20


def confusion(prediction: np.ndarray, reference: np.ndarray, labels: Labels) -> np.ndarray:
    """How many voxels of each reference value (row) got each predicted value (column).

    Bytes are counted in one pass without memory; other types in slabs, so that memory does not grow with the image.
    Ignored voxels count nowhere; a value that no structure has counts as background.

    Args:
        prediction: Integer array of file values, any shape.
        reference: Integer array of the same shape.
        labels: Structures and their values.

    Returns:
        Square integer array; index 0 is background, then `values_of(labels)` in order.
    """
    values = values_of(labels)
    size = len(values) + 1
    prediction, reference = labels.classed(prediction), labels.classed(reference)
    if prediction.dtype == reference.dtype == np.uint8:
        return _folded(count_meetings(reference, prediction, 256, 256), values, labels.ignore)
    counts = np.zeros(size * size, np.int64)
    flat_prediction, flat_reference = prediction.reshape(-1), reference.reshape(-1)
    for start in range(0, flat_reference.size, _SLAB_VOXELS):
        truth = flat_reference[start : start + _SLAB_VOXELS]
        guess = flat_prediction[start : start + _SLAB_VOXELS]
        if labels.ignore is not None:
            judged = truth != labels.ignore
            truth, guess = truth[judged], guess[judged]
        codes = _index_of(truth, values) * np.uint32(size) + _index_of(guess, values)
        counts += np.bincount(codes, minlength=size * size)
    return counts.reshape(size, size)


def dice_of_labels(prediction: np.ndarray, reference: np.ndarray, labels: Labels) -> dict[str, float]:
    """Dice of every structure of two label maps in one pass, equal to the metric `dice`.

    NaN where both masks are empty. Meant for validation during training, where only Dice is needed and there may be
    many structures.
    """
    counts = confusion(prediction, reference, labels)
    index = {value: position for position, value in enumerate(values_of(labels), start=1)}
    result = {}
    for name, group in zip(labels.names, labels.values, strict=True):
        rows = [index[value] for value in group]
        overlap, both = counts[np.ix_(rows, rows)].sum(), counts[:, rows].sum() + counts[rows].sum()
        result[name] = float(2 * overlap / both) if both else float("nan")
    return result


def values_of(labels: Labels) -> tuple[int, ...]:
    """Every value that belongs to a structure, in ascending order."""
    return tuple(sorted({value for group in labels.values for value in group}))


def _folded(meetings: np.ndarray, values: tuple[int, ...], ignore: int | None) -> np.ndarray:
    """Counts of the values of structures from counts of all bytes."""
    place = _index_of(np.arange(256, dtype=np.uint8), values)
    if ignore is not None and 0 <= ignore < 256:
        meetings[ignore] = 0
    rows = np.zeros((len(values) + 1, 256), np.int64)
    np.add.at(rows, place, meetings)
    columns = np.zeros((len(values) + 1, len(values) + 1), np.int64)
    np.add.at(columns, place, rows.T)
    return columns.T


def _index_of(array: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """1 + position of each element among the values, 0 for any other element; by a table where the type is small."""
    if array.dtype in (np.uint8, np.uint16):
        table = np.zeros(1 << 8 * array.dtype.itemsize, np.uint32)
        for position, value in enumerate(values, start=1):
            if 0 <= value < table.size:
                table[value] = position
        return table[array]
    known = np.asarray(values)
    place = np.searchsorted(known, array)
    place[place == known.size] = 0
    return np.where(known[place] == array, place + 1, 0).astype(np.uint32)
