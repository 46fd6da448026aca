"""Images without annotation, cases annotated in part, and truths that are images or fields."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import Dataset, open_dataset
from hyoid.datasets.inspect import inspect_path
from hyoid.files.formats import write_image

GRID = Grid.plain((20, 30))
VOLUME = Grid.from_affine(np.diag([1.0, 1.0, 2.0, 1.0]), (8, 9, 10))


def picture(path, seed=0, channels=1):
    array = np.random.default_rng(seed).integers(10, 250, (channels, *GRID.shape)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(array, GRID))


def mask(path, value=1, rows=slice(4, 10)):
    array = np.zeros((1, *GRID.shape), np.uint8)
    array[0, rows] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(array, GRID, "labels"))


def folder(root, labelled="ab", unlabelled="cd"):
    for seed, name in enumerate(labelled + unlabelled):
        picture(root / "images" / f"{name}.png", seed)
    for name in labelled:
        mask(root / "labels" / f"{name}.png")
    return root


def unlabelled_ids(dataset):
    return [entry.id for entry in dataset.unlabelled]


def test_unlabelled_images_are_counted_shown_and_read(tmp_path):
    root = folder(tmp_path)
    dataset = open_dataset(root)
    assert dataset.ids == ("a", "b") and unlabelled_ids(dataset) == ["c", "d"]
    assert dataset.read("c").truth is None and dataset.seen["c"].shape == GRID.shape
    shown = inspect_path(root)
    assert shown.facts["cases"] == "2 (2 more without annotation)"
    assert [(row["case"], row["foreground"]) for row in shown.cases] == [
        ("a", "30 %"),
        ("b", "30 %"),
        ("c", "not annotated"),
        ("d", "not annotated"),
    ]


def test_a_data_set_is_remembered_with_its_unlabelled_cases(tmp_path):
    dataset = open_dataset(folder(tmp_path))
    assert Dataset.from_dict(dataset.to_dict()) == dataset


@pytest.mark.parametrize("where", ["unlabelled", "unlabeled", "imagesUnl"])
def test_unlabelled_images_may_lie_in_a_folder_of_their_own(tmp_path, where):
    folder(tmp_path, unlabelled="")
    picture(tmp_path / where / "z.png")
    assert unlabelled_ids(open_dataset(tmp_path)) == ["z"]


def test_channels_of_unlabelled_cases_are_joined_like_those_of_the_others(tmp_path):
    for case in ("a", "b", "u"):
        for channel in range(2):
            picture(tmp_path / "imagesTr" / f"{case}_{channel:04d}.png", channel)
    for case in ("a", "b"):
        mask(tmp_path / "labelsTr" / f"{case}.png")
    dataset = open_dataset(tmp_path)
    assert unlabelled_ids(dataset) == ["u"] and dataset.read("u").image.channels == 2


def test_a_row_with_an_empty_label_is_an_unlabelled_case(tmp_path):
    folder(tmp_path, "ab", "c")
    lines = ["image,label", "images/a.png,labels/a.png", "images/b.png,labels/b.png", "images/c.png,"]
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    assert unlabelled_ids(open_dataset(tmp_path / "manifest.csv")) == ["c"]


def test_masks_beside_some_images_leave_the_others_unlabelled(tmp_path):
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.png")
    for name in ("a", "b"):
        mask(tmp_path / f"{name}_mask.png")
    assert unlabelled_ids(open_dataset(tmp_path)) == ["c"]


def test_a_case_without_masks_is_unlabelled_in_a_folder_per_case(tmp_path):
    for case in ("p1", "p2", "p3"):
        picture(tmp_path / case / "images" / f"{case}.png")
    for case in ("p1", "p2"):
        for number in (1, 2):
            mask(tmp_path / case / "masks" / f"{case}_{number}.png", 255, slice(5 * number, 5 * number + 3))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p1", "p2") and unlabelled_ids(dataset) == ["p3"]


def test_an_unlabelled_image_of_another_kind_is_refused_by_name(tmp_path):
    folder(tmp_path, unlabelled="")
    write_image(tmp_path / "images" / "z.nii.gz", Image(np.ones((1, *VOLUME.shape), np.uint8), VOLUME))
    with pytest.raises(DataError, match=r"z: an image without annotation needs 1 channels on 2 axes"):
        open_dataset(tmp_path)


def test_unlabelled_cases_of_a_patient_who_validates_do_not_teach(tmp_path):
    folder(tmp_path, "abcd", "wxyz")
    patients = {"a": 1, "b": 2, "c": 3, "d": 4, "w": 1, "x": 2, "y": 3, "z": ""}
    (tmp_path / "cases.csv").write_text("case,patient\n" + "".join(f"{c},{p}\n" for c, p in patients.items()))
    dataset = open_dataset(tmp_path)
    for fold in range(4):
        training, validation, unlabelled = dataset.split(fold, 4)
        same = {"a": "w", "b": "x", "c": "y", "d": None}[validation[0]]
        assert sorted([*training, *validation]) == ["a", "b", "c", "d"]
        assert unlabelled == tuple(name for name in "wxyz" if name != same)


def test_a_split_column_keeps_unlabelled_validation_and_test_cases_apart(tmp_path):
    folder(tmp_path, "abc", "wxyz")
    split = dict(zip("abcwxyz", ("train", "train", "val", "train", "val", "test", ""), strict=True))
    (tmp_path / "cases.csv").write_text("case,split\n" + "".join(f"{c},{word}\n" for c, word in split.items()))
    dataset = open_dataset(tmp_path)
    assert dataset.split() == (("a", "b"), ("c",), ("w", "z"))
    assert [entry.id for entry in dataset.held_out] == ["y"]


def test_slices_next_to_one_that_validates_do_not_teach(tmp_path):
    for number in range(10):
        picture(tmp_path / "images" / f"slice_{number}.png", number)
    for number in range(0, 10, 2):
        mask(tmp_path / "labels" / f"slice_{number}.png")
    dataset = open_dataset(tmp_path)
    validation, unlabelled = dataset.split(0, 5)[1:]
    assert validation == ("slice_0",) and unlabelled == ("slice_3", "slice_5", "slice_7", "slice_9")


def per_structure(root, cases):
    for case, structures in cases.items():
        picture(root / "images" / f"{case}.png")
        for place, (name, present) in enumerate(structures.items()):
            mask(root / "labels" / case / f"{name}.png", int(present), slice(6 * place, 6 * place + 5))


def test_a_missing_file_of_a_structure_is_not_annotated_and_an_empty_one_absent(tmp_path):
    per_structure(tmp_path, {"a": {"kidney": 1, "liver": 1}, "b": {"kidney": 0, "liver": 1}, "c": {"kidney": 1}})
    per_structure(tmp_path, {"d": {"kidney": 1, "liver": 1}})
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("kidney", "liver") and dataset.encoding.kind == "structures"
    assert [dataset.annotated(case) for case in "abcd"] == [None, None, ("kidney",), None]
    assert dataset.read("c").annotated == ("kidney",)
    assert set(np.unique(dataset.read("a").truth.array)) == {0, 1, 2}
    assert set(np.unique(dataset.read("b").truth.array)) == {0, 2}
    assert any("1 of 4 cases are annotated in part (kidney in 4, liver in 3)" in text for text in dataset.warnings)
    shown = {row["case"]: row for row in inspect_path(tmp_path).cases}
    assert shown["c"]["liver"] == "not annotated" and shown["b"]["kidney"] == "0 %"


def test_declared_names_give_structure_files_their_values(tmp_path):
    per_structure(tmp_path, {"a": {"organ1": 1, "organ2": 1}, "b": {"organ1": 1, "organ2": 1}})
    assert open_dataset(tmp_path).encoding.kind == "objects"
    (tmp_path / "labels.yaml").write_text("7: organ1\n5: organ2\n")
    dataset = open_dataset(tmp_path)
    assert dataset.encoding.files == {"organ1": 7, "organ2": 5}
    assert set(np.unique(dataset.read("a").truth.array)) == {0, 5, 7}


def test_a_column_says_which_structures_were_annotated(tmp_path):
    for case in "ab":
        picture(tmp_path / "images" / f"{case}.png")
        mask(tmp_path / "labels" / f"{case}.png", 1 if case == "a" else 2)
    (tmp_path / "labels.yaml").write_text("1: liver\n2: spleen\n3: kidney\n")
    (tmp_path / "cases.csv").write_text("case,annotated\na,liver; kidney\nb,\n")
    dataset = open_dataset(tmp_path)
    assert dataset.annotated("a") == ("liver", "kidney") and dataset.annotated("b") is None
    (tmp_path / "cases.csv").write_text("case,annotated\na,heart\nb,\n")
    with pytest.raises(DataError, match=r"a: `annotated` names heart, but the structures are liver, spleen, kidney"):
        open_dataset(tmp_path)


def test_a_folder_of_targets_gives_images_as_truth(tmp_path):
    for seed, case in enumerate("abc"):
        picture(tmp_path / "images" / f"{case}.png", seed)
    for case in "ab":
        picture(tmp_path / "targets" / f"{case}.png", 9)
    dataset = open_dataset(tmp_path)
    assert dataset.truth == "image" and dataset.labels.names == () and unlabelled_ids(dataset) == ["c"]
    truth = dataset.read("a").truth
    assert truth.kind == "intensities" and truth.grid == GRID and truth.array.max() > 200
    assert Dataset.from_dict(dataset.to_dict()) == dataset
    shown = inspect_path(tmp_path)
    assert not shown.problems and shown.facts["annotation"] == "image"
    assert [row["target"] for row in shown.cases] == ["a.png", "b.png", "none"]


def test_labels_and_targets_together_are_refused(tmp_path):
    folder(tmp_path)
    picture(tmp_path / "targets" / "a.png")
    with pytest.raises(DataError, match=r"it has labels/ and targets/; a data set has one of them"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(("channels", "column"), [(3, "field"), (1, "field"), (1, "target")])
def test_a_manifest_names_targets_or_fields(tmp_path, channels, column):
    array = np.random.default_rng(0).normal(0, 2, (channels, *VOLUME.shape)).astype(np.float32)
    for case in "ab":
        write_image(tmp_path / f"{case}.nii.gz", Image(np.abs(array[:1]), VOLUME))
        write_image(tmp_path / f"{case}_to.nii.gz", Image(array, VOLUME))
    (tmp_path / "manifest.csv").write_text(f"image,{column}\na.nii.gz,a_to.nii.gz\nb.nii.gz,b_to.nii.gz\n")
    if column == "field" and channels == 1:
        with pytest.raises(DataError, match=r"a: a field has 3 channels, the displacement along each axis"):
            open_dataset(tmp_path)
        return
    truth = open_dataset(tmp_path).read("a").truth
    assert truth.kind == ("field" if column == "field" else "intensities")
    np.testing.assert_array_equal(truth.array, array)


def test_a_target_that_lies_elsewhere_is_refused(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "targets").mkdir()
    write_image(tmp_path / "targets" / "a.png", Image(np.ones((1, 5, 5), np.uint8), Grid.plain((5, 5))))
    with pytest.raises(DataError, match="not on one grid"):
        open_dataset(tmp_path)
