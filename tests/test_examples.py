"""The examples run as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from hyoid.datasets.phantoms import write_phantoms
from hyoid.experiment import Experiment
from hyoid.files.formats import read_image

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hyoid(*words: object, fails: bool = False) -> str:
    """What a command writes, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "hyoid", *map(str, words)], capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) < 60


def test_geometry_there_and_back_changes_nothing(tmp_path):
    assert example("geometry").main(tmp_path, size=24)


def test_a_missing_structure_is_counted_in_the_evaluation(tmp_path):
    report = example("evaluate_folders").main(tmp_path, num_cases=3, size=24)
    assert report.summary("right_kidney", "dice").num_missed == 1
    assert report.ranked()[0] == "organs_000"
    assert json.loads((tmp_path / "measured" / "report.json").read_text())["num_cases"] == 3
    assert (tmp_path / "measured" / "report.html").is_file()


@pytest.mark.slow
def test_a_net_is_built_from_its_written_spec():
    assert [tuple(level.shape) for level in example("build_net").main()] == [(2, 3, 16, 64, 64), (2, 3, 16, 32, 32)]


@pytest.mark.slow
def test_the_stages_lead_from_generated_cells_to_answers(tmp_path):
    dice = example("walk_through").main(tmp_path, num_cases=5, size=48, steps=4)
    assert 0 <= dice <= 1
    assert (tmp_path / "run" / "report.html").is_file()
    assert [path.name for path in (tmp_path / "answers").glob("*.png")] == ["cells_000.png"]


@pytest.mark.slow
def test_a_run_uses_net_and_loss_of_an_extension(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", 5, 48)
    chosen = [
        "--set",
        "planning.channels=[8,16,32]",
        "--set",
        "planning.net=grouped_unet",
        "--set",
        "training.loss=poly",
    ]
    refused = hyoid("run", data, "--into", tmp_path / "without", "--steps", 3, *chosen, fails=True)
    assert "grouped_unet" in refused and "poly" not in refused

    extension = [
        "--set",
        f"extensions=[{EXAMPLES / 'my_extension.py'}]",
        "--set",
        "training.loss_options={epsilon: 1.5}",
    ]
    hyoid("run", data, "--into", tmp_path / "run", "--steps", 3, *chosen, *extension)
    experiment = Experiment.read(tmp_path / "run" / "experiment.yaml")
    assert experiment.plan.net_name == "grouped_unet" and experiment.plan.net.norm == {"name": "group", "groups": 4}
    assert experiment.training.loss == "poly"
    assert (tmp_path / "run" / "report.html").is_file()

    new = data / "images" / "cells_000.png"
    assert "cells_000.png" in hyoid("predict", tmp_path / "run", new, "--into", tmp_path / "answers")


@pytest.mark.slow
def test_a_module_of_your_own_is_trained_and_asked_by_every_engine(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", 5, 48)
    chosen = ["--set", f"extensions=[{EXAMPLES / 'own_net.py'}]", "--set", "planning.net=two_scales"]
    hyoid("run", data, "--into", tmp_path / "run", "--steps", 3, *chosen)
    spec = Experiment.read(tmp_path / "run" / "experiment.yaml").plan.net
    assert (spec.kind, spec.name, spec.options) == ("own", "two_scales", {})
    assert (tmp_path / "run" / "report.html").is_file()

    new, answers = data / "images" / "cells_000.png", []
    for backend in ("torch", "onnx"):
        hyoid("predict", tmp_path / "run", new, "--into", tmp_path / backend, "--backend", backend)
        answers.append(read_image(tmp_path / backend / "cells_000.png", "labels").array)
    assert (answers[0] == answers[1]).mean() > 0.99


@pytest.mark.slow
def test_arrays_in_memory_are_answered(tmp_path):
    labels = example("load_and_predict").main(tmp_path, num_cases=4, size=24, steps=3)
    assert labels.shape == read_image(tmp_path / "organs" / "images" / "organs_000.nii.gz").grid.shape
    assert set(labels.flatten().tolist()) <= {0, 1, 2, 3}


@pytest.mark.slow
def test_a_loop_of_your_own_learns_from_the_patches_of_a_run(tmp_path):
    values = example("own_loop").main(tmp_path, num_cases=5, size=48, steps=40)
    assert len(values) == 40 and sum(values[-5:]) < 0.8 * sum(values[:5])


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path):
    [program] = re.findall(r"^```python\n(.*?)^```", (EXAMPLES.parent / "README.md").read_text("utf-8"), re.M | re.S)
    assert "minutes=20" in program
    short = program.replace("minutes=20", "steps=2, changes=['planning.channels=[8,16]']")
    data = write_phantoms(tmp_path / "DATA", "organs", 5, 24)
    for new, case in {"scan": "organs_000", "more/other": "organs_001"}.items():
        for source, copy in {"images": new, "labels": f"REFERENCES/{Path(new).name}"}.items():
            (tmp_path / copy).parent.mkdir(exist_ok=True)
            shutil.copy(data / source / f"{case}.nii.gz", tmp_path / f"{copy}.nii.gz")
    done = subprocess.run([sys.executable, "-c", short], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"0\.\d+ RUN.report\.html\n", done.stdout)
    assert {path.name for path in (tmp_path / "ANSWERS").glob("*.nii.gz")} == {"scan.nii.gz", "other.nii.gz"}


POLY = """
import torch
from hyoid.losses import losses
from hyoid.core.extensions import load_extensions

load_extensions([{path!r}])
logits, classes = torch.randn(2, 3, 5, 5), torch.randint(-1, 3, (2, 5, 5))
plain = losses.build("cross_entropy")(logits, classes)
assert torch.isclose(losses.build("poly", epsilon=0.0)(logits, classes), plain, atol=1e-6)
assert losses.build("poly")(logits, classes) > plain
regions = torch.randint(-1, 2, (2, 3, 5, 5)).float()
plain = losses.build("cross_entropy")(logits, regions)
assert torch.isclose(losses.build("poly", epsilon=0.0)(logits, regions), plain, atol=1e-6)
"""


@pytest.mark.slow
def test_the_poly_loss_of_the_extension_without_its_term_is_cross_entropy():
    program = POLY.format(path=str(EXAMPLES / "my_extension.py"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
