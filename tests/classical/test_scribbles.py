"""Labels from a few marked voxels."""

import numpy as np
import pytest

from hyoid.classical import from_scribbles
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels

LABELS = Labels(names=("left", "right"), values=((1,), (2,)), ignore=255)


def picture() -> tuple[Image, Image, np.ndarray]:
    """Two squares of one brightness in noise, a stroke in each and one in the background."""
    truth = np.zeros((40, 60), np.uint8)
    truth[10:30, 5:25], truth[10:30, 35:55] = 1, 2
    noise = 0.2 * np.random.default_rng(0).standard_normal(truth.shape)
    grid = Grid.plain(truth.shape)
    marks = np.full(truth.shape, 255, np.uint8)
    marks[20, 8:22], marks[20, 38:52], marks[4, 5:55], marks[2:38, 30] = 1, 2, 0, 0
    return Image(((truth > 0) + noise)[None].astype(np.float32), grid), Image(marks[None], grid, "labels"), truth


@pytest.mark.parametrize("method", ["graph_cut", "random_walker", "watershed"])
def test_strokes_are_completed_to_the_structures(method):
    image, marks, truth = picture()
    found = from_scribbles(image, marks, LABELS, method).array[0]
    known = marks.array[0] != 255
    assert np.array_equal(found[known], marks.array[0][known])
    assert ((found > 0) == (truth > 0)).mean() > 0.9


@pytest.mark.parametrize("method", ["bayes", "chan_vese", "dense_crf", "geodesic_contour"])
def test_every_mark_is_kept(method):
    image, marks, _ = picture()
    known = marks.array != 255
    assert np.array_equal(from_scribbles(image, marks, LABELS, method).array[known], marks.array[known])


def test_a_random_walk_tells_structures_of_the_same_brightness_apart():
    image, marks, truth = picture()
    assert (from_scribbles(image, marks, LABELS, "random_walker").array[0] == truth).mean() > 0.9


def test_wrong_scribbles_give_one_sentence():
    image, marks, _ = picture()
    with pytest.raises(ConfigError, match="cannot keep scribbles"):
        from_scribbles(image, marks, LABELS, "otsu")
    with pytest.raises(ConfigError, match="ignore"):
        from_scribbles(image, marks, LABELS.model_copy(update={"ignore": None}))
    with pytest.raises(DataError, match="at least two"):
        from_scribbles(image, marks.with_array(np.where(marks.array == 1, 1, 255).astype(np.uint8)), LABELS)
    with pytest.raises(DataError, match="shape"):
        from_scribbles(image, Image(marks.array[:, :5], Grid.plain((5, 60)), "labels"), LABELS)
