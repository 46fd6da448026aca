"""What a task of one's own answers is looked at before it is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.tasks.choose import task_for
from hyoid.tasks.semantic import Classes
from hyoid.tasks.task import answered

TWO = Labels.of({1: "a", 4: "b"})


class Restores(Classes):
    truth = "image"


@pytest.mark.parametrize("value", [300, -1, 0.4, np.nan, 7, 2])
def test_a_value_that_no_structure_has_is_refused(value):
    with pytest.raises(ConfigError, match=r"Task Classes: an answer holds .*, but expected are the values 0, 1, 4"):
        answered(task_for(TWO), np.array([[0, 1, value]]))


def test_numbers_of_objects_and_images_are_looked_at_too():
    objects = task_for(Labels(names=("cell",), values=((1,),), objects=True))
    assert answered(objects, np.array([0, 70000])).dtype == np.int32
    for wrong in (-1, 0.5, 2**40):
        with pytest.raises(ConfigError, match="numbers of objects"):
            answered(objects, np.array([0, wrong]))
    with pytest.raises(ConfigError, match="an answer holds nan, but expected are finite numbers"):
        answered(Restores(TWO), np.array([np.nan]))
    assert answered(Restores(TWO), torch.tensor([0.5])).dtype == np.float32


def test_shared_values_of_regions_are_answers():
    regions = Labels(names=("whole", "core"), values=((1, 2), (2,)))
    assert answered(task_for(regions), np.array([0, 1, 2])).dtype == np.uint8
