"""hyoid.cases: the patches of a run as a torch data set, in the order and with the numbers of hyoid train."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import hyoid
from hyoid.augmentation.patches import augmented
from hyoid.core.errors import ConfigError
from hyoid.datasets.phantoms import write_phantoms

BATCH = 2
SMALL = ["planning.channels=[4,8]", f"planning.batch={BATCH}", "training.voxel_weights=touching"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    data = write_phantoms(folder / "data", "cells", 5, 32)
    hyoid.plan(data, into=folder / "run", steps=3, changes=SMALL, seed=4)
    return folder / "run"


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """A run of a 2D net on volumes."""
    folder = tmp_path_factory.mktemp("organs")
    data = write_phantoms(folder / "data", "organs", 4, 24)
    hyoid.plan(data, into=folder / "run", steps=3, changes=["planning.channels=[4,8]", "planning.dims=2"])
    return folder / "run"


@pytest.mark.parametrize("which", ["run", "slices"])
def test_a_loader_gives_the_batches_of_training(which, request):
    patches = hyoid.cases(request.getfixturevalue(which))
    loader = DataLoader(patches, batch_size=patches.feed.sampler.batch)
    assert len(loader) == 3
    for number, batch in enumerate(loader):
        wanted = patches.feed.batch(number)["labelled"]
        assert torch.equal(batch["image"], wanted.image) and torch.equal(batch["target"], wanted.target)
        assert tuple(batch["case_id"]) == wanted.case_ids
        assert ("weight" in batch) == (wanted.weight is not None)
        assert wanted.weight is None or torch.equal(batch["weight"], wanted.weight)


def test_an_item_is_the_sample_of_the_sampler(run):
    patches = hyoid.cases(run, steps=10)
    drawn = patches.feed.sampler.draw(3, 1)
    item = patches[3 * BATCH + 1]
    assert np.array_equal(item["image"], augmented(drawn.cut).image) and item["case_id"] == drawn.case_id
    assert len(patches) == 10 * BATCH
    with pytest.raises(IndexError, match="There are 20 items"):
        patches[10 * BATCH]
    assert patches[-1]["case_id"] == patches[len(patches) - 1]["case_id"]
    with pytest.raises(ConfigError, match="expected a whole number from 0 on"):
        hyoid.cases(run, seed=-1)


@pytest.mark.slow
def test_processes_of_a_loader_give_the_same_items(run):
    patches = hyoid.cases(run)
    loader = DataLoader(patches, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    for item, wanted in zip(loader, patches, strict=True):
        assert torch.equal(item["image"], wanted["image"])


def test_it_travels_as_bytes(run):
    for whole in (False, True):
        items = hyoid.cases(run, whole=whole)
        again = pickle.loads(pickle.dumps(items))
        assert len(again) == len(items) and torch.equal(again[1]["image"], items[1]["image"])


def test_another_seed_gives_other_patches(run):
    first, other = (hyoid.cases(run, seed=seed)[0]["image"] for seed in (4, 5))
    assert torch.equal(first, hyoid.cases(run)[0]["image"]) and not torch.equal(first, other)


def test_patches_of_validation_cases_are_cut_but_not_changed(run):
    patches = hyoid.cases(run, "validation")
    case = hyoid.cases(run, "validation", whole=True)[0]
    values = set(case["image"].flatten().tolist())
    assert {item["case_id"] for item in patches} == {case["case_id"]}
    assert all(value in values or value == 0 for value in patches[0]["image"].flatten().tolist())


def test_whole_cases_are_those_of_the_split(run):
    training, validation = (hyoid.cases(run, part, whole=True) for part in ("training", "validation"))
    assert len(training) == 4 and len(validation) == 1
    item = training[0]
    assert item["image"].shape == (1, 32, 32) and item["image"].dtype == torch.float32
    assert item["target"].shape == (32, 32) and set(item["target"].unique().tolist()) <= {0, 1, 2}
    assert item["case_id"] not in {one["case_id"] for one in validation}


def test_another_part_is_refused(run):
    with pytest.raises(ConfigError, match=r"part: 'test' is not known\. Known: training, validation"):
        hyoid.cases(run, "test")
