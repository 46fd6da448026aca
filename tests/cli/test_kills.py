"""A run of volumes that is killed at random moments ends as one that nobody disturbs.

`HYOID_KILLS=20 pytest tests/cli/test_kills.py` does so at more moments: of planning, training, predicting, reporting.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hyoid.datasets.phantoms import write_phantoms
from hyoid.training.checkpoint import read_checkpoint

KILLS = int(os.environ.get("HYOID_KILLS", "3"))
WORDS = "--steps 40 --seed 5 --threads 1 --set planning.channels=[4,8] --set training.checkpoint_seconds=0.2"


def begin(data: Path, into: Path) -> subprocess.Popen[bytes]:
    words = [str(data), "--into", str(into), *WORDS.split(), "--set", "evaluation.resamples=100"]
    with (into.parent / f"{into.name}.log").open("ab") as said:
        return subprocess.Popen([sys.executable, "-m", "hyoid", "run", *words], stdout=said, stderr=said)


def results(run: Path) -> tuple[bytes, dict[str, torch.Tensor], dict[str, bytes]]:
    """Scores, weights and answers."""
    answers = {file.name: file.read_bytes() for file in (run / "predictions").glob("*.nii.gz")}
    return (run / "cases.csv").read_bytes(), read_checkpoint(run / "weights" / "last.safetensors")[0], answers


def same(run: Path, whole: Path) -> bool:
    (scores, weights, answers), (its_scores, its_weights, its_answers) = results(run), results(whole)
    equal = weights.keys() == its_weights.keys() and all(torch.equal(weights[n], its_weights[n]) for n in weights)
    leftovers = [path for place in (run, run / "weights", run / "predictions") for path in place.glob(".????????.*")]
    return scores == its_scores and equal and answers == its_answers and bool(answers) and not leftovers


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_one_that_is_not(tmp_path):
    data, whole = write_phantoms(tmp_path / "data", "organs", num_cases=6, size=24), tmp_path / "whole" / "run"
    whole.parent.mkdir()
    begun = time.perf_counter()
    assert begin(data, whole).wait() == 0
    seconds, draw, kills, number = time.perf_counter() - begun, random.Random(0), 0, 0
    while kills < KILLS:
        number += 1
        run = tmp_path / f"killed_{number}" / "run"  # beside it its own prepared cases
        run.parent.mkdir()
        while True:
            begun, process = time.perf_counter(), begin(data, run)
            if kills < KILLS:
                try:
                    process.wait(draw.uniform(0, seconds))
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
                    with (run.parent / "run.log").open("a") as said:
                        said.write(f"--- kill {kills}\n")
            if process.wait() == 0:
                seconds = min(seconds, time.perf_counter() - begun)  # the machine may have been busy before
                break
            assert process.returncode == -9, (run.parent / "run.log").read_text()
        assert same(run, whole)
