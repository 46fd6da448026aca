"""Classes and regions by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.tasks import task_for
from hyoid.tasks.task import file_dtype

TUMOUR = Labels(names=("whole", "core"), values=((1, 2), (2,)), paint=(1, 2))


def test_overlapping_labels_ask_for_regions_and_others_for_classes():
    assert type(task_for(TUMOUR)).__name__ == "Regions"
    assert type(task_for(Labels.of({1: "a", 2: "b"}))).__name__ == "Classes"
    assert type(task_for(Labels.of({1: "a"}), "regions")).__name__ == "Regions"
    with pytest.raises(ConfigError, match=r"No task is called 'region'. Did you mean 'regions'\?"):
        task_for(TUMOUR, "region")


def test_classes_are_indices_in_the_order_of_the_structures():
    task = task_for(Labels.of({7: "a", 3: "b"}, ignore=9))
    target = task.encode(torch.tensor([[0, 7, 3, 9]], dtype=torch.uint8))
    assert target.tolist() == [[0, 1, 2, -1]] and target.dtype == torch.int64
    assert task.channels == 3


def test_regions_are_masks():
    target = task_for(TUMOUR).encode(torch.tensor([[0, 1, 2]]))
    assert target.tolist() == [[[0, 1, 1], [0, 0, 1]]] and target.dtype == torch.float32


def test_a_later_region_covers_an_earlier_one():
    probabilities = np.array([[0.9, 0.9, 0.2, 0.2], [0.1, 0.9, 0.9, 0.5]])
    assert task_for(TUMOUR).decode(probabilities).tolist() == [1, 2, 2, 0]


def test_several_values_may_make_one_class():
    task = task_for(Labels(names=("kidneys", "liver"), values=((1, 2), (5,))), "classes")
    assert task.encode(torch.tensor([[0, 1, 2, 5]])).tolist() == [[0, 1, 1, 2]]
    assert task.decode(np.eye(3)[:, [0, 1, 2]]).tolist() == [0, 1, 5]


def test_classes_cannot_share_a_value():
    with pytest.raises(DataError, match="Value 2 of 'core' belongs to two structures; use the task `regions`"):
        task_for(TUMOUR, "classes")


def test_answers_take_the_smallest_integers_that_hold_them():
    assert task_for(Labels.of({1: "a"})).decode(np.zeros((2, 3))).dtype == np.uint8
    assert task_for(Labels.of({300: "a"})).decode(np.zeros((2, 3))).dtype == np.int16
    assert task_for(Labels.of({-2: "a"})).decode(np.zeros((2, 3))).dtype == np.int16
    assert task_for(TUMOUR).decode(torch.zeros(2, 3)).dtype == torch.uint8


NUCLEI = Labels(names=("nucleus",), values=((1,),), ignore=-1, objects=True)


@pytest.mark.parametrize("name", ["classes", "regions"])
def test_numbered_objects_are_one_structure(name):
    target = task_for(NUCLEI, name).encode(torch.tensor([[[0, 1, 7, 300, -1]]])).flatten()
    assert target.tolist() == [0, 1, 1, 1, -1]
    with pytest.raises(DataError, match="The labels contain -5, but known are background 0, nucleus 1, ignored -1"):
        task_for(NUCLEI, name).encode(torch.tensor([[[-5]]]))


def test_answers_that_number_objects_take_int32():
    task = task_for(NUCLEI)
    assert task.dtype == np.int32 and task.decode(np.zeros((2, 3))).dtype == np.int32


def test_numbered_objects_are_scored_as_a_structure():
    truth, answer = np.array([[0, 3, 3, 90]], np.int32), np.array([[0, 8, 5, 0]], np.int32)
    assert task_for(NUCLEI).score(answer, truth, Grid.plain((1, 4))) == {"dice:nucleus": 0.8}


@pytest.mark.parametrize("name", [None, "classes", "regions"])
def test_labels_without_structures_are_refused_by_tasks_that_need_some(name):
    with pytest.raises(DataError, match="There is no structure to segment; declare at least one name"):
        task_for(Labels(names=(), values=()), name)


def test_a_task_without_structures_answers_in_the_smallest_integers():
    assert file_dtype(Labels(names=(), values=())) == np.uint8


def test_many_strangers_are_told_briefly():
    with pytest.raises(DataError, match="contain 10, 11, 12, 13, 14 and more, but known are background 0, a 1"):
        task_for(Labels.of({1: "a"})).encode(torch.arange(10, 30)[None])
