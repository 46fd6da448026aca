"""Journeys from a folder of annotated images to a report, in 2D and in 3D."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import hyoid
from hyoid.classical import baselines
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.record import schema

SMALL = (
    "planning.channels=[8, 16, 32]",
    "planning.batch=2",
    "evaluation.resamples=100",
    "training.validation=0.05",
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=6, size=64)


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cells", "organs"])
def test_a_folder_becomes_a_report(kind, tmp_path):
    data = write_phantoms(tmp_path / "data", kind, num_cases=5, size=48)
    page = hyoid.run(data, into=tmp_path / "run", steps=20, baseline=True, changes=SMALL)
    assert page == tmp_path / "run" / "report.html"
    assert "<html" in page.read_text()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    names = {row["structure"] for row in rows_of(tmp_path / "run")}
    assert names == {"cells": {"cell", "border"}, "organs": {"left_kidney", "right_kidney", "spine"}}[kind]
    assert not list(Draft202012Validator(schema()).iter_errors(report))
    assert [row["structure"] for row in report["certainty"]["structures"]] == report["structures"]
    story = report["run"]
    assert story["data_sheet"]["equal_images_in_several_parts"] == []
    assert (
        story["model"]["first weights"] == "drawn at random with seed 0" and "fold 0 validates" in story["split_rule"]
    )
    weights = hashlib.sha256((tmp_path / "run" / "weights" / "last.safetensors").read_bytes()).hexdigest()
    assert story["environment"]["weights"] == f"sha256 {weights[:16]}" and "cores" in story["environment"]
    assert story["energy"]["total"] > 0 and {stage["name"] for stage in story["stages"]} >= {"plan", "train", "predict"}
    assert (tmp_path / "run" / "MODEL_CARD.md").is_file()
    assert {one["name"] for one in report["baselines"]["methods"]} == {"mean mask", *baselines}
    assert report["baselines"]["methods"][0]["mean"][0]["mean"] > 0.3
    for answer in hyoid.predict(tmp_path / "run"):
        source = data / "images" / answer.name
        assert hyoid.read_image(answer, "labels").grid.matches(hyoid.read_image(source).grid)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_cases_csv(cells, tmp_path):
    for name in ("one", "two"):
        hyoid.run(cells, into=tmp_path / name, steps=6, seed=3, changes=SMALL)
    assert (tmp_path / "one" / "cases.csv").read_bytes() == (tmp_path / "two" / "cases.csv").read_bytes()


@pytest.mark.slow
def test_training_learns_the_cells(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", num_cases=10, size=96)
    hyoid.run(data, into=tmp_path / "run", steps=150, changes=SMALL)
    dice = [float(row["dice"]) for row in rows_of(tmp_path / "run") if row["structure"] == "cell"]
    assert np.mean(dice) > 0.85


@pytest.mark.slow
def test_a_finished_run_asked_again_does_nothing_and_asked_otherwise_refuses(cells, tmp_path):
    hyoid.run(cells, into=tmp_path / "run", steps=4, changes=SMALL)
    weights = (tmp_path / "run" / "weights" / "last.safetensors").stat().st_mtime_ns
    hyoid.run(cells, into=tmp_path / "run", steps=4, changes=SMALL)
    assert (tmp_path / "run" / "weights" / "last.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(hyoid.ConfigError, match=r"training\.steps was 4, now 5"):
        hyoid.run(cells, into=tmp_path / "run", steps=5, changes=SMALL)


@pytest.mark.slow
def test_gaps_between_touching_cells_weigh_more_when_asked(cells, tmp_path):
    changes = (*SMALL, "training.voxel_weights=touching", "training.loss=cross_entropy")
    hyoid.run(cells, into=tmp_path / "run", steps=3, changes=changes)
    maps = list((tmp_path / "prepared").rglob("extra-touching.npy"))
    assert len(maps) == 6
    assert max(float(np.load(path).max()) for path in maps) > 2


@pytest.mark.slow
def test_an_answer_never_takes_the_place_of_an_image(cells, tmp_path):
    hyoid.run(cells, into=tmp_path / "run", steps=2, changes=SMALL)
    before = {path: path.read_bytes() for path in (cells / "images").iterdir()}
    with pytest.raises(hyoid.ConfigError, match="would lie among images"):
        hyoid.predict(tmp_path / "run", [cells / "images"], into=cells / "images")
    assert {path: path.read_bytes() for path in (cells / "images").iterdir()} == before
    answers = hyoid.predict(
        tmp_path / "run", [cells / "images"], into=tmp_path / "out", changes=["prediction.overlap=0"]
    )
    assert len(answers) == 6


@pytest.mark.slow
def test_answers_lie_as_their_images_do(cells, tmp_path):
    hyoid.run(cells, into=tmp_path / "run", steps=2, changes=SMALL)
    source = sorted((cells / "images").iterdir())[0]
    for place in ("", "a/b", "c"):
        for kind in ("images", "labels"):
            (tmp_path / kind / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(cells / kind / source.name, tmp_path / kind / place)
    answers = tmp_path / "images" / "answers"
    for _ in range(2):
        written = hyoid.predict(tmp_path / "run", [tmp_path / "images"], into=answers)
        origin = json.loads((answers / "answers.jsonl").read_text().splitlines()[-1])
        assert origin["run"] == str(tmp_path / "run") and f"c/{source.name}" in origin["answers"]
        assert sorted(str(path.relative_to(answers)) for path in written) == [
            f"{place}{source.name}" for place in ("a/b/", "c/", "")
        ]
    assert len(hyoid.evaluate(answers, tmp_path / "labels", into=tmp_path / "measured").cases) == 3
