"""Curves: a row now and then, cut back to the checkpoint when training goes on."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hyoid.core.errors import DataError
from hyoid.core.labels import Labels
from hyoid.tasks import Task, task_for
from hyoid.tasks.task import Deciding
from hyoid.training.monitor import Monitor, read_curves

LIVER, BOTH = task_for(Labels.of({1: "liver"})), task_for(Labels.of({1: "liver", 2: "spleen"}))


def test_a_row_has_the_mean_loss_and_the_dice(tmp_path):
    monitor = Monitor(tmp_path, BOTH)
    monitor.take({"loss": 1.0})
    monitor.take({"loss": 2.0}, np.array([[1, 0], [2, 0], [2, 0]]))
    monitor.write(2, 0.5, 1.234, 1e-3)
    monitor.take({"loss": 4.0}, np.array([[0, 5], [4, 6], [0, 6]]))
    monitor.take({"loss": 4.0}, np.array([[1, 0], [1, 3], [1, 1]]))
    monitor.write(3, 1.0, 2.0, 0.0, {"dice:liver": 0.75, "dice:spleen": 0.5})
    assert read_curves(tmp_path) == {
        "step": [2, 3],
        "progress": [0.5, 1.0],
        "seconds": [1.23, 2.0],
        "learning_rate": [1e-3, 0],
        "loss": [1.5, 4.0],
        "dice:liver": [None, 0.75],
        "dice:spleen": [None, 0.5],
        "patch_dice:liver": [0.5, 0.333333],
        "patch_dice:spleen": [None, 0.625],
    }


def test_a_value_that_comes_late_adds_a_column(tmp_path):
    monitor = Monitor(tmp_path, LIVER)
    monitor.take({"loss": 1.0})
    monitor.write(1, 0.1, 1, 1)
    before = (tmp_path / "curves.csv").read_text().splitlines()
    monitor.take({"loss": 3.0, "critic, late": 5.0})
    monitor.write(2, 0.2, 2, 1, {"dice:liver": 0.5, "hd95:liver": 2.0})
    after = (tmp_path / "curves.csv").read_text().splitlines()
    assert after[0] == before[0] + ',"critic, late",hd95:liver' and after[1] == before[1] + ",,"
    assert read_curves(tmp_path)["critic, late"] == [None, 5.0]
    assert read_curves(tmp_path)["hd95:liver"] == [None, 2.0]


class Restoration(Task):
    """Scored by one number, with nothing to count."""

    structures = ("picture",)
    decides = Deciding("psnr")
    counts = False


def test_a_task_without_structures_to_count_has_columns_for_its_score_alone(tmp_path):
    task = Restoration()
    monitor = Monitor(tmp_path, task)
    monitor.take({"loss": 1.0})
    monitor.write(1, 0.1, 1, 1, {"psnr:picture": 31.0})
    assert list(read_curves(tmp_path)) == ["step", "progress", "seconds", "learning_rate", "loss", "psnr:picture"]


def test_a_row_without_steps_has_no_loss(tmp_path):
    monitor = Monitor(tmp_path, LIVER)
    monitor.take({"loss": 1.0})
    monitor.write(1, 0.5, 1, 1e-3)
    monitor.write(1, 0.5, 1, 1e-3, {"dice:liver": 0.5})
    assert read_curves(tmp_path)["loss"] == [1.0, None]


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    monitor = Monitor(tmp_path, LIVER)
    monitor.take({"loss": 1.0})
    monitor.write(1, 0.1, 1, 1)
    monitor.take({"loss": 3.0}, np.ones((3, 1), int))
    state = monitor.state()
    monitor.take({"loss": 9.0})
    monitor.write(3, 0.3, 3, 1)
    again = Monitor(tmp_path, LIVER, state)
    again.take({"loss": 5.0})
    again.write(3, 0.3, 3, 1)
    assert read_curves(tmp_path)["loss"] == [1.0, 4.0]
    assert read_curves(tmp_path)["patch_dice:liver"] == [None, 1.0]


def test_a_new_training_starts_new_curves(tmp_path):
    for _ in range(2):
        monitor = Monitor(tmp_path, LIVER)
        monitor.take({"loss": 1.0})
        monitor.write(1, 0.1, 1, 1)
        monitor.close()
    assert read_curves(tmp_path)["step"] == [1]


def test_missing_curves_are_said(tmp_path):
    with pytest.raises(DataError, match="there are no curves here"):
        read_curves(tmp_path)


def test_tensorboard_shows_the_same_rows_also_after_going_on(tmp_path):
    monitor = Monitor(tmp_path, LIVER)
    monitor.write(1, 0.1, 1, 1, {"dice:liver": 0.5})
    state = monitor.state()
    monitor.write(2, 0.2, 2, 1)
    monitor.close()
    again = Monitor(tmp_path, LIVER, state)
    again.write(3, 0.3, 3, 1)
    again.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("dice/liver")] == [0.5]
    assert [event.step for event in events.Scalars("seconds")] == [1, 3] == read_curves(tmp_path)["step"]


def test_tensorboard_may_be_left_out(tmp_path):
    monitor = Monitor(tmp_path, LIVER, tensorboard=False)
    monitor.write(1, 0.1, 1, 1)
    monitor.close()
    assert not (tmp_path / "tensorboard").exists()


def test_a_loss_of_some_steps_is_averaged_over_these(tmp_path):
    monitor = Monitor(tmp_path, task_for(Labels.of({1: "ball"})), tensorboard=False)
    monitor.take({"loss": 1.0, "critic": 4.0})
    monitor.take({"loss": 3.0})
    monitor.write(2, 0.1, 1.0, 0.01)
    monitor.take({"loss": 5.0})
    monitor.write(3, 0.2, 1.5, 0.01)
    curves = read_curves(tmp_path)
    assert curves["loss"] == [2, 5] and curves["critic"] == [4, None]
