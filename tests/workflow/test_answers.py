"""Where answers go, and what is told of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

import hyoid
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError, DataError, HyoidError
from hyoid.datasets.below import images_below
from hyoid.datasets.cases import find_images
from hyoid.datasets.entry import Entry
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import read_image, write_image
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.run_folder import RunFolder, Split
from hyoid.tasks import task_for
from hyoid.workflow.answers import (
    _check_names_of_probabilities,
    answer_file,
    answers_of,
    fingerprint_of,
    predict_entries,
)
from hyoid.workflow.origin import Record

from .test_large import predictor_for

DATASET = SimpleNamespace(channel_names=("c",), seen={})


def volumes(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def answered(source: Path, into: Path, **options) -> list[Path]:
    return predict_entries(predictor_for((8, 8, 8)), DATASET, find_images(source, 1), into, **options)


def noted(folder: Path) -> list[dict]:
    """What calls noted when they ended."""
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [line for line in lines if "begun" in line]


def test_answers_without_a_structure_are_told(tmp_path, monkeypatch, caplog):
    def answer(self, case, *rest):
        array = np.zeros((1, *case.image.grid.shape), np.uint8)
        array[0, 0, 0, 0] = case.id not in empty
        return Image(array, case.image.grid, "labels")

    monkeypatch.setattr(Predictor, "predict", answer)
    source = volumes(tmp_path / "in", "a", "b")
    empty = ()
    answered(source, tmp_path / "out")
    assert "hold no structure" not in caplog.text
    empty = ("b",)
    answered(source, tmp_path / "more")
    assert "1 of 2 answers hold no structure (b); where that cannot be" in caplog.text


def test_what_made_answers_is_noted_beside_them(tmp_path):
    source = volumes(tmp_path / "in", "a", "ward/b")
    for run in ("first", "second"):
        answered(source, tmp_path / "out", origin={"run": run})
    told = noted(tmp_path / "out")
    assert [line["run"] for line in told] == ["first", "second"]
    assert told[0]["answers"] == ["a.nii.gz", "ward/b.nii.gz"] and told[0]["failed"] == {}
    assert told[0]["engine"] == "torch answered."


@pytest.mark.parametrize("memory_gb", [100, 1e-9])
def test_what_failed_is_noted_and_an_earlier_answer_is_not_taken_for_a_new_one(memory_gb, tmp_path, caplog):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b"):
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), source / f"{name}.nii")
    answered(source, tmp_path / "out", origin={}, memory_gb=memory_gb)
    earlier = (tmp_path / "out" / "b.nii").read_bytes()
    spoiled = np.full((8, 8, 8), np.nan, np.float32)
    nibabel.save(nibabel.Nifti1Image(spoiled, np.eye(4)), source / "b.nii")
    with pytest.raises(DataError, match="1 of 2 images were not predicted: b"):
        answered(source, tmp_path / "out", origin={}, memory_gb=memory_gb)
    line = noted(tmp_path / "out")[1]
    assert line["answers"] == ["a.nii"] and list(line["failed"]) == ["b"]
    assert "NaN" in line["failed"]["b"]
    assert line["failed"]["b"].endswith(f"{tmp_path / 'out' / 'b.nii'} is from an earlier call.")
    assert caplog.text.count("b was not predicted") == 1 and "b.nii is from an earlier call." in caplog.text
    assert (tmp_path / "out" / "b.nii").read_bytes() == earlier


def test_a_call_that_is_stopped_notes_what_it_wrote(tmp_path, monkeypatch):
    source = volumes(tmp_path / "in", "a", "b", "c")
    predictor, seen = predictor_for((8, 8, 8)), []
    predict = predictor.predict

    def stopping(case, *rest):
        assert images_below(source) and noted(source / "out") == []
        seen.append(case.id)
        if case.id == "b":
            raise KeyboardInterrupt
        return predict(case, *rest)

    monkeypatch.setattr(predictor, "predict", stopping)
    entries = find_images(source, 1)
    with pytest.raises(KeyboardInterrupt):
        predict_entries(predictor, DATASET, entries, source / "out", origin={"run": "r"})
    (line,) = noted(source / "out")
    assert seen == ["a", "b"] and line["run"] == "r" and line["answers"] == ["a.nii.gz"]
    assert line["failed"] == dict.fromkeys(("b", "c"), "the call ended before.")
    assert set(images_below(source).values()) == {"a", "b", "c"}


def test_an_image_of_one_value_is_told_once(tmp_path, caplog):
    source = volumes(tmp_path / "in", "empty")
    varied = np.zeros((8, 8, 8), np.float32)
    varied[-1, -1, -1] = 1
    nibabel.save(nibabel.Nifti1Image(varied, np.eye(4)), source / "varied.nii.gz")
    answered(source, tmp_path / "out")
    assert caplog.text.count("every voxel has the same value; an answer to it means nothing.") == 1
    assert "empty: every voxel" in caplog.text


@pytest.fixture
def answered_run(tmp_path) -> RunFolder:
    """A run whose validation cases have answers: their annotations."""
    data = write_phantoms(tmp_path / "data", "cells", num_cases=4, size=32)
    changes = ("planning.channels=[4,8]", "evaluation.resamples=100")
    hyoid.plan(data, into=tmp_path / "run", steps=2, changes=changes)
    folder = RunFolder.open(tmp_path / "run")
    for place in (folder.weights, folder.predictions):
        place.mkdir()
    (folder.weights / "last.safetensors").write_bytes(b"weights")
    folder.write_json("predictions.json", {"made_by": fingerprint_of(folder)})
    for case_id in folder.split.validation:
        file = answer_file(folder.predictions, folder.dataset.entry(case_id), None)
        Record(folder.predictions).claim([file])
        write_image(file, folder.dataset.read(case_id).truth)
    return folder


def test_a_damaged_answer_to_a_validation_case_is_made_again(answered_run, monkeypatch, caplog):
    folder = answered_run
    (case_id, path), *others = answers_of(folder).items()
    before = {other: other.read_bytes() for _, other in others}
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{path.name}: this answer cannot be read; .*`hyoid predict .*makes it again"):
        hyoid.evaluate(folder.path)
    experiment = folder.experiment
    answering = Predictor.of(experiment.decided.net.build(), task_for(experiment.task_labels), experiment.decided)
    monkeypatch.setattr("hyoid.workflow.own_cases.predictor_of", lambda folder, members: answering)
    hyoid.predict(folder.path)
    assert "This answer is made again" in caplog.text and path.name in caplog.text
    assert read_image(path, "labels").grid == folder.dataset.read(case_id).image.grid
    assert {other: other.read_bytes() for other in before} == before
    assert hyoid.evaluate(folder.path).cases


@pytest.mark.parametrize("verb", [hyoid.evaluate, hyoid.report])
def test_predictions_that_are_missing_are_told_with_what_makes_them(answered_run, verb):
    folder = answered_run
    hyoid.evaluate(folder.path)
    folder.write_json("training.json", {"steps": 2, "memory_gb": 1.0, "step_seconds": 0.1, "waiting": 0.0})
    shutil.rmtree(folder.predictions)
    with pytest.raises(ConfigError, match=r"run: 1 validation cases are not predicted; `hyoid predict .*` does it\.$"):
        verb(folder.path)


@pytest.mark.parametrize("name", ["split.yaml", "fingerprint.yaml"])
def test_what_planning_wrote_is_told_when_it_is_missing(answered_run, name):
    folder = answered_run
    hyoid.evaluate(folder.path)
    folder.write_json("training.json", {"steps": 2, "memory_gb": 1.0, "step_seconds": 0.1, "waiting": 0.0})
    (folder.path / name).unlink()
    with pytest.raises(
        ConfigError, match=rf"{name}: this is missing, and `hyoid plan` writes it; put it back, or plan"
    ):
        hyoid.report(folder.path)


def test_a_validation_case_that_the_data_lack_is_named(answered_run):
    folder = answered_run
    split = folder.split
    Split(training=split.training, validation=("nobody",)).write(folder.path / "split.yaml")
    with pytest.raises(DataError, match="there is no case 'nobody'"):
        hyoid.predict(folder.path)


def test_answers_that_are_folders_are_found(tmp_path):
    entry = Entry("sheet", (tmp_path / "sheet.ome.zarr",))
    (tmp_path / "predictions" / "sheet.ome.zarr").mkdir(parents=True)
    experiment = SimpleNamespace(prediction=PredictionSettings())
    dataset = SimpleNamespace(cases=[entry])
    facts = {"task": SimpleNamespace(kind="labels"), "fingerprint": SimpleNamespace(dims=2)}
    folder = SimpleNamespace(dataset=dataset, predictions=tmp_path / "predictions", experiment=experiment, **facts)
    assert answers_of(folder) == {}
    (tmp_path / "predictions" / "answers.jsonl").write_text('{"writes": ["sheet.ome.zarr"]}\n{"wri')
    assert answers_of(folder) == {"sheet": tmp_path / "predictions" / "sheet.ome.zarr"}


@pytest.mark.parametrize("baseline", [False, True])
def test_a_report_elsewhere_changes_nothing_in_the_run(baseline, answered_run, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.workflow.rivals.judge_baselines", lambda *arguments: {})
    run = answered_run.path
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    hyoid.evaluate(run, into=tmp_path / "elsewhere", baseline=baseline)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert (tmp_path / "elsewhere" / "report.json").is_file()
    hyoid.evaluate(run, into=run)
    times = answered_run.read_json("timing.json")
    assert "evaluate" in times and "baseline" not in times  # the mean mask needs no --baseline


def test_earlier_answers_are_not_taken_for_images(tmp_path):
    source = volumes(tmp_path / "in", "a")
    for place in ("one", "two"):
        assert len(answered(source, source / place, origin={})) == 1


def test_answers_do_not_lie_among_images(tmp_path):
    source = volumes(tmp_path / "in", "a", "ward/b")
    for into in (source, source / "ward"):
        with pytest.raises(ConfigError, match="would lie among images"):
            answered(source, into)
    assert not (source / "answers.jsonl").exists()


@pytest.mark.parametrize("format", [None, "ome.zarr"])
def test_an_answer_corrected_by_hand_is_not_covered_nor_deleted(format, tmp_path, caplog):
    source, into, predictor = volumes(tmp_path / "in", "a", "b"), tmp_path / "out", predictor_for((8, 8, 8))
    predictor.settings = predictor.settings.model_copy(update={"format": format})
    for _ in range(2):
        one = predict_entries(predictor, DATASET, find_images(source, 1), into)[0]
    mine = next(path for path in sorted(one.rglob("*")) if path.is_file()) if one.is_dir() else one
    mine.write_bytes(b"corrected")
    with pytest.raises(DataError, match="1 of 2 images were not predicted: a"):
        predict_entries(predictor, DATASET, find_images(source, 1), into)
    assert f"{one}: this file has changed since hyoid wrote it and is not covered; move it away." in caplog.text
    Record(into).forget()
    assert mine.read_bytes() == b"corrected" and [*into.iterdir()] == [one]


def test_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(HyoidError, match=r"out: could not be written \(a link to what is not there\)"):
        answered(volumes(tmp_path / "in", "a"), tmp_path / "out", origin={})


@pytest.mark.parametrize("verb", [hyoid.evaluate, hyoid.predict])
def test_answers_of_a_run_without_a_list_are_told_with_what_to_do(answered_run, verb):
    (answered_run.predictions / "answers.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"does not list .*; delete this folder or move it away, and `hyoid predict "):
        verb(answered_run.path)


def test_two_cases_never_share_an_answer(tmp_path):
    entries = [Entry("a", (tmp_path / "x.ome.zarr",)), Entry("a.ome", (tmp_path / "x.zarr",))]
    with pytest.raises(ConfigError, match=r"a\.ome\.zarr would be the answer to both a and a\.ome; rename"):
        predict_entries(predictor_for((8, 8, 8)), DATASET, entries, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a_liver.nii.gz", "ward/b.nii.gz"])
def test_what_hyoid_did_not_write_is_never_covered(name, tmp_path):
    source, file = volumes(tmp_path / "in", "a", "ward/b"), tmp_path / "labels" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"annotation")
    with pytest.raises(ConfigError, match=f"take the place of {file.name}, which answers.jsonl there does not list"):
        answered(source, tmp_path / "labels", probabilities=True)
    assert [one for one in (tmp_path / "labels").rglob("*") if one.is_file()] == [file]
    assert file.read_bytes() == b"annotation"


def test_what_came_while_others_were_answered_is_not_covered_and_killed_calls_may_be_repeated(tmp_path, monkeypatch):
    source, into = volumes(tmp_path / "in", "a", "b"), tmp_path / "out"
    predictor = predictor_for((8, 8, 8))
    predict = predictor.predict
    into.mkdir()

    def slow(case, *rest):
        if case.id == "b":
            (into / "b.nii.gz").write_bytes(b"annotation")
        return predict(case, *rest)

    monkeypatch.setattr(predictor, "predict", slow)
    with pytest.raises(DataError, match="1 of 2 images were not predicted: b"):
        predict_entries(predictor, DATASET, find_images(source, 1), into)
    assert (into / "b.nii.gz").read_bytes() == b"annotation"
    (into / "b.nii.gz").unlink()
    with (into / "answers.jsonl").open("a") as file:
        file.write('{"begun": "2026-01-01T')
    assert len(answered(source, into)) == len(answered(source, into)) == 2
    assert Record(into).listed == {"a.nii.gz", "b.nii.gz"}
    (into / "mine.nii.gz").write_bytes(b"annotation")
    Record(into).forget()
    assert [one.name for one in into.iterdir()] == ["mine.nii.gz"]


def test_probabilities_never_take_the_name_of_an_answer_or_of_one_another(tmp_path):
    with pytest.raises(ConfigError, match="a_liver would name the probabilities of liver of a and the answer to a_l"):
        answered(volumes(tmp_path / "in", "a", "a_liver"), tmp_path / "out", probabilities=True)
    assert not (tmp_path / "out").exists()
    predictor = SimpleNamespace(task=SimpleNamespace(structures=("tail", "b_tail"), probable=True))
    with pytest.raises(ConfigError, match=r"a_b_tail would name .* of tail of a_b and .* of b_tail of a"):
        _check_names_of_probabilities(predictor, ["a", "a_b"])
