"""What a run is told to cost, and to have cost."""

import pytest
import torch

from hyoid.core.labels import Labels
from hyoid.prediction.predictor import Predictor
from hyoid.tasks import task_for
from hyoid.workflow.forecast import needed, prediction_seconds
from phantoms import make_plan


def test_predicting_is_told_by_the_voxels_that_go_through_the_net():
    plan = make_plan((16, 16, 16))
    with torch.device("meta"):
        predictor = Predictor.of(plan.net.build(), task_for(Labels.of({1: "a", 2: "b"})), plan, device="meta")
    plan.expected.__dict__["seconds_per_step"] = 30.0
    tiling = predictor.tiling((32, 32, 32))
    answers = tiling.num_tiles * tiling.seen / 16**3
    expected = answers * 30 / (3 * plan.batch)  # a step goes forward once and backward at about twice the cost
    assert prediction_seconds(predictor, (32, 32, 32), (1.0, 1.0, 1.0)) == pytest.approx(expected)
    assert prediction_seconds(predictor, (1, 1, 1), (1.0, 1.0, 1.0)) < expected / 10
    predictor.plan.preparation.__dict__["extent"] = 32.0
    assert prediction_seconds(predictor, (99, 99, 99), (1.0, 1.0, 1.0)) == pytest.approx(expected)


def test_memory_is_told_for_what_it_was_measured_of():
    training = {"memory_gb": 1.23, "memory_of": "training", "waiting": 0.021}
    assert needed(training, 2.0) == (
        "memory of training 1.2 GB (expected 2.0 GB); the net waited for data 2.1 % of the time"
    )
    assert needed({**training, "memory_of": "the process"}).startswith("memory of the process 1.2 GB; ")
