"""Journeys of transfer: from one run into another with other structures and channels, and from public weights."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

import hyoid
from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import write_image
from hyoid.nets import build_spec
from hyoid.training.checkpoint import read_checkpoint

SMALL = ("planning.channels=[4, 8, 16]", "planning.batch=2", "evaluation.resamples=100", "training.validation=0.05")


def coloured(folder, num_cases: int = 5):
    """Images of three channels and one structure."""
    rng = np.random.default_rng(0)
    for index in range(num_cases):
        labels = np.zeros((1, 48, 48), np.uint8)
        labels[0, 12 : 30 + index, 10:28] = 1
        image = (rng.random((3, 48, 48)) * 100 + 100 * labels).astype(np.uint8)
        grid = Grid.plain((48, 48))
        write_image(folder / "images" / f"c{index}.png", Image(image, grid))
        write_image(folder / "labels" / f"c{index}.png", Image(labels, grid, "labels"))
    return folder


def weights(run):
    return read_checkpoint(run / "weights" / "last.safetensors")[0]


@pytest.mark.slow
def test_a_run_starts_from_another_with_other_structures_and_channels(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="hyoid")
    cells = write_phantoms(tmp_path / "cells", "cells", num_cases=5, size=64)
    hyoid.run(cells, into=tmp_path / "first", steps=4, changes=SMALL)
    data = coloured(tmp_path / "coloured")
    changes = (*SMALL[1:], "training.freeze=[encoder.stages.2.*]", "training.learning_rates={encoder.*: 0.1}")
    page = hyoid.run(data, into=tmp_path / "second", steps=3, start_from=tmp_path / "first", changes=changes)
    assert page.is_file()
    told = (tmp_path / "second" / "log.txt").read_text(encoding="utf-8")
    assert (
        "tensors start with those of" in told
        and "start with the rows of the same names: background; new: the rows of" in told
        and "adapted" in told
    )
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    frozen = [name for name in after if name.startswith("net/encoder.stages.2.")]
    assert frozen and all(torch.equal(after[name], before[name.replace("net/", "average/", 1)]) for name in frozen)
    assert after["net/heads.0.weight"].shape[0] != before["net/heads.0.weight"].shape[0]
    hyoid.run(data, into=tmp_path / "third", steps=3, start_from=tmp_path / "first", changes=changes)
    assert all(torch.equal(value, after[name]) for name, value in weights(tmp_path / "third").items())


@pytest.mark.slow
def test_train_starts_from_a_file_and_says_so_when_it_is_too_late(tmp_path):
    cells = write_phantoms(tmp_path / "cells", "cells", num_cases=5, size=64)
    hyoid.run(cells, into=tmp_path / "first", steps=2, changes=SMALL)
    hyoid.plan(cells, into=tmp_path / "second", steps=2, changes=SMALL)
    file = tmp_path / "first" / "weights" / "last.safetensors"
    hyoid.train(tmp_path / "second", start_from=file)
    assert str(file) in (tmp_path / "second" / "experiment.yaml").read_text(encoding="utf-8")
    with pytest.raises(hyoid.ConfigError, match="its training has begun"):
        hyoid.train(tmp_path / "second", start_from=file)
    hyoid.train(tmp_path / "second", start_from=file, resume=False)


@pytest.mark.slow
def test_a_run_takes_public_weights_of_an_encoder(tmp_path):
    cells = write_phantoms(tmp_path / "cells", "cells", num_cases=5, size=64)
    shapes = build_spec("unet_resnet18", 2, 3, 2).build().encoder.state_dict()
    public = {name: torch.randn(value.shape).mul(0.05).abs().to(value.dtype) for name, value in shapes.items()}
    torch.save(public, tmp_path / "resnet18.pth")
    named = [
        "planning.net=unet_resnet18",
        f"training.encoder_weights={tmp_path / 'resnet18.pth'}",
        "training.freeze=[encoder.*]",
    ]
    hyoid.run(cells, into=tmp_path / "run", steps=2, changes=[*SMALL[1:], *named])
    after = weights(tmp_path / "run")
    assert torch.equal(after["net/encoder.layer1.0.conv1.weight"], public["layer1.0.conv1.weight"])
    assert torch.equal(after["net/encoder.layer1.0.bn1.running_mean"], public["layer1.0.bn1.running_mean"])


def test_wrong_beginnings_are_refused_before_any_work(tmp_path):
    cells = write_phantoms(tmp_path / "cells", "cells", num_cases=2, size=32)

    def plan(*changes):
        return hyoid.plan(cells, into=tmp_path / "run", steps=1, changes=changes)

    with pytest.raises(hyoid.ConfigError, match="there is no such run or file"):
        plan("training.start_from=nowhere")
    with pytest.raises(hyoid.ConfigError, match="neither a file nor a name"):
        plan("planning.net=unet_resnet18", "training.encoder_weights=nowhere")
    with pytest.raises(hyoid.ConfigError, match="no encoder with published weights"):
        plan("training.encoder_weights=resnet18")
    with pytest.raises(
        hyoid.ConfigError, match="resnet34 are weights of unet_resnet34; for unet_resnet18 ask for resnet18"
    ):
        plan("planning.net=unet_resnet18", "training.encoder_weights=resnet34")
    with pytest.raises(hyoid.ConfigError, match="Set either"):
        plan("training.encoder_weights=resnet18", "training.start_from=nowhere")
    with pytest.raises(hyoid.ConfigError, match="no weight of the net is called 'bottom"):
        plan("training.freeze=[bottom.*]")
