"""Otsu's thresholds: the histogram is cut where classes differ most, for two classes or more."""

from __future__ import annotations

import numpy as np

BINS = 256


def otsu_thresholds(values: np.ndarray, classes: int = 2) -> np.ndarray:
    """The classes - 1 thresholds that maximise the variance between classes; a value at a threshold is below it.

    Over a histogram of 256 bins, the sum over classes of (sum of p x)^2 / (sum of p) is largest; found exactly by
    dynamic programming for any number of classes.

    Args:
        values: Intensities of any shape.
        classes: Number of classes.

    Returns:
        Ascending thresholds; none when all values are the same, and fewer when there are fewer different values.

    Reference:
        otsu1979threshold, liao2001multilevel.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.zeros(0)
    counts, edges = np.histogram(values, BINS, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    filled = np.flatnonzero(counts)
    counts, middles = counts[filled].astype(float), middles[filled]
    classes = min(classes, len(filled))
    mass = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * (middles - middles.mean()))])
    # gain[i, j]: what a class of the bins i to j - 1 adds.
    width = np.maximum(mass[None] - mass[:, None], 1e-9)
    gain = np.where(mass[None] > mass[:, None], (moment[None] - moment[:, None]) ** 2 / width, -np.inf)
    best, cuts = gain[0], []
    for _ in range(classes - 1):
        together = best[:, None] + gain
        cuts.append(together.argmax(0))
        best = together.max(0)
    end, found = len(filled), []
    for cut in reversed(cuts):
        end = int(cut[end])
        found.append(edges[filled[end - 1] + 1])
    return np.array(found[::-1])
