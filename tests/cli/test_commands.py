"""The command line: what it shows, how it fails."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hyoid import cli
from hyoid.cli.commands import sentence
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.experiment import Experiment
from hyoid.files.formats import write_image
from hyoid.planning.plan import Plan
from hyoid.workflow import VERBS
from hyoid.workflow.question import check_prediction


def hyoid(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hyoid", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with one sentence that has these words, and no stack trace."""
    assert result.returncode in (1, 2, 3), result.stderr
    assert "Traceback" not in result.stderr
    assert "This should not happen" not in result.stderr
    for word in words:
        assert word in result.stderr + result.stdout, result.stderr


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=5, size=64)


def test_help_names_every_verb():
    shown = hyoid("--help").stdout
    assert [verb.name for verb in VERBS if f" {verb.name} " not in shown] == []


def test_help_and_import_do_not_load_torch():
    code = "import sys, hyoid, hyoid.cli; assert 'torch' not in sys.modules; assert 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_option_is_refused(cells, tmp_path):
    assert hyoid("run", cells, "--into", tmp_path, "--minuts", "3").returncode == 2


@pytest.mark.slow
def test_limits_of_the_machine_are_kept_in_the_run(cells, tmp_path):
    into = tmp_path / "run"
    told = hyoid("plan", cells, "--into", into, "--steps", "2", "--memory", "2.5", "--threads", "1")
    assert told.returncode == 0, told.stderr
    experiment = Experiment.read(into / "experiment.yaml")
    assert experiment.threads == 1 and experiment.planning.memory_gb == 2.5
    again = hyoid("plan", cells, "--into", into, "--steps", "2", "--memory", "2.5", "--threads", "1")
    assert again.returncode == 0, again.stderr
    refused(hyoid("plan", cells, "--into", tmp_path / "other", "--steps", "2", "--threads", "0"), "threads")


def test_a_memory_for_predicting_is_above_zero_and_not_that_of_training():
    with pytest.raises(ConfigError, match=r"--memory 0: expected gigabytes above 0"):
        check_prediction(0, None, ())
    with pytest.raises(ConfigError, match=r"is the memory of training; that of predicting is --memory"):
        check_prediction(None, None, ["planning.memory_gb=3"])
    check_prediction(3, "torch", ["prediction.mirror=false"])


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_budget_of_nothing_is_refused_as_it_was_given(verb, cells, tmp_path):
    refused(hyoid(verb, cells, "--into", tmp_path / "run", "--steps", "0"), "--steps 0: training.steps = 0")


def test_a_run_answers_what_it_lacks_rather_than_count_it_as_missed(tmp_path):
    refused(hyoid("evaluate", tmp_path, "--missing", "worst"), "is for two folders")


def test_a_missing_folder_is_one_sentence(tmp_path):
    refused(hyoid("run", tmp_path / "nothing", "--into", tmp_path / "run"), "no such file or folder")


def test_an_empty_folder_is_one_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    refused(hyoid("inspect", tmp_path / "data"), "data")


def test_an_unknown_setting_names_the_closest(cells, tmp_path):
    change = "training.optimiser.learning_rat=1"
    result = hyoid("run", cells, "--into", tmp_path / "run", "--steps", "2", "--set", change)
    refused(result, "Did you mean 'learning_rate'?")


def test_mismatched_grids_name_both(cells, tmp_path):
    for name, size in (("images", 16), ("labels", 15)):
        grid = Grid.plain((16, 16, size), (1, 1, 1))
        array = np.ones((1, *grid.shape), np.uint8)
        write_image(tmp_path / "data" / name / "a.nii.gz", Image(array, grid, "labels"))
    refused(hyoid("plan", tmp_path / "data", "--into", tmp_path / "run"), "16x16x16", "16x16x15")


def test_not_a_run_says_how_to_start_one(tmp_path):
    refused(hyoid("train", tmp_path), "this is not a run", "hyoid plan")


def test_minutes_and_steps_exclude_each_other(cells, tmp_path):
    result = hyoid("run", cells, "--into", tmp_path / "run", "--steps", "2", "--minutes", "1")
    refused(result, "either --minutes or --steps")


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_result(cells, tmp_path):
    words = ["--steps", "60", "--seed", "5", "--set", "planning.channels=[8, 16]"]
    words += ["--set", "training.checkpoint_seconds=0.2", "--set", "evaluation.resamples=100"]
    assert hyoid("run", cells, "--into", tmp_path / "whole", *words).returncode == 0
    command = [sys.executable, "-m", "hyoid", "run", str(cells), "--into", str(tmp_path / "cut"), *words]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    weights = tmp_path / "cut" / "weights" / "last.safetensors"
    while not weights.exists() and started.poll() is None:
        time.sleep(0.02)
    started.kill()
    started.wait()
    assert not (tmp_path / "cut" / "cases.csv").exists()
    assert hyoid("run", cells, "--into", tmp_path / "cut", *words).returncode == 0
    assert (tmp_path / "whole" / "cases.csv").read_bytes() == (tmp_path / "cut" / "cases.csv").read_bytes()


def test_sigterm_stops_a_command_as_ctrl_c_does(tmp_path):
    code = "import os, signal; from hyoid import cli; from hyoid.datasets import inspect; "
    code += "inspect.inspect_path = lambda _: os.kill(os.getpid(), signal.SIGTERM); cli.main()"
    command = [sys.executable, "-c", code, "inspect", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


def test_a_run_never_goes_into_its_data_or_among_other_files(cells, tmp_path):
    refused(hyoid("run", cells, "--into", cells, "--steps", "2"), "mixed with its data")
    (tmp_path / "notes.txt").write_text("mine")
    refused(hyoid("run", cells, "--into", tmp_path, "--steps", "2"), "notes.txt")
    assert not (cells / "experiment.yaml").exists()
    assert not (cells / "log.txt").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--steps", "0"], "steps"),
        (["--minutes", "-1"], "minutes"),
        (["--minutes", "1e9"], "525600"),
        (["--set", "device=cuda:9"], "this machine has cpu"),
        (["--set", "training.voxel_weights=touchin"], "Did you mean 'touching'?"),
        (["--set", "planning.policy=ligth"], "Did you mean 'light'?"),
        (["--set", "planning.mirror_axes=[7]"], "axis"),
        (["--set", "training.loss=dise"], "Did you mean 'dice'?"),
        (["--set", "training.loss_options={smoth: 1}"], "Did you mean 'smooth'?"),
        (["--set", "training.loss_options={smooth: -1}"], "smooth = -1 does not fit"),
        (["--set", "evaluation.metrics=[dise]"], "Did you mean 'dice'?"),
        (["--set", "prediction.largest_component=[sell]"], "Did you mean 'cell'?"),
    ],
)
def test_wrong_settings_fail_before_any_work(cells, tmp_path, option, words):
    refused(hyoid("run", cells, "--into", tmp_path / "run", *option), words)
    assert not (tmp_path / "run" / "experiment.yaml").exists()


@pytest.mark.slow
def test_an_evaluation_takes_any_metric_by_name(tmp_path):
    for folder in ("found", "truth"):
        mask = np.zeros((1, 12, 12), np.uint8)
        mask[0, 2:6, 2:6] = mask[0, 8:11, 8:11] = 1
        if folder == "found":
            mask[0, 8:11, 8:11] = 0
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", Image(mask, Grid.plain((12, 12)), "labels"))
    given = ("evaluate", tmp_path / "found", tmp_path / "truth", "--set", "evaluation.metrics=[object_f1,cl_dice]")
    told = hyoid(*given)
    assert told.returncode == 0, told.stderr
    assert "object_f1" in told.stdout and "0.667" in told.stdout
    refused(hyoid(*given[:3], "--set", "evaluation.metrics=[ece]"), "ece compares probabilities")
    refused(hyoid(*given[:3], "--set", "seed=3"), "under evaluation. only")


def test_threads_that_wait_spin_a_moment_unless_that_was_decided(monkeypatch):
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "active"})
    cli.wait_politely()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.setattr(os, "environ", {})
    cli.wait_politely()
    assert os.environ == {"GOMP_SPINCOUNT": "1000"}


def test_json_is_one_document_with_what_a_person_would_read(cells, tmp_path):
    planned = hyoid("plan", cells, "--into", tmp_path / "run", "--steps", "2", "--json")
    plan = json.loads(planned.stdout)
    assert (
        plan["expected"]["steps"] == 2
        and Plan.parse(plan) == Experiment.read(tmp_path / "run" / "experiment.yaml").plan
    )
    found = json.loads(hyoid("inspect", cells, "--json").stdout)
    assert found["facts"]["cases"] == "5" and len(found["cases"]) == 5 and found["problems"] == []
    assert json.loads(hyoid("cite", tmp_path / "run", "--json").stdout)["bibtex"].startswith("@")


def test_json_has_null_for_what_is_not_a_number(tmp_path):
    sheet = json.loads(hyoid("nets", "unetr", "--dims", "3", "--input", "32x32x32", "--json").stdout)
    assert sheet["row"]["cost"]["receptive_field"] == [None, None, None]
    assert sheet["levels"][0]["scale"] == [1.0, 1.0, 1.0]


def test_an_error_under_json_is_a_document_and_a_sentence(tmp_path):
    done = hyoid("inspect", tmp_path / "nothing", "--json")
    sentence = f"{tmp_path / 'nothing'}: there is no such file or folder."
    assert (done.returncode, done.stderr) == (3, f"error: {sentence}\n")
    assert json.loads(done.stdout) == {"error": sentence}


def test_problems_under_json_keep_their_exit_code(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not an image")
    done = hyoid("inspect", tmp_path / "a.png", "--json")
    assert done.returncode == 3 and len(json.loads(done.stdout)["problems"]) == 1


@pytest.mark.parametrize("words", [["inspect", ""], ["evaluate", "a", "--set", ""], ["run", "a", "--into", ""]])
def test_an_empty_argument_is_refused(words):
    done = hyoid(*words)
    assert (done.returncode, done.stderr) == (
        2,
        "error: An argument is empty; perhaps a variable of the shell has no value.\n",
    )


def test_debug_shows_where_an_error_happened_and_only_before_the_verb(tmp_path):
    assert "inspect_path" in hyoid("--debug", "inspect", tmp_path / "nothing").stderr
    assert "inspect_path" not in hyoid("inspect", tmp_path / "--debug").stderr


@pytest.mark.parametrize(("file", "told"), [(None, "runs/a: the disk is full."), ("x.csv", "x.csv: the disk is full.")])
def test_a_full_disk_is_told_with_a_place(file, told):
    error = OSError(errno.ENOSPC, "No space left on device", file)
    assert sentence(error, VERBS[0], {"into": Path("runs/a"), "data": "cells"}) == (told, 1)
