"""Image, Case and Batch."""

import numpy as np
import pytest
import torch

from hyoid.core.case import Batch, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid


def test_an_image_has_the_shape_of_its_grid():
    image = Image(np.zeros((2, 3, 4)), Grid.plain((3, 4)))
    assert image.channels == 2
    with pytest.raises(DataError, match="3, 4"):
        image.with_array(np.zeros((2, 4, 3)))


def test_other_numbers_keep_the_grid():
    image = Image(np.zeros((2, 3, 4)), Grid.plain((3, 4)))
    labels = image.with_array(np.ones((1, 3, 4), np.uint8), "labels")
    assert labels.grid is image.grid and labels.kind == "labels" and image.kind == "intensities"


def test_a_batch_without_labels_moves():
    batch = Batch(torch.zeros(1, 1, 4, 4), None, case_ids=("a",)).to("cpu")
    assert batch.target is None and batch.weight is None and batch.case_ids == ("a",)
