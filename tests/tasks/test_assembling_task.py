"""A task of an extension whose answer needs the whole image, from planning to the report."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

import hyoid
from hyoid.core.case import Image
from hyoid.core.extensions import load_extensions
from hyoid.core.labels import Labels
from hyoid.datasets.phantoms import cells
from hyoid.files.formats import read_image, write_image
from hyoid.run_folder import RunFolder
from hyoid.tasks import tasks
from hyoid.training.checkpoint import read_checkpoint

EXTENSION = Path(__file__).with_name("pointing_task.py")
STEPS = 100
CELL = Labels(names=("cell",), values=((1,),), objects=True)
CHANGES = [
    f"extensions=[{EXTENSION}]",
    "task=pointing",
    "planning.patch=[48, 48]",
    "planning.batch=4",
    "planning.channels=[8, 16, 32]",
    "training.optimiser.learning_rate=0.01",
    "training.checkpoint_seconds=0.2",
    "threads=1",
    "device=cpu",
]


def numbered_cells(seed: int, size: int = 96) -> tuple[Image, Image]:
    """A picture of touching cells, and the number of each cell."""
    image, labels = cells(np.random.default_rng([9, seed]), size)
    insides, _ = ndimage.label(labels.array[0] == 1)
    nearest = ndimage.distance_transform_edt(insides == 0, return_distances=False, return_indices=True)
    numbers = np.where(labels.array[0] > 0, insides[tuple(nearest)], 0)
    return image, Image(numbers[None].astype(np.uint16), labels.grid, "labels")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cells")
    for index in range(6):
        image, numbers = numbered_cells(index)
        write_image(root / "images" / f"cells_{index}.png", image)
        write_image(root / "labels" / f"cells_{index}.png", numbers)
    (root / "labels.yaml").write_text("instances: true\n")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    hyoid.run(data, into=folder, steps=STEPS, changes=CHANGES)
    return folder


@pytest.fixture
def task():
    load_extensions([str(EXTENSION)])
    return tasks.build("pointing", labels=CELL)


def maps_of(task, numbers: np.ndarray) -> torch.Tensor:
    return task.encode(torch.from_numpy(numbers.astype(np.int64))[None])


def test_perfect_maps_give_the_cells_back(task):
    _, numbers = numbered_cells(0)
    answer = task.assemble(maps_of(task, numbers.array[0])[0].numpy(), numbers.grid)
    assert answer.dtype == task.dtype == np.int32
    assert task.decides.of(task.score(answer, numbers.array[0], numbers.grid)) > 0.9


def test_arrows_turn_with_the_image_they_lie_in(task):
    numbers = numbered_cells(1)[1].array[0]
    for axes in [(0,), (1,), (0, 1)]:
        of_mirrored = maps_of(task, np.flip(numbers, axes).copy())
        torch.testing.assert_close(task.mirrored(maps_of(task, numbers), axes), of_mirrored)
        assert not torch.equal(maps_of(task, numbers).flip([axis + 2 for axis in axes]), of_mirrored)


@pytest.mark.slow
def test_the_run_knows_its_task_its_loss_and_its_metrics(run):
    folder = RunFolder.open(run)
    assert type(folder.task).__name__ == "Pointing" and folder.task is folder.task
    assert folder.experiment.task_labels == CELL.changed({"names": ["object"]})
    assert folder.plan.net.out_channels == 3
    assert folder.experiment.evaluation.metrics == ("object_f1", "aji", "dice")
    assert "caicedo2019nucleus" in hyoid.cite(run)


@pytest.mark.slow
def test_answers_are_numbers_of_cells_on_the_grid_of_the_image(run, data):
    for file in sorted((run / "predictions").glob("*.png")):
        answer = read_image(file, "labels")
        numbers = np.unique(answer.array[answer.array > 0])
        assert len(numbers) > 1 and numbers[-1] == len(numbers)
        assert answer.grid.shape == read_image(data / "images" / file.name).grid.shape


@pytest.mark.slow
def test_the_report_counts_cells_one_by_one(run, task, data):
    with (run / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        answer = read_image(run / "predictions" / f"{row['case']}.png", "labels")
        truth = read_image(data / "labels" / f"{row['case']}.png", "labels")
        by_hand = task.score(answer.array[0], truth.array[0], truth.grid)["f1:cell"]
        assert float(row["object_f1"]) == pytest.approx(by_hand, abs=1e-6)
    assert max(float(row["object_f1"]) for row in rows) > 0.3


@pytest.mark.slow
def test_training_is_judged_by_the_score_of_the_task(run):
    training = RunFolder.open(run).read_json("training.json")
    assert set(training["scores"]) == {"f1:object"}
    with (run / "weights" / "curves.csv").open() as file:
        columns = next(csv.reader(file))
    assert "f1:object" in columns and not any("dice" in column for column in columns)


@pytest.mark.slow
def test_a_mirrored_image_gets_the_mirrored_answer_maps(run):
    """Averaged over flips, the maps of a flipped image are the mirrored maps, arrows included."""
    from hyoid.workflow.answers import predictor_of

    predictor = predictor_of(RunFolder.open(run), ["prediction.mirror=true"])
    image = np.asarray(numbered_cells(7, 64)[0].array, np.float32)
    straight = torch.from_numpy(predictor.predict_prepared(image))[None]
    flipped = torch.from_numpy(predictor.predict_prepared(image[:, ::-1].copy()))[None]
    torch.testing.assert_close(predictor.task.mirrored(straight, (0,)), flipped, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_killed_training_of_the_task_goes_on_bit_for_bit(run, data, tmp_path):
    folder = tmp_path / "killed"
    arguments = [f"--set={change}" for change in CHANGES]
    command = [
        sys.executable,
        "-m",
        "hyoid",
        "run",
        str(data),
        "--into",
        str(folder),
        "--steps",
        str(STEPS),
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = folder / "weights" / "last.safetensors"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < read_checkpoint(checkpoint)[1]["step"] < STEPS
    hyoid.run(data, into=folder, steps=STEPS, changes=CHANGES)
    ours, theirs = (read_checkpoint(path / "weights" / "last.safetensors")[0] for path in (folder, run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
