"""What the benchmarks say when they cannot begin; what they measure is in docs/benchmarks."""

import runpy
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from torch import nn
from torch.nn import functional

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


def comparison(monkeypatch, theirs, ours, **given):
    """Two small nets, compared by the frame of the oracles."""
    monkeypatch.syspath_prepend(FOLDER / "oracles")
    frame = import_module("comparing")
    return frame.compare(frame.Comparison("row", "what", theirs, ours, (1, 2, 8, 8), **given))


class Row(nn.Module):
    """Convolutions of one shape with norms, used in the order a, b but defined as the words say."""

    def __init__(self, words="ab", slope=0.0):
        super().__init__()
        self.slope = slope
        for word in words:
            self.add_module(word, nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)))

    def forward(self, x):
        return self.b(functional.leaky_relu(self.a(x), self.slope))


def test_oracles_match_weights_in_order_of_use(monkeypatch):
    assert comparison(monkeypatch, Row, lambda: Row("ba")).equal


@pytest.mark.parametrize(
    ("ours", "pairs"), [(Row, {"a": "b", "b": "a"}), (lambda: Row(slope=0.01), {}), (lambda: Row("abc"), {})]
)
def test_oracles_notice_wrong_pairs_another_activation_and_weights_without_counterpart(monkeypatch, ours, pairs):
    assert not comparison(monkeypatch, Row, ours, pairs=pairs).equal


def test_oracles_skip_what_is_not_checked_out(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER / "oracles")
    started(monkeypatch, "oracles/__main__", "--from", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(list((FOLDER / "oracles/repositories").glob("*.py")))
    assert all("skipped" in line for line in lines[1:])
