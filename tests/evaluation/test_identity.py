"""A mark of a reference is that of its voxels, whatever the prediction and the order of the axes."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.grid import Grid
from hyoid.evaluation.identity import mark_of_reference
from hyoid.metrics.pair import Pair

GRID = Grid.plain((5, 6, 7), (1.0, 2.0, 3.0))
MASK = np.zeros(GRID.shape, bool)
MASK[1:3, 2:5, 3] = True


def mark(mask: np.ndarray, grid: Grid = GRID, prediction: np.ndarray | None = None) -> str:
    return mark_of_reference(Pair.of(mask if prediction is None else prediction, mask, grid.spacing_mm), grid)


def test_a_prediction_does_not_matter():
    assert mark(MASK, prediction=np.ones_like(MASK)) == mark(MASK, prediction=np.zeros_like(MASK)) == mark(MASK)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_same_shape_elsewhere_is_another_mask(axis):
    assert mark(np.roll(MASK, 1, axis)) != mark(MASK)


@pytest.mark.parametrize("codes", ["LPS", "SRA", "AIL"])
def test_axes_may_run_as_they_like(codes):
    axes = [{"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[code] for code in codes]
    turned = np.flip(MASK.transpose(axes), [k for k, code in enumerate(codes) if code in "LPI"])
    assert mark(turned, GRID.oriented(codes)) == mark(MASK)


def test_nothing_has_no_mark():
    assert mark(np.zeros_like(MASK)) == ""
