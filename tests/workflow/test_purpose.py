"""What is asked of a net: the task by its name, the truth that it needs, its loss and its metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hyoid
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.extensions import load_extensions
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.core.registry import Entry
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.phantoms import write_phantoms
from hyoid.experiment import Experiment
from hyoid.files.formats import write_image
from hyoid.run_folder import RunFolder
from hyoid.tasks import Task, task_for, tasks
from hyoid.training.settings import TrainingSettings
from hyoid.workflow.purpose import check_loss, metrics_of, task_of

POINTING = Path(__file__).parents[1] / "tasks" / "pointing_task.py"
TWO = task_for(Labels.of({1: "a", 2: "b"}))


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=3, size=32)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """Four squares in each of three pictures, each square with its own number."""
    root, grid = tmp_path_factory.mktemp("numbered"), Grid.plain((40, 40))
    for case in range(3):
        numbers = np.zeros((1, 40, 40), np.uint8)
        for square in range(4):
            row, column = 20 * (square // 2) + 2, 20 * (square % 2) + 3 + case
            numbers[:, row : row + 12, column : column + 10] = square + 1 + case
        write_image(root / "images" / f"{case}.png", Image((numbers > 0) * np.uint8(200), grid))
        write_image(root / "labels" / f"{case}.png", Image(numbers, grid, "labels"))
    (root / "labels.yaml").write_text("instances: true\n")
    return root


@pytest.fixture
def pointing():
    load_extensions([str(POINTING)])


def test_an_unknown_task_is_named_with_the_closest_before_data_are_read(cells, tmp_path):
    with pytest.raises(ConfigError, match=r"No task is called 'region'. Did you mean 'regions'\?"):
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=["task=region"])


def test_a_run_keeps_the_task_that_was_asked_for(cells, tmp_path):
    changes = ["task=regions", "planning.patch=[32, 32]", "planning.batch=2", "planning.channels=[8, 16]"]
    plan = hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=changes)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.experiment.task == "regions" and type(folder.task).__name__ == "Regions"
    assert folder.task is folder.task
    assert plan.net.out_channels == folder.task.channels == 2


def test_a_task_for_objects_is_refused_by_data_that_do_not_number_them(cells, pointing):
    with pytest.raises(DataError, match=r"task 'pointing' learns from .*instances.*, and this data set has .*labels"):
        task_of(Experiment(data=str(cells), task="pointing"), open_dataset(cells))


def test_a_task_for_objects_gets_labels_that_number_them(numbered, pointing):
    dataset = open_dataset(numbered)
    task = task_of(Experiment(data=str(numbered), task="pointing"), dataset)
    assert task.labels == Labels(names=dataset.labels.names, values=((1,),), objects=True)
    assert not task_of(Experiment(data=str(numbered)), dataset).labels.objects


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"loss": "dise"}, r"No loss is called 'dise'. Did you mean 'dice'\?"),
        ({"loss": "l1"}, r"training\.loss: 'l1' compares maps of numbers, but the task learns classes or masks"),
        ({"loss_options": {"smoth": 1}}, r"training\.loss_options: loss 'dice_ce' has no option 'smoth'"),
    ],
)
def test_a_loss_that_does_not_fit_the_task_is_refused(training, message):
    with pytest.raises(ConfigError, match=message):
        check_loss(TrainingSettings(**training), TWO)


def test_a_task_of_maps_may_take_any_loss_of_images(pointing):
    task = task_for(Labels(names=("cell",), values=((1,),), objects=True), "pointing")
    check_loss(TrainingSettings(), task)
    check_loss(TrainingSettings(loss="ssim", loss_options={"data_range": 2.0}), task)


def test_the_metrics_of_a_task_are_measured_unless_settings_name_some(pointing):
    asked, task = Experiment(data=""), task_for(Labels(names=("cell",), values=((1,),), objects=True), "pointing")
    assert metrics_of(asked, task, ["seed=3"])["evaluation"].metrics == ("object_f1", "aji", "dice")
    assert metrics_of(asked, task, ["evaluation.metrics=[dice]"]) == {}
    assert metrics_of(asked, TWO, []) == {}


def test_an_option_of_a_metric_that_the_task_does_not_measure_is_refused(pointing):
    asked = Experiment(data="", evaluation={"options": {"nsd": {"tolerance_mm": 2.0}}})
    with pytest.raises(ConfigError, match=r"evaluation\.options: nsd is not measured"):
        metrics_of(asked, task_for(Labels(names=("cell",), values=((1,),), objects=True), "pointing"), [])


@pytest.mark.parametrize("given", [3, None, Task])
def test_a_builder_that_gives_no_task_is_refused_while_planning(cells, tmp_path, monkeypatch, given):
    monkeypatch.setitem(tasks._entries, "number", Entry("number", lambda labels: given, ()))
    with pytest.raises(
        ConfigError, match=r"task 'number': what was registered must give an object .*; it gave "
    ) as caught:
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=["task=number"])
    assert str(caught.value).endswith(f"it gave {given!r}.")
