"""The cases kept for a test are judged apart, and each use is counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hyoid
from hyoid.core.errors import ConfigError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.report import Report
from hyoid.prediction.ensemble import Ensemble, Member

from .test_ensembles import trained

SMALL = ("planning.patch=[16,16]",)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two folds on the training cases of a data set with two test cases."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_phantoms(folder / "data", "cells", num_cases=6, size=32, seed=1)
    ids = sorted(file.stem for file in (data / "images").iterdir())
    shutil.copy(data / "images" / f"{ids[0]}.png", data / "images" / f"{ids[5]}.png")  # a copy in the test
    shutil.copy(data / "labels" / f"{ids[0]}.png", data / "labels" / f"{ids[5]}.png")
    rows = (f"{case},{'Testing' if k > 3 else ''}\n" for k, case in enumerate(ids))
    (data / "cases.csv").write_text(f"case,split\n{''.join(rows)}")
    for fold in range(2):
        trained(data, folder / f"fold_{fold}", *SMALL, "num_folds=2", f"fold={fold}", seed=fold)
    return folder


def copy_of(runs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(runs / "fold_0", tmp_path / "run")


def test_test_cases_are_judged_apart_from_the_run(runs, tmp_path):
    run = copy_of(runs, tmp_path)
    found = hyoid.evaluate(run, test=True)
    assert len(found.cases) == 2 and set(found.cases) == set(Report.read(run / "test").cases)
    assert [one["name"] for one in found.baselines["methods"]] == ["mean mask"]
    split = (run / "split.yaml").read_text() + (run / "fingerprint.yaml").read_text()
    assert not any(case in split for case in found.cases)
    assert (run / "test" / "report.html").is_file() and not (run / "cases.csv").exists()
    assert sorted(path.stem for path in (run / "test" / "predictions").glob("*/*.png")) == sorted(found.cases)


def test_each_use_is_counted_and_told(runs, tmp_path):
    run = copy_of(runs, tmp_path)
    first = hyoid.evaluate(run, test=True)
    again = hyoid.evaluate(run, test=True, into=tmp_path / "elsewhere")
    assert any("judged once" in note for note in first.notes)
    assert any("judged 2 times" in note and "different" not in note for note in again.notes)
    assert "judged 2 times" in (tmp_path / "elsewhere" / "report.html").read_text()
    settings = (run / "experiment.yaml").read_text()
    (run / "experiment.yaml").write_text(settings.replace("largest_component: []", "largest_component: [cell]"))
    assert any(
        "judged 3 times" in note and "with 2 different weights" in note for note in hyoid.evaluate(run, test=True).notes
    )
    assert len(json.loads((run / "tested.json").read_text())["judged"]) == 3


def test_a_test_case_that_was_learned_from_is_told(runs, tmp_path):
    found = hyoid.evaluate(copy_of(runs, tmp_path), test=True)
    assert any("1 of 2 test cases are images of training or validation" in text for text in found.flatters)


def test_all_members_of_an_ensemble_answer_the_test(runs, tmp_path):
    for name in ("fold_0", "fold_1"):
        shutil.copytree(runs / name, tmp_path / name)
    Ensemble(members=(Member(run="fold_0"), Member(run="fold_1"))).write(tmp_path / "ensemble.yaml")
    found = hyoid.evaluate(tmp_path, test=True)
    assert len(found.cases) == 2 and (tmp_path / "test" / "cases.csv").is_file()
    assert found.rows != hyoid.evaluate(tmp_path / "fold_0", test=True).rows


def test_a_run_without_a_test_says_so(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", num_cases=4, size=32)
    run = trained(data, tmp_path / "run", *SMALL)
    with pytest.raises(ConfigError, match="marks no annotated case as test"):
        hyoid.evaluate(run, test=True)
    with pytest.raises(ConfigError, match="--test judges a run alone"):
        hyoid.evaluate(run, baseline=True, test=True)
