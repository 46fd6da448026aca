"""What a run rests on does not change unseen: weights, prepared cases, images and labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import hyoid
from hyoid.core.errors import DataError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.training.checkpoint import read_checkpoint, write_checkpoint

SMALL = ("planning.patch=[32,32]", "planning.batch=1", "planning.channels=[4,8]", "evaluation.resamples=100")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with `data` and a finished `run` on it."""
    folder = tmp_path_factory.mktemp("finished")
    write_phantoms(folder / "data", "cells", num_cases=4, size=32)
    hyoid.run(folder / "data", into=folder / "run", steps=2, threads=1, changes=[*SMALL, "num_folds=2"])
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the run, which may be changed."""
    return shutil.copytree(finished / "run", tmp_path / "run")


def ensemble_of(run: Path) -> Path:
    (run.parent / "ensemble.yaml").write_text("members: [{run: run}]\n")
    return run.parent


WAYS = {
    "predict": lambda run, data: hyoid.predict(run),
    "predict images": lambda run, data: hyoid.predict(run, [data / "images"], into=run.parent / "answers"),
    "load": lambda run, data: hyoid.load(run),
    "an ensemble": lambda run, data: hyoid.load(ensemble_of(run)),
    "start from": lambda run, data: hyoid.run(data, into=run.parent / "other", steps=1, start_from=run, changes=SMALL),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("harm", ["NaN", "changed"])
def test_weights_that_cannot_be_right_are_refused_in_every_way_in(run, finished, way, harm):
    weights = run / "weights" / "last.safetensors"
    if harm == "NaN":
        tensors, facts = read_checkpoint(weights)
        tensors["average/heads.0.weight"] = tensors["average/heads.0.weight"] * torch.nan
        write_checkpoint(weights, tensors, facts)
    else:
        content = weights.read_bytes()
        weights.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    shutil.rmtree(run / "predictions")
    what = "heads.0.weight are not finite numbers" if harm == "NaN" else "this file has changed since it was written"
    with pytest.raises(DataError, match=rf"run/weights/last\.safetensors: .*{what}; put back a whole copy"):
        WAYS[way](run, finished / "data")
