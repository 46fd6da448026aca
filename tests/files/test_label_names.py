"""Names and colours of labels in files, and the format of answers."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile

from hyoid.core.case import Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.files.colours import colour_of
from hyoid.files.formats import (
    check_suffix,
    image_suffixes,
    label_suffixes,
    read_image,
    stem_of,
    suffix_for_image,
    suffix_for_labels,
    write_boxes,
    write_image,
)
from hyoid.prediction.settings import PredictionSettings

LIVER = ("SCT", "10200004", "Liver")
LABELS = Labels(names=("liver", "left kidney"), values=((1,), (7,)), codes=(LIVER, None))
AFFINE = np.array([[0, 0, 2.5, -20.0], [-0.8, 0, 0, 7.0], [0, 1.25, 0, 33.5], [0, 0, 0, 1]])


def answer(shape: tuple[int, ...] = (5, 6, 7)) -> Image:
    array = np.random.default_rng(0).choice(np.array([0, 1, 7], np.uint8), (1, *shape))
    return Image(array, Grid.from_affine(AFFINE, shape) if len(shape) == 3 else Grid.plain(shape), "labels")


@pytest.mark.parametrize("suffix", label_suffixes(3))
def test_labels_with_names_come_back_on_their_grid(tmp_path, suffix):
    image = answer()
    write_image(tmp_path / f"a{suffix}", image, labels=LABELS)
    back = read_image(tmp_path / f"a{suffix}", "labels")
    np.testing.assert_array_equal(back.array, image.array)
    if suffix in (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".nhdr", ".mha", ".mhd"):
        assert back.grid.matches(image.grid)


@pytest.mark.parametrize("suffix", label_suffixes(2))
def test_flat_labels_with_names_come_back_to_the_last_pixel(tmp_path, suffix):
    image = answer((20, 30))
    write_image(tmp_path / f"a{suffix}", image, labels=LABELS)
    back = read_image(tmp_path / f"a{suffix}", "labels")
    np.testing.assert_array_equal(back.array, image.array)
    assert back.grid.shape == image.grid.shape


def test_3d_slicer_finds_its_segments(tmp_path):
    write_image(tmp_path / "a.seg.nrrd", answer(), labels=LABELS)
    assert stem_of("a.seg.nrrd") == "a"
    read = SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd"))
    facts = {key: read.GetMetaData(key) for key in read.GetMetaDataKeys()}
    assert [facts[f"Segment{n}_Name"] for n in (0, 1)] == ["liver", "left kidney"]
    assert [facts[f"Segment{n}_LabelValue"] for n in (0, 1)] == ["1", "7"]
    assert facts["Segment1_Extent"] == "0 4 0 5 0 6" and facts["Segment0_Layer"] == "0"
    assert facts["Segment0_Color"] == " ".join(f"{part / 255:.6f}" for part in colour_of(0))
    assert facts["Segment0_Tags"] == (
        "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical"
        " Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^|"
    )
    assert "Segment1_Tags" not in facts
    assert facts["Segmentation_MasterRepresentation"] == "Binary labelmap"
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read), answer().array[0].transpose(2, 1, 0))


@pytest.mark.parametrize("whole", [True, False])
def test_ome_zarr_says_what_its_values_mean(tmp_path, whole):
    image, path = answer(), tmp_path / "a.ome.zarr"
    if whole:
        write_image(path, image, labels=LABELS)
    else:
        write_boxes(path, image.array[0], image.grid, tmp_path / "source.tif", LABELS)
    told = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["image-label"]
    code = {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}
    liver = {"label-value": 1, "name": "liver", "code": code}
    assert told["properties"] == [liver, {"label-value": 7, "name": "left kidney"}]
    assert told["colors"][1] == {"label-value": 7, "rgba": [*colour_of(1), 255]}


def test_other_readers_get_the_same_values(tmp_path):
    image = answer()
    for name in ("a.nii.gz", "a.tif"):
        write_image(tmp_path / name, image, labels=LABELS)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj), image.array[0])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), image.array[0])
    flat = answer((20, 30))
    write_image(tmp_path / "a.png", flat, labels=LABELS)
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "a.png"))), flat.array[0]
    )


def test_many_structures_have_colours_of_their_own():
    assert len({colour_of(index) for index in range(120)}) == 120


@pytest.mark.parametrize(
    ("source", "wanted", "suffix"),
    [
        ("a.nii.gz", None, ".nii.gz"),
        ("a.nii.gz", "seg.nrrd", ".seg.nrrd"),
        ("a.dcm", ".MHA", ".mha"),
        ("a.jpg", "ome.zarr", ".ome.zarr"),
    ],
)
def test_the_wanted_format_decides_the_ending_of_answers(source, wanted, suffix):
    assert suffix_for_labels(source, wanted) == suffix


def test_a_format_that_cannot_hold_labels_is_refused_with_those_that_can():
    with pytest.raises(ConfigError, match=r"'png': labels of 3 axes up to 2 fit into seg\.nrrd, nrrd, .*nii\.gz"):
        check_suffix("png", 3, 2)
    with pytest.raises(ConfigError, match=r"'nii\.gz': labels of 2 axes"):
        check_suffix("nii.gz", 2)
    assert check_suffix("bmp", 2, 255) == ".bmp"
    with pytest.raises(ConfigError, match=r"'bmp': labels of 2 axes up to 300 fit into .*png"):
        check_suffix("bmp", 2, 300)
    for wanted in ("jpg", "img", "dcm", "nonsense"):
        with pytest.raises(ConfigError, match=rf"{wanted}.*label files are written with .*nii\.gz"):
            PredictionSettings.parse({"format": wanted}, "prediction")
    assert PredictionSettings(format=".NII.gz").format == "nii.gz"


@pytest.mark.parametrize(
    ("wanted", "dims", "kind"),
    [("png", 2, "intensities"), ("seg.nrrd", 3, "intensities"), ("tif", 3, "field"), ("ome.zarr", 3, "field")],
)
def test_a_format_that_cannot_hold_fractions_or_directions_is_refused(wanted, dims, kind):
    with pytest.raises(ConfigError, match=rf"'{wanted}': (fields|images .*) of {dims} axes fit into .*nrrd"):
        check_suffix(wanted, dims, kind=kind)
    assert check_suffix("mha", dims, kind=kind) == ".mha" and check_suffix("tif", 2, kind=kind) == ".tif"


@pytest.mark.parametrize(("channels", "shape"), [(1, (9, 11)), (3, (9, 11)), (2, (5, 9, 11)), (3, (5, 9, 11))])
@pytest.mark.parametrize("kind", ["intensities", "field"])
def test_images_and_fields_keep_their_fractions_and_channels(tmp_path, channels, shape, kind):
    array = np.random.default_rng(0).normal(0, 900, (channels, *shape)).astype(np.float32)
    for suffix in sorted({*image_suffixes(len(shape), kind)} - {".npy"}):
        write_image(file := tmp_path / f"a{suffix}", Image(array, Grid.plain(shape, (1.5,) * len(shape)), kind))
        again = read_image(file, kind)
        assert again.kind == kind and again.array.dtype == np.float32 and again.grid.shape == shape
        np.testing.assert_array_equal(again.array, array, err_msg=suffix)


@pytest.mark.parametrize(
    ("wanted", "dims", "suffix"),
    [
        (None, 3, ".nii.gz"),
        (None, 2, ".tif"),
        ("seg.nrrd", 3, ".nrrd"),
        ("png", 2, ".tif"),
        ("mha", 3, ".mha"),
        ("ome.zarr", 2, ".ome.zarr"),
    ],
)
def test_probabilities_follow_the_wanted_format_where_it_holds_fractions(wanted, dims, suffix):
    assert suffix_for_image(check_suffix(wanted) if wanted else "", dims) == suffix


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".ome.zarr"])
def test_a_value_that_structures_share_is_named_after_them(tmp_path, suffix):
    labels = Labels(names=("core", "whole", "wide"), values=((1, 4), (2, 4), (3, 4, 5)))
    assert labels.shared == {4: ("core", "whole", "wide")} and labels.named[3:] == [
        ("core and whole and wide", 4, None)
    ]
    write_image(tmp_path / f"a{suffix}", answer(), labels=labels)
    written = [one for one in (tmp_path / f"a{suffix}", *(tmp_path / f"a{suffix}").rglob("*.json")) if one.is_file()]
    assert any(b"core and whole and wide" in one.read_bytes() for one in written)
