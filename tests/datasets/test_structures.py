"""A file for each structure or object: names, voxels that structures share, and files on grids of their own."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import Dataset, open_dataset
from hyoid.files.formats import write_image
from hyoid.tasks.choose import task_for

BOX = Grid.from_affine(np.diag([1.0, 1.0, 2.0, 1.0]), (8, 9, 10))
FLAT = Grid.plain((20, 30))


def scan(path: Path, grid: Grid = BOX) -> None:
    write_image(path, Image(np.arange(np.prod(grid.shape)).reshape(1, *grid.shape).astype(np.int16) % 251, grid))


def mask(path: Path, begin: int, end: int, grid: Grid = BOX, value: int = 1) -> None:
    array = np.zeros((1, *grid.shape), np.uint8)
    array[0, begin:end] = value
    write_image(path, Image(array, grid, "labels"))


def bars(root: Path, names: dict[str, tuple[int, int]], cases=("a", "b"), place="labels/{case}/{name}", grid=BOX):
    suffix = ".nii.gz" if grid.dims == 3 else ".png"
    for case in cases:
        scan(root / "images" / f"{case}{suffix}", grid)
        for name, (begin, end) in names.items():
            mask(root / f"{place.format(case=case, name=name)}{suffix}", begin, end, grid)
    return root


@pytest.mark.parametrize("grid", [BOX, FLAT])
@pytest.mark.parametrize("place", ["labels/{case}/{name}", "labels/{case}/{case}_{name}", "labels/{name}/{case}"])
def test_structures_are_named_after_files_or_folders(tmp_path, place, grid):
    dataset = open_dataset(bars(tmp_path, {"liver": (1, 3), "spleen": (4, 7)}, place=place, grid=grid))
    assert dataset.labels.names == ("liver", "spleen") and dataset.encoding.kind == "structures"
    array = dataset.read("a").truth.array[0]
    assert (array[1:3] == 1).all() and (array[4:7] == 2).all() and not array[7:].any()


def test_a_rare_structure_does_not_make_objects_of_the_others(tmp_path):
    bars(tmp_path, {"liver": (1, 3), "spleen": (4, 7)})
    mask(tmp_path / "labels" / "a" / "tumour.nii.gz", 7, 8)
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("liver", "spleen", "tumour")
    assert "Only one case has tumour" in " ".join(dataset.warnings)


@pytest.mark.parametrize("declared", ["", "5: whole\n9: core\n", "whole: [1, 2]\ncore: 2\n"])
def test_overlapping_structures_are_regions_and_lose_nothing(tmp_path, declared):
    bars(tmp_path, {"whole": (1, 6), "core": (4, 7)})
    if declared:
        (tmp_path / "labels.yaml").write_text(declared)
    dataset = open_dataset(tmp_path)
    truth = dataset.read("a").truth.array
    for name, group in zip(dataset.labels.names, dataset.labels.values, strict=True):
        if (name, declared[:5]) != ("whole", "whole"):  # declared so that what is core is whole, too
            begin, end = {"whole": (1, 6), "core": (4, 7)}[name]
            assert (np.isin(truth[0, begin:end], group)).all() and not np.isin(truth[0, end:], group).any()
    assert any("overlap (" in note for note in dataset.notes)
    task = task_for(dataset.labels)
    masks = np.stack([np.isin(truth[0], group) for group in dataset.labels.values]).astype(np.float32)
    np.testing.assert_array_equal(task.decode(masks), truth[0])
    assert Dataset.from_dict(json.loads(json.dumps(dataset.to_dict()))) == dataset


def test_three_structures_in_one_voxel(tmp_path):
    dataset = open_dataset(bars(tmp_path, {"a": (1, 6), "b": (2, 5), "c": (3, 4)}))
    array = dataset.read("a").truth.array[0, :, 0, 0]
    found = [{n for n, group in zip("abc", dataset.labels.values, strict=True) if v in group} for v in array]
    assert found == [set(), {"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"a"}, set(), set()]


def test_declared_names_that_lack_a_file_are_refused(tmp_path):
    bars(tmp_path, {"liver": (1, 3), "spleen": (4, 7)})
    (tmp_path / "labels.yaml").write_text("1: liver\n")
    with pytest.raises(DataError, match="Files are called spleen, but the declared structures are liver"):
        open_dataset(tmp_path)


def test_a_file_of_several_values_is_no_file_of_one_structure(tmp_path):
    bars(tmp_path, {"liver": (1, 3), "spleen": (4, 7)})
    mask(tmp_path / "labels" / "b" / "spleen.nii.gz", 4, 7, value=2)
    open_dataset(tmp_path)
    array = np.zeros((1, *BOX.shape), np.uint8)
    array[0, 1:4], array[0, 4:6] = 1, 2
    write_image(tmp_path / "labels" / "b" / "spleen.nii.gz", Image(array, BOX, "labels"))
    with pytest.raises(DataError, match=r"b/spleen.nii.gz: expected 0 and one other value.* holds 1 and 2"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("names", [("liver", "spleen"), ("1", "2")])
def test_a_mirrored_file_is_turned_and_one_elsewhere_refused(tmp_path, names):
    bars(tmp_path, {names[0]: (1, 3), names[1]: (4, 7)})
    turned = BOX.oriented("LAS")
    for case in ("a", "b"):
        mask(tmp_path / "labels" / case / f"{names[1]}.nii.gz", 1, 4, turned)  # 4 to 7 from the other side
    dataset = open_dataset(tmp_path)
    array = dataset.read("a").truth.array[0]
    assert array[1:3].all() and array[4:7].all() and np.count_nonzero(array[:, 0, 0]) == 5
    assert any("Files of objects or structures have axes in another order" in note for note in dataset.notes)
    away = replace(BOX, origin_mm=(50.0, 0.0, 0.0))
    mask(tmp_path / "labels" / "b" / f"{names[1]}.nii.gz", 4, 7, away)
    with pytest.raises(DataError, match=r"b: .* are not on one grid: they start at 50x0x0 and 0x0x0 mm"):
        open_dataset(tmp_path)
