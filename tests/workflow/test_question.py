"""What is asked of a run: what is refused before any work is done, and what an earlier run has answered."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest

import hyoid
from hyoid import run_folder
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.machine import cores
from hyoid.datasets.below import images_below
from hyoid.datasets.phantoms import write_phantoms
from hyoid.experiment import Experiment
from hyoid.planning.fingerprint import Fingerprint
from hyoid.run_folder import RunFolder
from hyoid.training.regimes.supervised import Supervised
from hyoid.workflow.question import refuse_twice

MEANT = ("patients_on_both_sides=true",)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set whose split column puts patient p1 on both sides."""
    data = write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=4, size=32)
    names = sorted(path.stem for path in (data / "images").iterdir())
    with (data / "cases.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "patient", "split"])
        rows.writerows(zip(names, ["p0", "p1", "p1", "p2"], ["train", "train", "val", "val"], strict=True))
    return data


def test_a_patient_on_both_sides_is_refused_unless_it_is_meant(cells, tmp_path):
    with pytest.raises(DataError, match=r"1 of 3 patients lie in several parts \(p1\).*--set patients_on_both_sides"):
        hyoid.plan(cells, into=tmp_path / "run", steps=2)
    assert not (tmp_path / "run" / "experiment.yaml").exists()
    hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=MEANT)
    assert (tmp_path / "run" / "experiment.yaml").is_file()


@pytest.mark.parametrize(
    ("options", "change", "told"),
    [
        ({"steps": 2}, "training.steps=3", "--steps 2 and --set training.steps=3 both set training.steps"),
        ({"minutes": 1}, "training.minutes=2", "--minutes 1 and --set"),
        ({"threads": 1}, "threads=2", "--threads 1 and --set threads=2"),
        ({"memory": 2.0}, "planning.memory_gb=1", "--memory 2.0 and --set"),
        ({"seed": 0}, "seed=1", "--seed 0 and --set seed=1"),
        ({"steps": 2}, "training={loss: dice}", "--steps 2 and --set training=.* both set training.steps"),
        ({"memory": -1.0}, "fold=0", "--memory -1.0: planning.memory_gb = -1.0 does not fit"),
        ({"threads": 0}, "fold=0", "--threads 0: threads = 0 does not fit"),
        ({}, "fold=-1", "--set: fold = -1 does not fit"),
    ],
)
def test_an_option_is_given_once_and_named_when_it_does_not_fit(options, change, told, cells, tmp_path):
    with pytest.raises(ConfigError, match=told):
        hyoid.plan(cells, into=tmp_path / "run", **options, changes=[*MEANT, change])


def test_one_value_may_be_given_twice_and_two_may_not():
    refuse_twice({"minutes": 20.0}, ["training.minutes=20", "fold=1", "fold=1"])
    with pytest.raises(ConfigError, match="--set fold=1 and --set fold=2 both set fold; give one of them"):
        refuse_twice({}, ["fold=1", "fold=2"])
    with pytest.raises(ConfigError, match=r"--start-from a and --set training\.start_from=b both set"):
        refuse_twice({"start_from": "a"}, ["training.start_from=b"])


def test_as_many_cases_are_worked_on_as_there_are_cores(tmp_path):
    Experiment(data="data", threads=10**4).write(tmp_path / "experiment.yaml")
    assert RunFolder.open(tmp_path).workers == cores()


def test_as_many_cases_are_worked_on_as_fit_the_memory(planned, monkeypatch):
    monkeypatch.setattr(run_folder, "cores", lambda: 64)
    most = math.prod(max(Fingerprint.read(planned.path / "fingerprint.yaml").cases, key=lambda one: one.shape).shape)
    for cases in (1, 3.5, 1000):
        monkeypatch.setattr(run_folder, "available_gb", lambda _, n=cases: n * most * run_folder.BYTES_OF_A_VOXEL / 1e9)
        assert planned.workers == min(int(cases), 64)


@pytest.fixture(scope="module")
def planned(cells, tmp_path_factory) -> RunFolder:
    """A run that was planned and not trained."""
    place = tmp_path_factory.mktemp("planned") / "run"
    hyoid.plan(cells, into=place, steps=2, changes=MEANT)
    (place.parent / "other").mkdir()
    (place.parent / "other" / "experiment.yaml").touch()
    return RunFolder.open(place)


@pytest.mark.parametrize(
    ("place", "options", "told"),
    [
        ("run", {}, "answers would be mixed with the files of a run"),
        ("run/split.yaml", {}, "this is a file; answers need a folder"),
        ("run/weights/new", {}, "answers would be mixed"),
        ("run/predictions", {}, "answers would be mixed"),
        ("run/of_ward_3", {}, "this run has no weights yet"),
        ("other", {}, "answers would be mixed with the files of a run"),
        ("out", {"changes": ["training.steps=3"]}, "under prediction., device and threads only"),
        ("out", {"changes": ["prediction.backend=onnx"], "backend": "auto"}, "--backend auto and --set prediction"),
        ("out", {"changes": ["prediction.backend=onnx"], "backend": "torch"}, "--backend torch and --set prediction"),
    ],
)
def test_what_predicting_cannot_follow_is_refused(place, options, told, planned, cells):
    with pytest.raises(ConfigError, match=told):
        hyoid.predict(planned.path, [cells / "images"], into=planned.path.parent / place, **options)


def test_a_report_does_not_cover_that_of_another_run(planned, cells):
    with pytest.raises(ConfigError, match="the report would be mixed with the files of a run"):
        hyoid.evaluate(cells / "images", cells / "labels", into=planned.path)


def test_a_report_does_not_cover_what_is_known_of_patients(planned, cells, tmp_path):
    for place in (cells, cells / "labels"):
        with pytest.raises(ConfigError, match=r"would be taken for what is known of patients there; .*report\."):
            hyoid.evaluate(cells / "images", cells / "labels", into=place)
    with pytest.raises(ConfigError, match=r"what is known of patients there"):
        hyoid.evaluate(planned.path, into=cells)
    with pytest.raises(
        ConfigError, match=r"alone judges a run; to judge its answers by other references, name .*predi"
    ):
        hyoid.evaluate(planned.path, cells / "labels")
    (tmp_path / "cases.csv").write_text("case,patient\n")
    with pytest.raises(ConfigError, match=r"would cover a cases\.csv that is none of hyoid's"):
        hyoid.evaluate(cells / "images", cells / "labels", into=tmp_path)


def test_a_run_that_is_none_or_lacks_files_is_told_in_a_sentence(planned):
    with pytest.raises(ConfigError, match=r"there is no such run"):
        RunFolder.open(planned.path / "nothing")
    with pytest.raises(ConfigError, match=r"these in it are runs: other, run; name one"):
        RunFolder.open(planned.path.parent)
    folder = RunFolder.open(planned.path.parent / "other")
    with pytest.raises(DataError, match=r"dataset\.json: this is missing, or not what `hyoid plan` wrote"):
        folder.dataset
    folder.write_json("report.json", {})
    with pytest.raises(ConfigError, match=r"training\.json: this is missing"):
        hyoid.report(folder.path)


def test_a_run_is_no_data_and_does_not_hide_the_data_beside_it(planned, cells, tmp_path):
    assert "this is a run; expected the data that runs learn from" in hyoid.inspect(planned.path).problems[0]
    (tmp_path / "run").symlink_to(planned.path)
    (tmp_path / "set").symlink_to(cells)
    assert not hyoid.inspect(tmp_path).problems
    with pytest.raises(DataError, match="this is a run; expected images"):
        images_below(planned.path)


def test_a_run_from_before_a_setting_existed_goes_on(cells, tmp_path):
    first = hyoid.plan(cells, into=tmp_path, steps=2, changes=MEANT)
    asked = json.loads((tmp_path / "asked.json").read_text())
    del asked["experiment"]["prediction"]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    assert hyoid.plan(cells, into=tmp_path, steps=2, changes=MEANT) == first


@pytest.mark.parametrize(
    "loss, option", [("cross_entropy", "class_weights"), ("dice_ce", "class_weights"), ("focal", "alpha")]
)
def test_weights_of_classes_are_counted_before_any_work_is_done(loss, option, cells, tmp_path):
    changes = [*MEANT, f"training.loss={loss}", f"training.loss_options={{{option}: [0.5, 1]}}"]
    wanted = rf"{option} has 2 values, \[0.5, 1\]; expected 3, one for each of background, cell, border, in this order"
    with pytest.raises(ConfigError, match=wanted):
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=changes)
    assert (
        not (tmp_path / "run" / "timing.json").exists()
        or "measure" not in (tmp_path / "run" / "timing.json").read_text()
    )


def test_a_spacing_of_a_loss_has_the_axes_of_the_net(cells, tmp_path):
    changes = [*MEANT, "training.loss=boundary", "training.loss_options={spacing: [1, 1, 2]}"]
    with pytest.raises(
        ConfigError, match=r"spacing has 3 values, \[1, 1, 2\]; expected 2, one for each axis of the net"
    ):
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=changes)


def test_a_spacing_has_two_axes_where_slices_of_volumes_are_learned(tmp_path):
    data = write_phantoms(tmp_path / "organs", "organs", num_cases=3, size=32)
    changes = ["planning.dims=2", "training.loss=boundary", "training.loss_options={spacing: [1, 2]}"]
    made = hyoid.plan(data, into=tmp_path / "run", steps=2, changes=changes)
    assert len(made.patch) == 3 and made.net.dims == 2


def test_a_slip_in_an_edited_loss_is_found_before_training(cells, tmp_path):
    hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=MEANT)
    folder = RunFolder.open(tmp_path / "run")
    slip = {"training.loss_options": {"class_weights": [1]}}
    folder.experiment.changed(slip).write(folder.experiment_file)
    with pytest.raises(ConfigError, match="class_weights has 1 values"):
        hyoid.train(tmp_path / "run")


def test_several_devices_are_refused_for_nets_that_are_taught_in_turn(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(Supervised, "teaches", ("net", "critic"))
    with pytest.raises(
        ConfigError, match=r"training\.devices is 2, but regime 'supervised' teaches net and critic in turn"
    ):
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=[*MEANT, "training.devices=2"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.regime_options={decay: 1}", "regime 'supervised' has no option 'decay'"),
        ("training.turns={nett: {clip: 1}}", "no turn 'nett'. Did you mean 'net'"),
        ("training.turns.net.clipp=1", "There is no setting 'training.turns.net.clipp'. Did you mean 'clip'"),
        (
            "training.optimiser.name=adam",
            "training.optimiser.name: No optimiser is called 'adam'. Did you mean 'adamw'",
        ),
        (
            "training.turns={net: {name: adam}}",
            "training.turns.net.name: No optimiser is called 'adam'. Did you mean 'adamw'",
        ),
    ],
)
def test_a_slip_in_the_settings_of_a_regime_is_found_when_planning(cells, tmp_path, change, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=[*MEANT, change])
