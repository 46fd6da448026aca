"""What a run rests on does not change unseen: weights, prepared cases, images and labels."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import hyoid
from hyoid.core.errors import DataError, HyoidError
from hyoid.core.lock import alone
from hyoid.core.sources import stamps_of
from hyoid.datasets.below import ANSWERS
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import write_image
from hyoid.run_folder import RunFolder
from hyoid.training import loop
from hyoid.training.checkpoint import read_checkpoint, write_checkpoint
from hyoid.workflow.origin import Record
from hyoid.workflow.own_cases import predict_validation
from hyoid.workflow.sources import remember

SMALL = ("planning.patch=[32,32]", "planning.batch=1", "planning.channels=[4,8]", "evaluation.resamples=100")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with `data` and a finished `run` on it."""
    folder = tmp_path_factory.mktemp("finished")
    write_phantoms(folder / "data", "cells", num_cases=4, size=32)
    hyoid.run(folder / "data", into=folder / "run", steps=2, threads=1, changes=[*SMALL, "num_folds=2"])
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the run, which may be changed."""
    return shutil.copytree(finished / "run", tmp_path / "run")


def ensemble_of(run: Path) -> Path:
    (run.parent / "ensemble.yaml").write_text("members: [{run: run}]\n")
    return run.parent


WAYS = {
    "predict": lambda run, data: hyoid.predict(run),
    "predict images": lambda run, data: hyoid.predict(run, [data / "images"], into=run.parent / "answers"),
    "load": lambda run, data: hyoid.load(run),
    "an ensemble": lambda run, data: hyoid.load(ensemble_of(run)),
    "start from": lambda run, data: hyoid.run(data, into=run.parent / "other", steps=1, start_from=run, changes=SMALL),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("harm", ["NaN", "changed"])
def test_weights_that_cannot_be_right_are_refused_in_every_way_in(run, finished, way, harm):
    weights = run / "weights" / "last.safetensors"
    if harm == "NaN":
        tensors, facts = read_checkpoint(weights)
        tensors["average/heads.0.weight"] = tensors["average/heads.0.weight"] * torch.nan
        write_checkpoint(weights, tensors, facts)
    else:
        content = weights.read_bytes()
        weights.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    shutil.rmtree(run / "predictions")
    what = "heads.0.weight are not finite numbers" if harm == "NaN" else "this file has changed since it was written"
    with pytest.raises(DataError, match=rf"run/weights/last\.safetensors: .*{what}; put back a whole copy"):
        WAYS[way](run, finished / "data")


@pytest.fixture
def mine(finished, tmp_path) -> Path:
    """A folder with data of its own and a finished run on it, whose lists name these data."""
    shutil.copytree(finished / "data", tmp_path / "mine" / "data")
    shutil.copytree(finished / "run", tmp_path / "mine" / "run")
    for file in [*(tmp_path / "mine" / "run").glob("*.json"), tmp_path / "mine" / "run" / "experiment.yaml"]:
        file.write_text(file.read_text().replace(str(finished), str(tmp_path / "mine")))
    remember_anew(tmp_path / "mine" / "run")
    return tmp_path / "mine"


def remember_anew(run: Path) -> None:
    folder = RunFolder.open(run)
    remember(folder, {entry.id: stamps_of(entry) for entry in folder.dataset.cases})
    (run / "predictions.json").unlink()
    predict_validation(folder)


def again(mine: Path) -> Path:
    return hyoid.run(mine / "data", into=mine / "run", steps=2, threads=1, changes=[*SMALL, "num_folds=2"])


def move_objects(mine: Path, part: str = "labels") -> list[Path]:
    """Turn the files of a part of the data round; their sizes may stay as they are."""
    files = sorted((mine / "data" / part).iterdir())
    for file in files:
        image = hyoid.read_image(file, "labels" if part == "labels" else "intensities")
        write_image(file, image.with_array(image.array[:, ::-1]))
    return files


def test_a_finished_run_is_asked_again_for_nothing(mine, caplog):
    before = (mine / "run" / "weights" / "last.safetensors").read_bytes()
    for file in (mine / "data").rglob("*.*"):
        file.touch()  # another time, the same bytes
    again(mine)
    assert "changed" not in caplog.text
    assert (mine / "run" / "weights" / "last.safetensors").read_bytes() == before


def test_a_run_does_not_go_on_with_corrected_labels(mine, caplog):
    files = move_objects(mine)
    told = (
        rf"run: 4 files have changed since it began \(labels/{files[0].name}, .*and its net has learned from the former"
    )
    for go_on in (lambda: again(mine), lambda: hyoid.train(mine / "run")):
        with pytest.raises(DataError, match=told):
            go_on()
    hyoid.prepare(mine / "run")
    assert "the training that has begun does not go on with them." in caplog.text
    hyoid.evaluate(mine / "run")
    assert "cases are judged as they are now." in caplog.text
    hyoid.train(mine / "run", resume=False)
    assert "it learns from them as they are now, with the plan as it is." in caplog.text
    caplog.clear()
    again(mine)
    assert "changed" not in caplog.text


def test_other_images_are_answered_again(mine, caplog):
    answers = {path: path.read_bytes() for path in hyoid.predict(mine / "run")}
    times = {path: path.stat().st_mtime_ns for path in answers}
    hyoid.predict(mine / "run")
    assert times == {path: path.stat().st_mtime_ns for path in answers}
    move_objects(mine, "images")
    hyoid.predict(mine / "run")
    assert all(path.stat().st_mtime_ns > time for path, time in times.items())
    assert "images are answered as they are now." in caplog.text


def test_a_planned_run_takes_corrected_labels_with_a_warning(mine, caplog):
    shutil.rmtree(mine / "run" / "weights")
    move_objects(mine)
    again(mine)
    assert caplog.text.count("have changed since it began") == 1


@pytest.mark.parametrize("change", ["new", "gone"])
def test_a_run_does_not_go_on_with_other_cases(mine, change):
    first, *_ = sorted((mine / "data" / "images").iterdir())
    label = mine / "data" / "labels" / first.name
    if change == "new":
        for file in (first, label):
            shutil.copy(file, file.with_name(f"new{file.suffix}"))
    else:
        first.unlink()
        label.unlink()
    name = "new" if change == "new" else first.stem
    with pytest.raises(
        DataError, match=rf"data: {name} came, went or changed since .*run was planned; choose another --into"
    ):
        again(mine)


def test_images_replaced_in_the_middle_of_a_training_are_told_at_its_end(mine, caplog, monkeypatch):
    fit = loop.fit

    def replaced_meanwhile(net, job):
        move_objects(mine, "images")
        return fit(net, job)

    monkeypatch.setattr(loop, "fit", replaced_meanwhile)
    hyoid.train(mine / "run", resume=False)
    assert "4 files have changed since it began" in caplog.text
    assert "the net has learned from the former ones." in caplog.text


def hold(run: Path) -> AbstractContextManager[bool]:
    return alone(run / ".lock", "this run")


ALONE = {
    "prepare": hyoid.prepare,
    "train": hyoid.train,
    "predict": hyoid.predict,
    "evaluate": hyoid.evaluate,
    "report": hyoid.report,
}


@pytest.mark.parametrize("verb", ALONE)
def test_a_second_program_on_a_run_is_told_who_works_on_it(run, verb):
    with (
        hold(run),
        pytest.raises(HyoidError, match=r"run: process \d+ on .* is working on this run; wait until it ends"),
    ):
        ALONE[verb](run)


def test_what_a_killed_program_left_in_a_run_goes(run):
    leftover, other = run / "weights" / f".hyoid-{'0' * 16}.last.safetensors", run / ".deadbeef.txt"
    for file in (leftover, other):
        file.write_text("half")
    with RunFolder(run).alone():
        assert not leftover.exists() and other.exists()


def test_a_run_answers_images_while_another_program_works_on_it(run, finished):
    with hold(run):
        for name in ("one", "two"):
            half = run.parent / name / f".hyoid-{'0' * 16}.half.png"  # of a program that was killed
            half.parent.mkdir()
            half.write_text("half")
            assert len(hyoid.predict(run, [finished / "data" / "images"], into=run.parent / name)) == 4
            assert not half.exists()
        hyoid.evaluate(run, into=run.parent / "judged")


ODD = {
    "predictions.json": ['{"made_by": "", "sources": "x"}', "[]", "null"],
    "sources.json": ['{"stamps": {"cells_000": 1}}', '{"stamps": {"cells_000": {"a": [1]}}}'],
    "timing.json": ['{"train": null}', '{"train": 1e999}', '{"train": true}'],
    "energy.json": ['{"train": {}}', '{"train": {"processor": "1", "counted": true}}'],
    "training.json": ['{"memory_gb": "a", "steps": 1, "step_seconds": 1, "waiting": 0}', '{"steps": 2}'],
    "dataset.json": ['{"seen": 1}', "[1]"],
    "report.json": ['{"certainty": [1]}', "null"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in ODD.items() for text in texts])
def test_values_of_another_kind_are_refused_in_a_sentence(run, name, text):
    (run / name).write_text(text)
    verb = hyoid.predict if name in ("predictions.json", "sources.json") else hyoid.report
    with pytest.raises(HyoidError, match=name.replace(".", r"\.")):
        verb(run)


def test_a_report_names_cases_that_the_split_does_not_judge(run):
    (run / "split.yaml").write_text("training: [cells_000]\nvalidation: []\n")
    with pytest.raises(HyoidError, match=r"cases\.csv judges .*judges anew"):
        hyoid.report(run)


@pytest.mark.parametrize("facts", [[], None, "x", {"predicts": {}}])
def test_facts_of_another_kind_make_no_checkpoint(run, facts):
    weights = run / "weights" / "last.safetensors"
    tensors, _ = read_checkpoint(weights)
    save_file(tensors, weights, {"facts": json.dumps(facts)})
    with pytest.raises(DataError, match="this is not what hyoid wrote"):
        read_checkpoint(weights)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["predictions/answers.jsonl", "cases.csv", "log.txt", ".lock", "timing.json"])
def test_pipes_in_a_run_are_refused_at_once(run, name):
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    verb = hyoid.predict if name.startswith("predictions") else hyoid.report
    (run / "predictions.json").unlink()
    refused = "no regular file|nothing can be written|does not list"
    with pytest.raises((HyoidError, OSError), match=refused), RunFolder(run).logged():
        verb(run)


@pytest.mark.parametrize("names", ["[1]", '["a\\u0000b"]', '["link"]', '["."]', '["mine"]', "7"])
def test_only_answers_that_are_listed_go(tmp_path, names):
    into, other = tmp_path / "into", tmp_path / "into" / "mine"
    other.mkdir(parents=True)
    (other / "kept").write_text("")
    (into / "link").symlink_to(other)
    (into / "a.png").write_text("")
    (into / ANSWERS).write_text(f'{{"writes": {names}}}\nnull\n[null]\n{{"writes": ["a.png"]}}\n')
    Record(into).forget()
    assert (other / "kept").exists() and not (into / "a.png").exists()
