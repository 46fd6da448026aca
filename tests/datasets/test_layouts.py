"""Every way in which annotated images lie in folders is found, and what does not fit is named."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import Dataset, find_images, open_dataset, read_case
from hyoid.datasets.tables import labels_from_yaml
from hyoid.files.formats import write_image

BOX = Grid.plain((6, 7, 8), (1.0, 1.0, 2.0))


def image(path: Path, channels: int = 1, grid: Grid = BOX, value: int = 100) -> Path:
    array = np.arange(channels * np.prod(grid.shape)).reshape(channels, *grid.shape) % 97 + value
    write_image(path, Image(array.astype(np.uint8), grid))
    return path


def label(path: Path, values=(1,), grid: Grid = BOX) -> Path:
    array = np.zeros((1, *grid.shape), np.uint16)
    for k, value in enumerate(values):
        array[0, k, 1:4] = value
    write_image(path, Image(array, grid, "labels"))
    return path


def pair(root: Path, name: str, images="images", labels="labels", suffix=".nii.gz", **more) -> None:
    grid = more.pop("grid", BOX)
    image(root / images / f"{name}{suffix}", grid=grid)
    label(root / labels / f"{name}{suffix}", grid=grid, **more)


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("images", "masks"), ("imagesTr", "labelsTr"), ("Images", "GT"), ("img", "annotations")],
)
def test_two_folders_of_equal_names(tmp_path, images, labels):
    for name in ("b", "a"):
        pair(tmp_path, name, images, labels)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("a", "b") and dataset.channel_names == ("intensity",)
    case = dataset.read("a")
    assert case.truth.grid == case.image.grid == BOX and case.truth.kind == "labels"
    assert case.facts["image"].endswith("a.nii.gz")
    assert dataset.seen["a"].counts == {0: 6 * 7 * 8 - 24, 1: 24}


def test_one_level_down(tmp_path):
    pair(tmp_path / "dev", "a")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("hello")
    assert open_dataset(tmp_path).layout == "dev/images/ and labels/"


def test_several_sets_below_are_named(tmp_path):
    for place in ("one", "two"):
        for name in ("a", "b"):
            pair(tmp_path / place, name)
    with pytest.raises(DataError, match=r"several data sets lie below \(one, two\)"):
        open_dataset(tmp_path)


def test_labels_that_carry_an_ending(tmp_path):
    image(tmp_path / "images" / "a.nii.gz")
    label(tmp_path / "masks" / "a_mask.nii.gz")
    assert open_dataset(tmp_path).ids == ("a",)


def test_formats_may_differ_between_image_and_label(tmp_path):
    grid = Grid.plain((20, 30))
    image(tmp_path / "images" / "a.jpg", 3, grid)
    label(tmp_path / "labels" / "a.png", grid=grid)
    dataset = open_dataset(tmp_path)
    assert dataset.read("a").image.channels == 3 and dataset.channel_names == ("red", "green", "blue")


def test_channels_in_files_of_their_own(tmp_path):
    for name in ("p1", "p2"):
        for channel in range(3):
            image(tmp_path / "imagesTr" / f"{name}_{channel:04d}.nii.gz", value=50 * channel)
        label(tmp_path / "labelsTr" / f"{name}.nii.gz")
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p1", "p2") and dataset.channel_names == ("channel_0", "channel_1", "channel_2")
    array = dataset.read("p2").image.array
    assert array.shape == (3, *BOX.shape) and (array[2] - array[0] == 100).all()


def test_four_digits_are_no_channels_when_labels_have_them_too(tmp_path):
    for k in (47, 80):
        pair(tmp_path, f"heart_{k:04d}")
    assert open_dataset(tmp_path).ids == ("heart_0047", "heart_0080")


def test_decathlon_json(tmp_path):
    for name in ("a", "b"):
        pair(tmp_path, name, "imagesTr", "labelsTr", values=(1, 2))
    rows = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in "ab"]
    declared = {"labels": {"0": "background", "1": "anterior", "2": "posterior"}, "modality": {"0": "MRI"}}
    (tmp_path / "dataset.json").write_text(json.dumps({**declared, "training": rows}))
    for path in (tmp_path, tmp_path / "dataset.json"):
        dataset = open_dataset(path)
        assert dataset.labels.names == ("anterior", "posterior") and dataset.labels.values == ((1,), (2,))
        assert dataset.channel_names == ("MRI",) and "Decathlon" in dataset.layout


def test_nnunet_json_with_regions_and_ignore(tmp_path):
    for channel in range(2):
        image(tmp_path / "imagesTr" / f"a_{channel:04d}.nii.gz")
    label(tmp_path / "labelsTr" / "a.nii.gz", values=(1, 2, 3))
    tree = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(tree))
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("whole", "core") and dataset.labels.values == ((1, 2), (2,))
    assert dataset.labels.overlapping and dataset.labels.ignore == 3 and dataset.labels.paint == (1, 2)
    assert dataset.channel_names == ("T1", "T2")


def test_nnunet_json_with_file_names(tmp_path):
    image(tmp_path / "x" / "flair.nii.gz")
    label(tmp_path / "y" / "truth.nii.gz")
    files = {"case_1": {"images": ["x/flair.nii.gz"], "label": "y/truth.nii.gz"}}
    tree = {"labels": {"background": 0, "lesion": 1}, "channel_names": {"0": "FLAIR"}, "dataset": files}
    (tmp_path / "dataset.json").write_text(json.dumps(tree))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("case_1",) and dataset.read("case_1").truth.array.max() == 1


def test_json_that_names_a_missing_file(tmp_path):
    pair(tmp_path, "a")
    rows = [{"image": "images/z.nii.gz", "label": "labels/a.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"1": "x"}, "training": rows}))
    with pytest.raises(DataError, match=r"dataset.json: names images/z.nii.gz, which is not there"):
        open_dataset(tmp_path)


def test_csv_manifest_with_channels_groups_and_split(tmp_path):
    lines = ["case,image_t1,image_flair,label,patient,split"]
    for k in range(4):
        image(tmp_path / f"p{k}" / "t1.nii.gz")
        image(tmp_path / f"p{k}" / "flair.nii.gz")
        label(tmp_path / f"p{k}" / "seg.nii.gz")
        split = ("train", "train", "val", "test")[k]
        lines.append(f"case{k},p{k}/t1.nii.gz,p{k}/flair.nii.gz,p{k}/seg.nii.gz,{k},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    for path in (tmp_path, tmp_path / "manifest.csv"):
        dataset = open_dataset(path)
        assert dataset.channel_names == ("t1", "flair")
        assert dataset.folds() == (("case2",),)
        assert dataset.ids == ("case0", "case1", "case2") and dataset.held_out[0].id == "case3"
        assert dataset.split() == (("case0", "case1"), ("case2",), ())
        assert dataset.read("case3").truth is not None


def test_csv_manifest_with_columns_named_for_what_they_show(tmp_path):
    for k in range(2):
        for part in ("t1", "t2", "mask"):
            (label if part == "mask" else image)(tmp_path / f"p{k}" / f"{part}.nii.gz")
    rows = [f"p{k}/t1.nii.gz;p{k}/t2.nii.gz;p{k}/mask.nii.gz;left".replace(";", "\t") for k in range(2)]
    (tmp_path / "manifest.csv").write_text("\n".join(["t1\tt2\tmask\tside", *rows]))
    dataset = open_dataset(tmp_path)
    assert dataset.channel_names == ("t1", "t2") and dataset.ids == ("p0_t1", "p1_t1")
    assert dataset.entry("p0_t1").facts == {"side": "left"}


def test_yaml_manifest_with_labels(tmp_path):
    image(tmp_path / "a.nii.gz")
    label(tmp_path / "b.nii.gz", values=(1, 4))
    (tmp_path / "set.yaml").write_text(
        "labels: {1: cord, 4: grey}\ncases:\n  - {case: one, image: a.nii.gz, label: b.nii.gz, patient: 7}\n"
    )
    dataset = open_dataset(tmp_path / "set.yaml")
    assert dataset.labels.names == ("cord", "grey") and dataset.group_of("one") == "7"


def test_manifest_row_without_image(tmp_path):
    image(tmp_path / "a.nii.gz")
    (tmp_path / "manifest.csv").write_text("image,label\na.nii.gz,\n,b\n")
    with pytest.raises(DataError, match="row 3 names no image"):
        open_dataset(tmp_path)


def test_cases_csv_gives_facts(tmp_path):
    for name in ("a", "b"):
        pair(tmp_path, name)
    (tmp_path / "cases.csv").write_text("case,patient,age\na,p1,60\nunused,p2,61\n")
    dataset = open_dataset(tmp_path)
    assert dataset.read("a").facts["age"] == "60"
    assert "cases.csv has no row for 1 case: b." in dataset.warnings
    assert "1 of 2 rows of cases.csv match no image: 'unused'." in dataset.warnings
    assert any("1 case lacks a patient, such as b" in warning for warning in dataset.warnings)


def test_cases_csv_of_which_no_row_matches_is_a_warning(tmp_path):
    for name in ("a", "b"):
        pair(tmp_path, name)
    (tmp_path / "cases.csv").write_text("case,patient\nscan_a,p1\nscan_b,p1\n")
    dataset = open_dataset(tmp_path)
    [warning] = dataset.warnings
    assert "No row of cases.csv matches an image: rows are of scan_a, scan_b; images are a, b." in warning
    assert not any("cases.csv" in note for note in dataset.notes)


def test_cases_csv_without_case_column(tmp_path):
    pair(tmp_path, "a")
    (tmp_path / "cases.csv").write_text("site,age\na,60\n")
    with pytest.raises(DataError, match="expected a column `case`"):
        open_dataset(tmp_path)


def test_labels_yaml_names_values(tmp_path):
    pair(tmp_path, "a", values=(1, 2, 5))
    (tmp_path / "labels.yaml").write_text("1: liver\ntumour: [2]\nignore: 5\n")
    labels = open_dataset(tmp_path).labels
    assert labels.names == ("liver", "tumour") and labels.ignore == 5


@pytest.mark.parametrize("wrapped", [False, True])
def test_labels_yaml_gives_codes(tmp_path, wrapped):
    lines = {1: "liver", "tumour": [2], "codes": {"liver": ["SCT", 10200004, "Liver"]}}
    codes = lines.pop("codes") if wrapped else None
    tree = {"labels": lines, "codes": codes} if wrapped else lines
    (tmp_path / "labels.yaml").write_text(yaml.safe_dump(tree))
    assert labels_from_yaml(tmp_path / "labels.yaml")[0].coded == (("SCT", "10200004", "Liver"), None)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({"livr": ["SCT", "1", "a"]}, r"`codes` names 'livr', but the structures are liver\."),
        ({"liver": ["SCT", "1"]}, r"labels\.yaml: codes\.0 = .* a code is a scheme, a value and a meaning"),
        ("SCT", r"label 'codes' needs a whole number"),
    ],
)
def test_wrong_codes_in_labels_yaml_are_refused(tmp_path, codes, message):
    (tmp_path / "labels.yaml").write_text(yaml.safe_dump({1: "liver", "codes": codes}))
    with pytest.raises(DataError, match=message):
        labels_from_yaml(tmp_path / "labels.yaml")


def test_a_folder_for_each_case_with_a_file_for_each_object(tmp_path):
    grid = Grid.plain((10, 12))
    for name in ("x", "y"):
        image(tmp_path / name / "images" / f"{name}.png", grid=grid)
        for k in range(3):
            write_image(tmp_path / name / "masks" / f"m{k}.png", Image(object_mask(grid, k), grid))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("x", "y") and dataset.labels.names == ("object",)
    assert np.unique(dataset.read("x").truth.array).tolist() == [0, 1]
    assert np.unique(dataset.read_instances("x").array).tolist() == [0, 1, 2, 3]
    one = open_dataset(tmp_path / "x")
    assert one.ids == ("x",) and one.encoding.kind == "objects"


def test_label_folders_with_a_file_for_each_object(tmp_path):
    grid = Grid.plain((10, 12))
    image(tmp_path / "images" / "x.png", grid=grid)
    for k in range(3):
        write_image(tmp_path / "masks" / "x" / f"m{k}.png", Image(object_mask(grid, k), grid))
    assert open_dataset(tmp_path).read_instances("x").array.max() == 3


def object_mask(grid: Grid, k: int) -> np.ndarray:
    array = np.zeros((1, *grid.shape), np.uint8)
    array[0, 3 * k : 3 * k + 2, 2:9] = 255
    return array


def test_a_single_pair(tmp_path):
    image(tmp_path / "scan.nii.gz")
    label(tmp_path / "scan_seg.nii.gz")
    for path in (tmp_path, tmp_path / "scan.nii.gz"):
        dataset = open_dataset(path)
        assert dataset.ids == ("scan",)
        assert dataset.split()[0] == dataset.split()[1] == ("scan",)


def test_one_image_and_one_label_by_name(tmp_path):
    image(tmp_path / "image.nii.gz")
    label(tmp_path / "label.nii.gz")
    assert open_dataset(tmp_path).ids == ("image",)


def test_a_file_of_an_ordinary_set_finds_its_label(tmp_path):
    for name in ("a", "b"):
        pair(tmp_path, name)
    assert open_dataset(tmp_path / "images" / "b.nii.gz").ids == ("b",)


def test_mask_in_another_format_under_the_same_name(tmp_path):
    grid = Grid.plain((20, 30))
    for name in ("034", "035"):
        image(tmp_path / f"{name}.bmp", 3, grid)
        label(tmp_path / f"{name}.png", grid=grid)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("034", "035") and dataset.read("034").image.channels == 3


def test_annotation_beside_its_image(tmp_path):
    grid = Grid.plain((20, 30))
    image(tmp_path / "000_HC.png", grid=grid)
    label(tmp_path / "000_HC_Annotation.png", (255,), grid)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("000_HC",) and dataset.labels.values == ((255,),)


def test_label_without_image_is_an_error(tmp_path):
    pair(tmp_path, "a")
    label(tmp_path / "labels" / "b.nii.gz")
    with pytest.raises(DataError, match=r"1 label has no image of the same name in images/: b"):
        open_dataset(tmp_path)


def test_image_without_label_stays_beside_the_annotated_ones(tmp_path):
    pair(tmp_path, "a")
    image(tmp_path / "images" / "b.nii.gz")
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("a",) and [entry.id for entry in dataset.unlabelled] == ["b"]
    assert any("1 of 2 images have no annotation (b)" in note for note in dataset.notes) and not dataset.warnings
    assert dataset.read("b").truth is None and dataset.read("b").image.array.any()


def test_two_images_of_one_name(tmp_path):
    pair(tmp_path, "a")
    image(tmp_path / "images" / "a.nii")
    with pytest.raises(DataError, match="two images are called 'a'"):
        open_dataset(tmp_path)


def test_empty_image_folder(tmp_path):
    pair(tmp_path, "a")
    (tmp_path / "images" / "a.nii.gz").rename(tmp_path / "images" / "a.txt")
    with pytest.raises(DataError, match="holds none that hyoid reads"):
        open_dataset(tmp_path)


def test_broken_file_is_named_with_the_number_of_others(tmp_path):
    for name in ("a", "b", "c"):
        pair(tmp_path, name)
    for name in ("a", "c"):
        (tmp_path / "images" / f"{name}.nii.gz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.nii\.gz.*1 more case has problems"):
        open_dataset(tmp_path)


def test_flat_images_and_volumes_do_not_mix(tmp_path):
    pair(tmp_path, "a")
    pair(tmp_path, "b", suffix=".png", grid=Grid.plain((9, 9)))
    with pytest.raises(DataError, match=r"Flat images \(b\) and volumes \(a\) are mixed"):
        open_dataset(tmp_path)


def test_grey_among_colour_is_repeated_and_told(tmp_path):
    grid = Grid.plain((20, 30))
    for name, channels in (("a", 1), ("b", 3)):
        image(tmp_path / "images" / f"{name}.png", channels, grid)
        label(tmp_path / "labels" / f"{name}.png", grid=grid)
    dataset = open_dataset(tmp_path)
    assert any("1 of 2 images are grey among colour ones" in note for note in dataset.notes)
    array = dataset.read("a").image.array
    assert len(array) == 3 and (array[0] == array[2]).all()


def test_different_numbers_of_channels_are_refused(tmp_path):
    for name, channels in (("a", 1), ("b", 2)):
        image(tmp_path / "images" / f"{name}.nii.gz", channels)
        label(tmp_path / "labels" / f"{name}.nii.gz")
    with pytest.raises(DataError, match="a has 1, b has 2"):
        open_dataset(tmp_path)


def test_a_dataset_survives_json(tmp_path):
    for name in ("a", "b"):
        pair(tmp_path, name, values=(1, 3))
    (tmp_path / "cases.csv").write_text("case,patient\na,1\nb,2\n")
    dataset = open_dataset(tmp_path)
    again = Dataset.from_dict(json.loads(json.dumps(dataset.to_dict())))
    assert again == dataset and again.folds() == dataset.folds()
    np.testing.assert_array_equal(again.read("a").truth.array, dataset.read("a").truth.array)


def test_files_of_foreign_formats_are_told(tmp_path):
    pair(tmp_path, "a")
    (tmp_path / "images" / "b.mnc").write_bytes(b"x")
    (tmp_path / "images" / "README.txt").write_text("x")
    assert "1 file in images/ that hyoid does not read as images: b.mnc." in open_dataset(tmp_path).notes


def test_paths_are_remembered_from_anywhere(tmp_path, monkeypatch):
    pair(tmp_path / "data", "a")
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset("data")
    monkeypatch.chdir("/")
    assert Dataset.from_dict(dataset.to_dict()).read("a").truth is not None


def test_case_names_in_tables_may_carry_their_ending(tmp_path):
    pair(tmp_path, "a")
    (tmp_path / "cases.csv").write_text("case,patient\na.nii.gz,p1\n")
    assert open_dataset(tmp_path).group_of("a") == "p1"


def test_a_changed_file_is_scanned_again(tmp_path):
    pair(tmp_path, "a")
    assert open_dataset(tmp_path).labels.values == ((1,),)
    label(tmp_path / "labels" / "a.nii.gz", values=(1, 7))
    assert open_dataset(tmp_path).labels.values == ((1,), (7,))


def test_unknown_case_is_named(tmp_path):
    pair(tmp_path, "a")
    with pytest.raises(DataError, match="there is no case 'z'"):
        open_dataset(tmp_path).read("z")


def test_images_to_predict(tmp_path):
    for name in ("a", "b"):
        image(tmp_path / f"{name}.nii.gz")
    assert [entry.id for entry in find_images(tmp_path)] == ["a", "b"]
    assert [entry.id for entry in find_images(tmp_path / "b.nii.gz")] == ["b"]
    assert [entry.id for entry in find_images([tmp_path / "b.nii.gz", str(tmp_path / "a.nii.gz")])] == ["a", "b"]
    assert find_images(tmp_path)[0].label is None


def test_images_to_predict_with_channel_files(tmp_path):
    for name in ("a", "b"):
        for channel in range(2):
            image(tmp_path / "imagesTs" / f"{name}_{channel:04d}.nii.gz")
    entries = find_images(tmp_path, channels=2)
    assert [entry.id for entry in entries] == ["a", "b"]
    assert read_case(entries[0], 2).image.channels == 2
    assert [entry.id for entry in find_images(tmp_path / "imagesTs", channels=1)][:2] == ["a_0000", "a_0001"]


def test_images_of_cases_in_folders_of_their_own(tmp_path):
    for name in ("x", "y"):
        image(tmp_path / name / "images" / f"{name}.nii.gz")
    assert [entry.id for entry in find_images(tmp_path)] == ["x", "y"]


def test_wrong_number_of_channels_for_prediction(tmp_path):
    entry = find_images(image(tmp_path / "a.nii.gz"))[0]
    with pytest.raises(DataError, match=r"a: expected 2 channels; a\.nii\.gz gives 1"):
        read_case(entry, channels=2)


def test_grey_saved_as_colour_serves_a_grey_model(tmp_path):
    grid = Grid.plain((20, 30))
    array = np.repeat(np.arange(600, dtype=np.uint16).reshape(1, 20, 30) % 256, 3, axis=0).astype(np.uint8)
    write_image(tmp_path / "a.png", Image(array, grid))
    assert read_case(find_images(tmp_path)[0], channels=1).image.channels == 1
