"""Folders for each case, channels named after endings, and masks by the usual names; strays are left out."""

from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.cases import find_images, read_case
from hyoid.datasets.dataset import open_dataset
from hyoid.files.formats import write_image

BOX = Grid.plain((4, 5, 6), (1.0, 1.0, 2.0))
FLAT = Grid.plain((12, 14))


def put(root: Path, name: str, value: int | None = None) -> None:
    """An image of one value, or a mask."""
    grid = BOX if name.endswith(".nii.gz") else FLAT
    array = np.zeros((1, *grid.shape), np.uint8)
    array[0] = value if value is not None else array[0]
    if value is None:
        array[0, 1:3, 2:4] = 1
    write_image(root / name, Image(array, grid, "labels" if value is None else "intensities"))


def lay(root: Path, images: tuple[str, ...], masks: tuple[str, ...], cases=("p1", "p2", "p10")) -> Path:
    for case in cases:
        for value, name in enumerate(images, 1):
            put(root, name.format(c=case), 50 * value)
        for name in masks:
            put(root, name.format(c=case))
    return root


@pytest.mark.parametrize(
    ("images", "mask"),
    [
        (("{c}/{c}_flair.nii.gz", "{c}/{c}_t1.nii.gz", "{c}/{c}_t1ce.nii.gz"), "{c}/{c}_seg.nii.gz"),
        (("{c}/{c}-t1c.nii.gz", "{c}/{c}-t1n.nii.gz"), "{c}/{c}-seg.nii.gz"),
        (("{c}/FLAIR.nii.gz", "{c}/T1.nii.gz"), "{c}/mask.nii.gz"),
        (("{c}/images/adc.nii.gz", "{c}/images/dwi.nii.gz"), "{c}/labels/lesion.nii.gz"),
        (("{c}_t1.nii.gz", "{c}_t2.nii.gz"), "{c}_seg.nii.gz"),
        (("images/{c}_T1.png", "images/{c}_T2.png"), "labels/{c}.png"),
        (("images/{c}_T1.png", "images/{c}_T2.png"), "masks/{c}_mask.png"),
    ],
)
def test_channels_are_named_after_endings_and_found_again_without_labels(tmp_path, images, mask, caplog):
    dataset = open_dataset(lay(tmp_path, images, (mask,)))
    names = tuple(name.split(".")[0].replace("{c}", "/").split("/")[-1].lstrip("_-") for name in images)
    assert dataset.ids == ("p1", "p10", "p2") and dataset.channel_names == names
    assert [int(channel.max()) for channel in dataset.read("p10").image.array] == [
        50 * k for k in range(1, 1 + len(names))
    ]
    for labelled in (True, False):
        if not labelled:
            for case in dataset.ids:
                (tmp_path / mask.format(c=case)).unlink()
        for channels in (names, names[::-1]):  # as another run may order them
            entries = {entry.id: entry for entry in find_images(tmp_path, channels)}
            found = [array.max() for array in read_case(entries["p1"], len(names)).image.array]
            assert len(entries) == 3 and found == sorted(found, reverse=channels != names)


@pytest.mark.parametrize("place", ["{c}/{c}_", "{c}/", "{c}_", "images/{c}_"])
def test_a_case_that_lacks_a_channel_is_named(tmp_path, place):
    mask = "labels/{c}.png" if place.startswith("images") else f"{place}seg.png"
    lay(tmp_path, (f"{place}t1.png", f"{place}t2.png"), (mask,))
    (tmp_path / f"{place}t2.png".format(c="p2")).unlink()
    with pytest.raises(DataError, match=r"the case p2 has files for t1, most cases for t1, t2\. Every case needs"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"p2: expected files for the channels t1, t2; found .*t1 without the rest"):
        find_images(tmp_path, ("t1", "t2"))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (((0, 1), (1, 2), (0, 1)), "the case p2 has files for 0001, 0002, most cases for 0000, 0001"),
        (((0, 1), (0,), (0, 1)), "the case p2 has files for 0000, most cases for 0000, 0001"),
        (((1, 2), (1, 2), (1, 2)), "channels are numbered 0001, 0002; expected 0000, 0001. Rename"),
        (((0, 2), (0, 2), (0, 2)), "channels are numbered 0000, 0002; expected 0000, 0001. Rename"),
    ],
)
def test_numbered_channels_run_from_0000_in_every_case(tmp_path, numbers, words):
    for case, mine in zip(("p1", "p2", "p3"), numbers, strict=True):
        for number in mine:
            put(tmp_path, f"imagesTr/{case}_{number:04d}.nii.gz", 9)
        put(tmp_path, f"labelsTr/{case}.nii.gz")
    with pytest.raises(DataError, match=words):
        open_dataset(tmp_path)


def test_numbered_frames_are_no_channels(tmp_path):
    lay(tmp_path, ("{c}.png",), ("{c}_mask.png",), ("0000", "0001", "0002"))
    assert open_dataset(tmp_path).ids == ("0000", "0001", "0002") and len(find_images(tmp_path, ("a", "b"))) == 3


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{c}/image.png", "{c}/mask.png"),
        ("{c}/{c}.png", "{c}/{c}_mask.png"),
        ("{c}/imaging.nii.gz", "{c}/segmentation.nii.gz"),
        ("{c}/images/{c}.png", "{c}/masks/{c}.png"),
        *(("{c}.png", f"{{c}}{end}.png") for end in ("_mask", "-seg", ".label", " gt", "_msk", "_segmentation")),
        ("{c}.png", "mask_{c}.png"),
        ("{c}_image.png", "{c}_mask.png"),
        ("volume-{c}.nii.gz", "segmentation-{c}.nii.gz"),
        ("images/img_{c}.png", "masks/mask_{c}.png"),
        ("img/img{c}.nii.gz", "label/label{c}.nii.gz"),
    ],
)
def test_masks_are_known_by_their_names_and_not_predicted(tmp_path, image, mask):
    dataset = open_dataset(lay(tmp_path, (image,), (mask,), ("1", "2")))
    assert len(dataset) == 2 and dataset.labels.names == ("foreground",) and not dataset.unlabelled
    assert all(Path(dataset.entry(one).images[0]).stem[-1] != "k" for one in dataset.ids)
    found = [entry.images[0] for entry in find_images(tmp_path, dataset.channel_names)]
    assert found == [dataset.entry(one).images[0] for one in dataset.ids]


def test_a_label_without_image_in_one_folder_is_told(tmp_path):
    lay(tmp_path, ("{c}.png",), ("{c}_mask.png",))
    (tmp_path / "p2.png").unlink()
    with pytest.raises(DataError, match="1 label has no image of the same name"):
        open_dataset(tmp_path)


def test_structures_and_objects_in_a_folder_for_each_case(tmp_path):
    masks = ("{c}/segmentations/liver.nii.gz", "{c}/segmentations/spleen.nii.gz")
    dataset = open_dataset(lay(tmp_path / "organs", ("{c}/ct.nii.gz",), masks))
    assert dataset.labels.names == ("liver", "spleen") and dataset.labels.overlapping
    beside = open_dataset(
        lay(tmp_path / "beside", ("{c}/ct.nii.gz",), ("{c}/liver_seg.nii.gz", "{c}/spleen_seg.nii.gz"))
    )
    assert beside.labels.names == ("liver_seg", "spleen_seg")
    for case in ("a", "b"):
        lay(tmp_path / "cells", (f"{case}/images/{case}.png",), (f"{case}/masks/{case}1.png",), [case])
    put(tmp_path / "cells", "b/masks/b2.png")
    assert open_dataset(tmp_path / "cells").encoding.kind == "objects"
    put(tmp_path / "organs", "p2/p2_seg.nii.gz")
    with pytest.raises(DataError, match=r"annotations in segmentations/ and beside the images \(p2_seg.nii.gz\)"):
        open_dataset(tmp_path / "organs")


def test_several_pairs_in_the_folder_of_a_patient(tmp_path):
    for frames in (("{c}/{c}_frame01", "{c}/{c}_frame12"),):
        lay(tmp_path, tuple(f"{f}.nii.gz" for f in frames), tuple(f"{f}_gt.nii.gz" for f in frames), ("p1", "p2"))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p1_frame01", "p1_frame12", "p2_frame01", "p2_frame12")
    assert dataset.group_of("p1_frame12") == "p1"


def test_strays_are_left_out_and_told_once(tmp_path, caplog):
    lay(tmp_path, ("images/{c}.png",), ("labels/{c}/a.png", "labels/{c}/b.png"))
    for stray in ("__MACOSX/labels/p1.png", "labels/@eaDir/p1.png", "labels/thumbs/p1.jpg", "images/@eaDir/p1.png"):
        put(tmp_path, stray, 3)
    for stray in ("images/._p1.png", "images/.DS_Store", "labels/Thumbs.db", "labels/desktop.ini", "README.md"):
        (tmp_path / stray).write_bytes(b"\0")
    put(tmp_path, "images/.ipynb_checkpoints/p1-checkpoint.png", 3)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p1", "p10", "p2") and dataset.encoding.kind == "structures"
    told = [note for note in dataset.notes if note.startswith("Left out")]
    names = "@eaDir, Thumbs.db, __MACOSX, desktop.ini, thumbs."
    assert told == [f"Left out, since they are no part of the data: {names}"]
    assert [entry.id for entry in find_images(tmp_path)] == ["p1", "p10", "p2"]
    assert caplog.text.count(f"no part of the data: {names}") == 1


def pairs(root: Path, folders: tuple[str, ...], count: int = 2) -> Path:
    for folder in folders:
        for k in range(count):
            put(root, f"{folder}/{folder}{k}.png", 90)
            put(root, f"{folder}/{folder}{k}_mask.png")
    return root


@pytest.mark.parametrize("folders", [("train", "val", "test"), ("Training", "Validation_Set", "test_data")])
def test_folders_that_are_parts_are_the_split(tmp_path, folders):
    dataset = open_dataset(pairs(tmp_path, folders, count=1 if "val" in folders else 2))
    training, validation, _ = dataset.split()
    for part, cases in zip(folders, (training, validation, dataset.test), strict=True):
        assert cases and all(case.startswith(part) for case in cases)


def test_folders_that_are_folds_are_the_folds(tmp_path):
    dataset = open_dataset(pairs(tmp_path, ("fold1", "fold2", "fold3")))
    assert [sorted(fold) for fold in dataset.folds()] == [[f"fold{k}_fold{k}{i}" for i in (0, 1)] for k in (1, 2, 3)]


def test_a_folder_beside_the_parts_is_named(tmp_path):
    with pytest.raises(DataError, match="train, val are parts of a split, but extra are not"):
        open_dataset(pairs(tmp_path, ("train", "val", "extra")))


@pytest.mark.parametrize(
    ("folders", "patients"), [(("benign", "normal"), False), (("site1", "site2"), False), (("p01", "p02"), True)]
)
def test_folders_of_a_kind_are_no_patients(tmp_path, folders, patients):
    dataset = open_dataset(pairs(tmp_path, folders))
    assert any("cases of one patient together" in note for note in dataset.notes) is patients
    assert any("are not taken for patients" in warning for warning in dataset.warnings) is not patients


def test_a_second_numbered_mask_is_of_the_same_image_and_another_name_is_refused(tmp_path):
    put(pairs(tmp_path, ("benign", "normal"), 3), "benign/benign0_mask_1.png")
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 6 and dataset.encoding.kind == "objects" and not dataset.unlabelled
    put(tmp_path, "benign/benign0_seg.png")
    with pytest.raises(DataError, match=r"benign0_seg\.png annotate the same image; keep one"):
        open_dataset(tmp_path)


def test_films_and_brain_masks_beside_annotated_images_are_left_out(tmp_path):
    images = ("{c}/{c}_frame1.nii.gz", "{c}/{c}_frame2.nii.gz", "{c}/{c}_4d.nii.gz")
    films = open_dataset(lay(tmp_path / "a", images, ("{c}/{c}_frame1_gt.nii.gz", "{c}/{c}_frame2_gt.nii.gz")))
    assert len(films) == 6 and not films.unlabelled and "p1_4d.nii.gz" in films.notes[0]
    for place in ("{c}/", "{c}_"):
        root = tmp_path / ("b" if "/" in place else "c")
        names = (f"{place}T1.nii.gz", f"{place}T2.nii.gz"), (f"{place}brainmask.nii.gz", f"{place}gt.nii.gz")
        found = open_dataset(lay(root, *names))
        assert found.channel_names == ("T1", "T2") and "brainmask.nii.gz" in found.notes[0]


@pytest.mark.parametrize(
    ("images", "masks", "told"),
    [
        (("{c}/image.nii.gz",), ("{c}/mask_rater1.nii.gz", "{c}/mask_rater2.nii.gz"), "as several raters drew it"),
        (("images/{c}_1.png", "images/{c}_2.png"), ("labels/{c}.png",), r"one annotation for several images \(1, 2\)"),
        (("images/{c}.png",), ("labels/{c}.png", "masks/{c}.png"), "labels/ and masks/ may both hold the annotations"),
    ],
)
def test_what_may_be_meant_in_two_ways_is_refused(tmp_path, images, masks, told):
    with pytest.raises(DataError, match=told):
        open_dataset(lay(tmp_path, images, masks))


@pytest.mark.parametrize(
    ("images", "masks", "cases"),
    [
        ("images/{c}_training.png", ("1st_manual/{c}_manual1.png", "mask/{c}_training_mask.png"), ("p1", "p10", "p2")),
        ("Original/{c}.png", ("Ground Truth/{c}.png",), ("p1", "p10", "p2")),
        ("volumes/volume-{c}.nii.gz", ("segmentations/segmentation-{c}.nii.gz",), ("volume-p1",)),
        ("images/img_{c}.png", ("labels/lbl_{c}.png",), ("img_p1",)),
    ],
)
def test_usual_names_of_public_sets(tmp_path, images, masks, cases):
    dataset = open_dataset(lay(tmp_path, (images,), masks))
    assert dataset.ids[: len(cases)] == cases and "mask" not in dataset.layout


def test_data_sets_of_parts_with_one_layout_are_one_with_its_split(tmp_path):
    for part in ("train", "val", "test"):
        lay(tmp_path / part, ("images/{c}.png",), ("labels/{c}.png",), cases=("p1", "p2"))
    dataset = open_dataset(tmp_path)
    assert dataset.split() == (("train_p1", "train_p2"), ("val_p1", "val_p2"), ()) and len(dataset.test) == 2
    (tmp_path / "labels.yaml").write_text("1: organ")
    assert open_dataset(tmp_path).labels.names == ("organ",)
    put(tmp_path, "val/images/p3.png", 90)
    put(tmp_path, "val/masks/p3.png")
    with pytest.raises(DataError, match="may both hold the annotations"):
        open_dataset(tmp_path)


def test_folders_that_lie_deeper_or_the_other_way_round_are_named(tmp_path):
    lay(tmp_path / "a" / "b" / "c", ("images/{c}.png",), ("labels/{c}.png",))
    with pytest.raises(DataError, match=r"annotated images lie deeper, in b/c; name the folder of them"):
        open_dataset(tmp_path / "a")
    lay(tmp_path / "d", ("images/train/{c}.png",), ("labels/train/{c}.png",))
    with pytest.raises(DataError, match="For train make folders such as train/images and train/labels"):
        open_dataset(tmp_path / "d")
