"""hyoid train: one at a time, and stopped in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

import hyoid
from hyoid.core.errors import ConfigError, DataError, HyoidError
from hyoid.core.stopping import Stop, stopping
from hyoid.datasets.phantoms import write_phantoms
from hyoid.training.checkpoint import read_checkpoint

SMALL = ("planning.patch=[32,32]", "planning.batch=1", "planning.channels=[4,8]", "threads=1", "training.workers=1")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=4, size=32)


@pytest.mark.slow
def test_a_training_is_alone_and_sigterm_saves_it(cells, tmp_path):
    run = tmp_path / "run"
    hyoid.plan(cells, into=run, steps=1_000_000, changes=(*SMALL, "training.validation=0"))
    command = [sys.executable, "-m", "hyoid", "train", str(run)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "weights" / "curves.csv").exists() and not (run / "weights" / "tensorboard").exists():
            assert process.poll() is None
            time.sleep(0.1)
        with pytest.raises(HyoidError, match=f"process {process.pid} on .* is working on this run"):
            hyoid.train(run)
        with pytest.raises(HyoidError, match=f"process {process.pid} on .* is working on this run"):
            hyoid.plan(cells, into=run, steps=3)
        assert not (run / "weights" / "last.safetensors").exists()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Stopped. The same command goes on where this one was." in said
    assert read_checkpoint(run / "weights" / "last.safetensors")[1]["step"] >= 1


def steps_of(run: Path) -> int:
    return read_checkpoint(run / "weights" / "last.safetensors")[1]["step"]


def test_a_finished_training_goes_on_for_further_steps(cells, tmp_path):
    for run in ("whole", "parts"):
        hyoid.plan(cells, into=tmp_path / run, steps=2, changes=SMALL)
        hyoid.train(tmp_path / run)
    hyoid.train(tmp_path / "whole", steps=4)
    assert steps_of(tmp_path / "whole") == 6
    hyoid.train(tmp_path / "whole")
    assert steps_of(tmp_path / "whole") == 6, "a training that is over stays as it is"
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stopping(stop):
        stop.ask()
        hyoid.train(tmp_path / "parts", steps=4)
    hyoid.train(tmp_path / "parts")
    one, two = (load_file(tmp_path / run / "weights" / "last.safetensors") for run in ("whole", "parts"))
    assert all(one[name].equal(two[name]) for name in one)


def test_scores_of_earlier_weights_are_not_told_as_those_of_the_new(cells, tmp_path):
    run = tmp_path / "run"
    hyoid.run(cells, into=run, steps=2, changes=SMALL)
    hyoid.train(run, steps=1)
    for verb in (hyoid.evaluate, hyoid.report):
        with pytest.raises(DataError, match=r"predictions\.json: this is of earlier weights"):
            verb(run)
    hyoid.predict(run)
    with pytest.raises(DataError, match=r"judged\.json: this is of earlier weights"):
        hyoid.report(run)
    hyoid.evaluate(run)
    assert hyoid.report(run).is_file()


def test_a_run_notices_that_its_data_set_is_declared_in_another_way(tmp_path):
    data, run = write_phantoms(tmp_path / "data", "cells", num_cases=4, size=32), tmp_path / "run"
    hyoid.plan(data, into=run, steps=2, changes=SMALL)
    for name in ("labels.yaml", "cases.csv"):
        before = (data / name).read_text("utf-8") if (data / name).is_file() else ""
        (data / name).write_text(before + "\n# again\n" if before else "case,patient\ncells_000,a\n", "utf-8")
        with pytest.raises(DataError, match=f"{name} came, went or changed"):
            hyoid.plan(data, into=run, steps=2, changes=SMALL)
        (data / name).write_text(before, "utf-8") if before else (data / name).unlink()
    hyoid.plan(data, into=run, steps=2, changes=SMALL)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"minutes": 1}, "this training counts steps; give --steps"),
        ({"steps": 0}, "expected a number above 0"),
        ({"minutes": 1, "steps": 1}, "either --minutes or --steps"),
    ],
)
def test_further_time_that_does_not_fit_is_refused(cells, tmp_path, given, told):
    hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=SMALL)
    with pytest.raises(ConfigError, match=told):
        hyoid.train(tmp_path / "run", **given)
    with pytest.raises(ConfigError, match="goes on from its weights"):
        hyoid.plan(cells, into=tmp_path / "run", steps=3, changes=SMALL)
