"""What the benchmarks say when they cannot begin; what they measure is in docs/benchmarks."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PEERS = ("monai", "torchio", "batchgeneratorsv2", "nnunetv2", "skimage", "surface_distance")
COMPARING = ("augmentation", "infer", "losses", "metrics", "resample", "start", "tiles", "train")


def started(monkeypatch, name, *words):
    """Run a benchmark in this process."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", COMPARING)
def test_a_peer_that_is_not_installed_is_named_at_once(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda one: None if one in PEERS else find_spec(one))
    with pytest.raises(SystemExit, match=r"error: \w+ is not installed; .* benchmarks/requirements.txt"):
        started(monkeypatch, name)


def test_a_run_that_is_not_there_is_named(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"error: .*nowhere"):
        started(monkeypatch, "bare_unet", tmp_path / "nowhere")
