"""Journeys of data sets with unlabelled images, partly annotated cases and target images; answers in wanted formats."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from torch import nn

import hyoid
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.registry import Entry
from hyoid.datasets.cases import find_images
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import read_image
from hyoid.preparation.store import Store
from hyoid.run_folder import RunFolder
from hyoid.training.regime import Regime, Turn, regimes
from seams import Pairing

from .test_large import predict, predictor_for, volume

SMALL = ("planning.channels=[4, 8]", "planning.batch=2", "evaluation.resamples=100", "planning.patch=[16,16]")


def data_set(folder: Path, unlabelled: bool) -> Path:
    """Six cells with annotations; with `unlabelled` four more without."""
    write_phantoms(folder, "cells", num_cases=10, size=32, seed=1)
    for number in range(6, 10):
        (folder / "labels" / f"cells_{number:03d}.png").unlink()
        if not unlabelled:
            (folder / "images" / f"cells_{number:03d}.png").unlink()
    return folder


def test_a_run_is_prepared_alone_in_a_fresh_process(tmp_path):
    hyoid.plan(data_set(tmp_path / "data", unlabelled=False), into=tmp_path / "run", steps=1, changes=SMALL)
    command = [sys.executable, "-m", "hyoid", "prepare", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


class Curious(Regime):
    """Looks at unlabelled cases, too."""

    feeds = {"labelled": 1, "unlabelled": 1}  # noqa: RUF012

    def __init__(self, net: nn.Module) -> None:
        self.turns = {"net": Turn(net)}


@pytest.fixture
def curious(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(regimes._entries, "curious", Entry("curious", Curious, ()))
    return "training.regime=curious"


@pytest.mark.slow
def test_unlabelled_cases_are_split_and_prepared_only_for_a_regime_that_feeds_on_them(tmp_path, curious):
    data = data_set(tmp_path / "data", unlabelled=True)
    for name, changes in (("plain", SMALL), ("curious", (*SMALL, curious))):
        hyoid.plan(data, into=tmp_path / name, steps=2, changes=changes)
    plain, other = (RunFolder.open(tmp_path / name) for name in ("plain", "curious"))
    assert plain.split == other.split
    assert plain.split.unlabelled == tuple(f"cells_{number:03d}" for number in range(6, 10))
    assert len(plain.fingerprint.cases) == 6 and plain.fingerprint == other.fingerprint
    store = Store.open(hyoid.prepare(plain.path))
    assert len(store.ids) == 6 and all(map(store.is_labelled, store.ids))
    store = Store.open(hyoid.prepare(other.path))
    assert [case for case in store.ids if not store.is_labelled(case)] == list(plain.split.unlabelled)


@pytest.mark.slow
def test_unlabelled_images_do_not_change_what_supervised_training_gives(tmp_path):
    for name in ("with", "without"):
        data = data_set(tmp_path / name / "data", unlabelled=name == "with")
        shown = hyoid.inspect(data)
        assert not shown.problems and len(shown.cases) == (10 if name == "with" else 6)
        hyoid.run(data, into=tmp_path / name / "run", steps=2, seed=3, changes=SMALL)
    both = [tmp_path / name / "run" for name in ("with", "without")]
    assert (both[0] / "cases.csv").read_bytes() == (both[1] / "cases.csv").read_bytes()
    one, other = (load_file(run / "weights" / "last.safetensors") for run in both)
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    assert (both[0] / "report.html").is_file()


@pytest.mark.slow
def test_second_images_are_kept_for_regimes_that_feed_on_pairs_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(regimes._entries, "pairing", Entry("pairing", Pairing, ()))
    data = data_set(tmp_path / "data", unlabelled=False)
    runs = [hyoid.run(data, into=tmp_path / "before", steps=2, seed=3, changes=SMALL)]
    shutil.copytree(data / "images", data / "others")
    (data / "others" / "cells_000.png").unlink()
    caplog.set_level("INFO")
    for name in ("supervised", "pairing"):
        changes = (*SMALL, f"training.regime={name}")
        runs.append(hyoid.run(data, into=tmp_path / name, steps=2, seed=3, changes=changes))
    plain, with_others, pairing = (tmp_path / name for name in ("before", "supervised", "pairing"))
    assert (plain / "cases.csv").read_bytes() == (with_others / "cases.csv").read_bytes()
    assert caplog.text.count("Answers come from the first image of a case alone") == 2
    stores = [Store.open(hyoid.prepare(run)) for run in (with_others, pairing)]
    assert [["other" in store.facts(case) for case in store.ids] for store in stores] == [
        [False] * 6,
        [False, *[True] * 5],
    ]
    np.testing.assert_array_equal(np.asarray(stores[1].other("cells_001")), np.asarray(stores[1].image("cells_001")))


@pytest.mark.slow
def test_a_partly_annotated_case_is_judged_by_what_was_annotated(tmp_path):
    data = data_set(tmp_path / "data", unlabelled=False)
    hyoid.plan(data, into=tmp_path / "first", steps=2, seed=3, changes=SMALL)
    partly = RunFolder.open(tmp_path / "first").split.validation[0]
    (data / "cases.csv").write_text(f"case,annotated\n{partly},cell\n")
    hyoid.run(data, into=tmp_path / "run", steps=2, seed=3, changes=SMALL)
    with (tmp_path / "run" / "cases.csv").open(newline="") as file:
        rows = {(row["case"], row["structure"]): row for row in csv.DictReader(file)}
    assert rows[partly, "border"]["finding"] == "unknown" and rows[partly, "border"]["dice"] == ""
    assert rows[partly, "cell"]["finding"] != "unknown" and rows[partly, "cell"]["dice"]
    assert "border was not annotated in 1 of" in (tmp_path / "run" / "report.json").read_text()


def test_target_images_need_a_task_that_learns_from_them(tmp_path):
    data = data_set(tmp_path / "data", unlabelled=False)
    shutil.rmtree(data / "labels")
    (data / "labels.yaml").unlink()
    shutil.copytree(data / "images", data / "targets")
    assert hyoid.inspect(data).facts["annotation"] == "image"
    with pytest.raises(DataError, match=r"of the kind 'image'; name a task that learns from it"):
        hyoid.plan(data, into=tmp_path / "run", steps=2)


@pytest.mark.parametrize("memory_gb", [5e-4, 100])
def test_answers_come_in_the_wanted_format(tmp_path, memory_gb):
    source = volume(tmp_path, 60, 40, 24)
    usual = predict(predictor_for((16, 16, 16)), source, tmp_path / "usual", 100)
    wanted = predict(predictor_for((16, 16, 16), format="ome.zarr"), source, tmp_path / "wanted", memory_gb)
    assert wanted.name == "scan.ome.zarr"
    one, other = (read_image(path, "labels").array for path in (wanted, usual))
    assert (one == other).mean() == 1 if memory_gb > 1 else (one == other).mean() > 0.99  # parts differ by rounding


def test_probabilities_and_names_follow_the_wanted_format(tmp_path):
    source = volume(tmp_path, 20, 16, 12)
    predictor = predictor_for((16, 16, 12), format="seg.nrrd")
    answer = predict(predictor, source, tmp_path / "out", 100, probabilities=True)
    found = sorted(path.name for path in answer.parent.iterdir())
    assert found == ["answers.jsonl", "scan.seg.nrrd", "scan_liver.nrrd", "scan_spleen.nrrd"]
    assert b"Segment1_Name:=spleen" in answer.read_bytes()
    assert read_image(answer, "labels").grid.matches(read_image(source).grid)
    assert find_images(answer.parent.parent / "scan.nii")[0].id == "scan"


def test_formats_that_cannot_hold_an_answer_are_refused_before_anything_is_read(tmp_path):
    source = volume(tmp_path, 60, 40, 24)
    with pytest.raises(ConfigError, match=r"'png': labels of 3 axes up to 5 fit into .*nii\.gz"):
        predict(predictor_for((16, 16, 16), format="png"), source, tmp_path / "out", 100)
    with pytest.raises(ConfigError, match=r"in parts it cannot be answered with prediction\.format"):
        predict(predictor_for((16, 16, 16), format="nrrd"), source, tmp_path / "out", 5e-4)
    assert not (tmp_path / "out").exists()
