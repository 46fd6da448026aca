"""What a run does with nets that have more to them than the settings of a U."""

from __future__ import annotations

import numpy as np
import pytest

import hyoid
from hyoid.core.errors import ConfigError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.nets import nets
from hyoid.nets.sheet import sheet
from hyoid.nets.variants import LEFT_OUT
from hyoid.run_folder import RunFolder
from hyoid.workflow.model_story import model

SMALL = ["planning.channels=[4,8,8]", "planning.batch=2", "planning.dims=2", "training.tensorboard=false", "threads=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("named") / "data", "organs", 4, 24)


def test_what_training_leaves_out_of_a_paper_is_said_by_plan_sheet_and_report(data, tmp_path):
    assert (
        {"probabilistic_unet", "w_net", "myronenko", "diffusion_unet", "unet_two_decoders"}
        <= set(LEFT_OUT)
        <= set(nets)
    )
    assert all(text.endswith(".") and text[0].isupper() for text in LEFT_OUT.values())
    assert f"Left out: {LEFT_OUT['w_net']}" in sheet("w_net", (32, 32)).describe()
    plan = hyoid.plan(data, into=tmp_path / "run", steps=1, changes=[*SMALL, "planning.net=w_net"])
    assert f"note: w_net: {LEFT_OUT['w_net']}" in plan.reasons
    assert model(RunFolder.open(tmp_path / "run"))["left out"] == LEFT_OUT["w_net"]


def test_weights_of_heads_are_checked_before_anything_is_trained(data, tmp_path):
    changes = [*SMALL, "planning.net=unet_plus_plus", "training.head_weights=[1,2,3]"]
    with pytest.raises(ConfigError, match="3 were given, but the net learns from 2 logits; give a weight for each"):
        hyoid.plan(data, into=tmp_path / "run", steps=1, changes=changes)


@pytest.mark.slow
def test_a_trained_net_is_pruned_when_it_answers(data, tmp_path):
    run = tmp_path / "run"
    plan = hyoid.plan(data, into=run, steps=2, changes=[*SMALL, "planning.net=unet_plus_plus"])
    assert plan.net.answer == "mean"
    hyoid.train(run)
    image = sorted((data / "images").iterdir())[:1]
    maps = []
    for depth in ("null", "1", "2"):
        (written, *_) = hyoid.predict(
            run, image, into=tmp_path / depth, probabilities=True, changes=[f"prediction.depth={depth}"]
        )
        maps.append(next(file for file in sorted(written.parent.rglob("*")) if "spine" in file.name))
    values = [hyoid.read_image(file).array for file in maps]
    assert not np.array_equal(values[0], values[1]) and not np.array_equal(values[1], values[2])
    with pytest.raises(ConfigError, match="heads at depths 1 to 2; got 3"):
        hyoid.predict(run, image, into=tmp_path / "deep", changes=["prediction.depth=3"])
