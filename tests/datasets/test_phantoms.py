"""Generated data sets are real enough to train on, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from hyoid.core.errors import ConfigError
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.phantoms import CELLS, ORGANS, cells, organs, write_phantoms


@pytest.fixture(scope="module")
def cell_set(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("cells"), "cells", num_cases=3, size=96)


@pytest.fixture(scope="module")
def organ_set(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("organs"), "organs", num_cases=4, size=40)


def test_cells_are_a_data_set_with_two_named_structures(cell_set):
    dataset = open_dataset(cell_set)
    assert len(dataset) == 3
    assert dataset.labels.names == tuple(CELLS.values())
    case = dataset.read(dataset.ids[0])
    assert case.image.array.shape == (1, 96, 96)
    assert set(np.unique(case.truth.array)) == {0, 1, 2}


def test_organs_are_a_data_set_with_a_left_right_pair(organ_set):
    dataset = open_dataset(organ_set)
    assert dataset.labels.names == tuple(ORGANS.values())
    assert dataset.labels.pairs() == [(0, 1)]
    grids = [dataset.read(case).image.grid for case in dataset.ids]
    assert len({grid.shape for grid in grids}) == 4
    assert {grid.orientation for grid in grids} == {"RAS", "LPS"}
    assert all(grid.spacing_mm[2] > 2 * grid.spacing_mm[0] for grid in grids)


@pytest.mark.parametrize("kind", ["cells", "organs", "photographs"])
def test_the_same_seed_gives_the_same_bytes(kind, tmp_path):
    for name in ("one", "two"):
        write_phantoms(tmp_path / name, kind, num_cases=1, size=48, seed=5)
    write_phantoms(tmp_path / "other", kind, num_cases=1, size=48, seed=6)
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    image = next(file for file in files if file.parts[0] == "images")
    assert (tmp_path / "one" / image).read_bytes() != (tmp_path / "other" / image).read_bytes()


def test_more_cases_leave_the_first_ones_as_they_are(tmp_path):
    write_phantoms(tmp_path / "few", "cells", num_cases=1, size=48)
    write_phantoms(tmp_path / "more", "cells", num_cases=2, size=48)
    name = "images/cells_000.png"
    assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_cells_touch_and_a_border_parts_them(seed):
    _, labels = cells(np.random.default_rng(seed), 128)
    interiors, num_cells = label(labels.array[0] == 1)
    _, num_clumps = label(labels.array[0] > 0)
    assert num_cells > 2 * num_clumps
    assert np.median(np.bincount(interiors.ravel())[1:]) > 40


@pytest.mark.parametrize("index", range(4))
def test_left_is_left_in_the_body_whatever_the_axes(index):
    _, labels = organs(np.random.default_rng([0, index]), 48, index)
    centres = {}
    for value, name in ORGANS.items():
        where = labels.grid.to_world(np.argwhere(labels.array[0] == value))
        assert len(where) > 50, name
        centres[name] = where.mean(0)
    assert centres["left_kidney"][0] < centres["spine"][0] < centres["right_kidney"][0]
    assert centres["spine"][1] < centres["left_kidney"][1]


def test_noise_and_illumination_differ_over_the_picture():
    image, labels = cells(np.random.default_rng(0), 128)
    background = image.array[0][labels.array[0] == 0].astype(float)
    assert background.std() > 1
    assert image.array.max() > 200


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected one of cells, organs"):
        write_phantoms(tmp_path, "bones")
