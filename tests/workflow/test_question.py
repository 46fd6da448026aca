"""What is asked of a run: what is refused before any work is done, and what an earlier run has answered."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import hyoid
from hyoid.core.errors import DataError
from hyoid.io.phantoms import write_phantoms


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
    hyoid.plan(cells, into=tmp_path / "run", steps=2, changes=["patients_on_both_sides=true"])
    assert (tmp_path / "run" / "experiment.yaml").is_file()


def test_a_run_from_before_a_setting_existed_goes_on(cells, tmp_path):
    changes = ["patients_on_both_sides=true"]
    first = hyoid.plan(cells, into=tmp_path, steps=2, changes=changes)
    asked = json.loads((tmp_path / "asked.json").read_text())
    del asked["experiment"]["prediction"]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    assert hyoid.plan(cells, into=tmp_path, steps=2, changes=changes) == first
