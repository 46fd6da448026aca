"""The mean mask: where structures usually are, whatever an image shows. A net is worth using above it."""

from __future__ import annotations

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..ops.resample import onto
from .prior import Examples

CELLS = {2: 128, 3: 64}
"""Cells along each axis of the common grid, which every image fills."""

THRESHOLDS = np.linspace(0.05, 0.95, 19)


class MeanMask:
    """The share of cases that have a structure at each place of the image, cut where it fits these cases best.

    Volumes are turned to the axes of the body first. Where structures exclude each other, a place belongs to the
    structure whose share is largest beside its threshold.
    """

    def fit(self, examples: Examples) -> None:
        """Average the masks of annotated cases; each counts for the structures that were annotated in it.

        Raises:
            DataError: When there is no annotated case.
        """
        labels, seen, annotated = examples.labels, [], []
        for case in examples.cases:
            if case.truth is None:
                raise DataError(f"{case.id}: there are no labels to learn from.")
            truth = case.truth.with_array(labels.classed(case.truth.array))
            seen.append(_cells(truth))
            annotated.append([case.annotated is None or name in case.annotated for name in labels.names])
        if not seen:
            raise DataError("There are no annotated cases to learn from.")
        self.answer = _answer(np.stack(seen), np.array(annotated), labels)

    def segment(self, image: Image) -> Image:
        """The same answer for every image, on its grid.

        Raises:
            ConfigError: When nothing was learned yet.
            DataError: When the image has other axes than the examples.
        """
        if not hasattr(self, "answer"):
            raise ConfigError("A baseline learns from examples first: call `fit` before `segment`.")
        dims = self.answer.ndim
        if image.grid.dims != dims:
            raise DataError(f"the method learned from {dims}D images; this one has {image.grid.dims} axes.")
        grid = _upright(image.grid)
        at = [np.arange(n) * CELLS[dims] // n for n in grid.shape]
        return onto(Image(self.answer[np.ix_(*at)][None], grid, "labels"), image.grid)


def _upright(grid: Grid) -> Grid:
    return grid.oriented("RAS") if grid.dims == 3 else grid


def _cells(truth: Image) -> np.ndarray:
    """The value in the middle of each cell of the common grid."""
    upright = onto(truth, _upright(truth.grid))
    count = CELLS[truth.grid.dims]
    at = [((np.arange(count) + 0.5) * n / count).astype(int) for n in upright.grid.shape]
    return upright.array[0][np.ix_(*at)]


def _answer(seen: np.ndarray, annotated: np.ndarray, labels: Labels) -> np.ndarray:
    """The file value of each cell from those of cases (N, *cells); `annotated` is (N, K)."""
    written = np.array(labels.written)
    answer = np.zeros(seen.shape[1:], np.min_scalar_type(int(written.max())))
    best = np.ones(answer.shape, np.float32)
    for index, (values, value) in enumerate(zip(labels.values, written, strict=True)):
        masks = np.isin(seen[annotated[:, index]], values)
        present = masks.reshape(len(masks), -1).any(1)
        if not present.any():
            continue
        mean = masks.mean(0, dtype=np.float32)
        lead = mean / _best_threshold(mean, masks[present])
        chosen = lead >= (1 if labels.overlapping else best)
        answer[chosen] = value
        best[chosen] = lead[chosen]
    return answer


def _best_threshold(mean: np.ndarray, masks: np.ndarray) -> np.float32:
    """The threshold of the mean under which Dice with the masks (N, *cells) is best on average."""
    flat = masks.reshape(len(masks), -1)
    scores: list[np.floating] = []
    for threshold in THRESHOLDS:
        answer = mean.reshape(-1) >= threshold
        both = np.count_nonzero(flat & answer, axis=1)
        scores.append((2 * both / (np.count_nonzero(flat, axis=1) + np.count_nonzero(answer))).mean())
    return np.float32(THRESHOLDS[int(np.argmax(scores))])
