"""Every verb in a process of its own, which knows nothing that an earlier verb had imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hyoid.datasets.phantoms import write_phantoms

CHANGES = ("planning.patch=[32, 32]", "planning.batch=2", "planning.channels=[4, 8]", "device=cpu", "threads=1")
VERBS = ("prepare", "train", "predict", "evaluate", "report", "cite")


def python(*words: str | Path) -> str:
    """What a new process printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env={**os.environ, "COLUMNS": "300"}
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_every_verb_works_in_a_process_of_its_own(tmp_path):
    data, run = write_phantoms(tmp_path / "data", "cells", num_cases=3, size=32), tmp_path / "run"
    python("-m", "hyoid", "plan", data, "--into", run, "--steps", "2", *(f"--set={change}" for change in CHANGES))
    printed = {verb: python("-m", "hyoid", verb, run) for verb in VERBS}
    assert (run / "report.html").is_file() and "@" in printed["cite"]
    for verb in ("cases", "load"):
        python("-c", f"import hyoid; hyoid.{verb}({str(run)!r})")
