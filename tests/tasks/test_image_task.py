"""A task of an extension that learns images: it is planned and trained, and its answers are not written as labels."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hyoid
from hyoid.cli import app
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.files.formats import write_image
from hyoid.run_folder import RunFolder

EXTENSION = Path(__file__).with_name("brightening_task.py")
CHANGES = [f"extensions=[{EXTENSION}]", "task=brightening", "planning.patch=[32,32]", "planning.batch=2"]
CHANGES += ["planning.channels=[4,8]", "training.optimiser.learning_rate=0.01", "threads=1", "device=cpu"]
NOT_YET = r"truth of the kind 'image' are not written or judged yet; hyoid\.load\(.*\)\.probabilities gives its maps"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root, rng, grid = tmp_path_factory.mktemp("images"), np.random.default_rng(0), Grid.plain((32, 32))
    for index in range(4):
        image = rng.integers(0, 100, (1, 32, 32), np.uint8)
        write_image(root / "images" / f"{index}.png", Image(image, grid))
        write_image(root / "targets" / f"{index}.png", Image(2 * image, grid))
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """A run that `hyoid run` has trained, and stopped before it predicts."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(ConfigError, match=NOT_YET):
        hyoid.run(data, into=folder, steps=30, changes=CHANGES)
    return folder


def test_planning_warns_that_answers_are_not_written_yet(data, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        hyoid.plan(data, into=tmp_path / "run", steps=2, changes=CHANGES)
    assert sum("not written or judged yet" in one.getMessage() for one in caplog.records) == 1


def test_a_run_keeps_its_weights_and_predicts_and_judges_nothing(run, data, tmp_path):
    assert RunFolder.open(run).trained.is_file()
    for refused in (
        lambda: hyoid.predict(run),
        lambda: hyoid.predict(run, [data / "images"], into=tmp_path / "answers"),
        lambda: hyoid.evaluate(run),
        lambda: hyoid.plan(data, into=tmp_path / "next", steps=2, changes=[*CHANGES, f"planning.before={run}"]),
    ):
        with pytest.raises(ConfigError, match=NOT_YET):
            refused()
    assert not (tmp_path / "answers").exists() and not (run / "predictions").exists()


def test_the_shell_says_so_with_the_exit_code_of_a_refusal(run, data):
    def answer(*words: object):
        return CliRunner().invoke(app, [str(word) for word in words])

    refusal = answer("predict", run / "nowhere").exit_code
    changes = [f"--set={change}" for change in CHANGES]
    for words in [("predict", run), ("evaluate", run), ("run", data, "--into", run, "--steps", 30, *changes)]:
        result = answer(*words)
        assert result.exit_code == refusal != 0
        assert "not written or judged yet" in " ".join(result.output.split())


def test_a_loaded_run_gives_its_maps_and_no_labels(run, data):
    model, image = hyoid.load(run), hyoid.read_image(data / "images" / "0.png")
    maps, grid = model.probabilities(image), image.grid
    prepared = model.predictor.predict_prepared(model.predictor.prepared(hyoid.Case("0", image)).array)
    assert model.outputs == ("bright",) and maps.grid.matches(grid)
    np.testing.assert_allclose(maps.array, prepared, atol=2e-3)
    assert np.corrcoef(maps.array.ravel().astype(float), image.array.ravel())[0, 1] > 0.5 and maps.array.min() < 0
    with pytest.raises(ConfigError, match="predict gives labels, which this run does not learn"):
        model.predict(image)
