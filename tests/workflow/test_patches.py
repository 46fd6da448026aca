"""Patches come from the prepared cases of a run, which are prepared again only where that is wanted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import hyoid
from hyoid.core.errors import ConfigError, DataError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.run_folder import RunFolder
from hyoid.workflow.patches import COUNT, patches_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("patches")
    cells = write_phantoms(folder / "cells", "cells", num_cases=4, size=32)
    hyoid.plan(cells, into=folder / "run", steps=5, changes=("planning.patch=[16,16]", "planning.channels=[4,8]"))
    hyoid.prepare(folder / "run")
    return RunFolder.open(folder / "run")


def prepared(run: RunFolder) -> list[Path]:
    return sorted(path.parent for path in run.prepared.rglob("facts.json"))


def test_patches_are_parts_of_the_cases_of_a_part(run):
    patches = patches_of(run, "validation", (8, 12), again=False).numpy()
    assert patches.shape[0] == COUNT and patches.shape[2:] == (8, 12) and patches.dtype == np.float32
    assert np.ptp(patches) > 0
    assert np.array_equal(patches, patches_of(run, "validation", (8, 12)).numpy())
    assert not np.array_equal(patches, patches_of(run, "training", (8, 12)).numpy())


def test_cases_that_are_gone_are_prepared_again_only_where_that_is_wanted(run):
    before = patches_of(run, "validation", (8, 8), again=False).numpy()
    for folder in prepared(run):
        shutil.rmtree(folder)
    with pytest.raises(DataError, match="no prepared case"):
        patches_of(run, "validation", (8, 8), again=False)
    assert not prepared(run)
    assert np.array_equal(before, patches_of(run, "validation", (8, 8)).numpy())
    assert prepared(run)


def test_a_run_without_validation_cases_has_no_such_patches(run, monkeypatch):
    monkeypatch.setattr(RunFolder, "split", run.split.model_copy(update={"validation": ()}))
    with pytest.raises(ConfigError, match="no validation cases to take patches of"):
        patches_of(RunFolder.open(run.path), "validation", (8, 8))
