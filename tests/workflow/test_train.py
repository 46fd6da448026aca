"""hyoid train: one at a time, and stopped in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hyoid
from hyoid.core.errors import HyoidError
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
