"""Two folders of label images become a report, however the masks are stored."""

from __future__ import annotations

import shutil
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, evaluate_folders
from hyoid.files.formats import write_image
from hyoid.ops.resample import onto

REFERENCE = np.zeros((12, 14), np.uint8)
REFERENCE[2:8, 3:9] = 1
REFERENCE[8:10, 3:9] = 2
PREDICTION = np.roll(REFERENCE, 1, axis=1)


def put(folder, name: str, array: np.ndarray, spacing=None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, Image(array[None], Grid.plain(array.shape, spacing), "labels"))


@pytest.fixture
def folders(tmp_path):
    for i in range(3):
        put(tmp_path / "pred", f"case_{i}.png", PREDICTION if i else REFERENCE)
        put(tmp_path / "ref", f"case_{i}.png", REFERENCE)
    return tmp_path / "pred", tmp_path / "ref"


def test_cases_are_paired_by_name(folders):
    found = evaluate_folders(*folders)
    assert found.cases == ("case_0", "case_1", "case_2")
    assert found.structures == ("label_1", "label_2")
    assert found.rows[0].values["dice"] == 1.0
    assert found.rows[2].values["dice"] == pytest.approx(5 / 6, abs=1e-6)


def test_names_and_patients_come_from_the_files_beside_the_references(folders):
    folders[1].parent.joinpath("labels.yaml").write_text("1: body\n2: tail\n")
    folders[1].parent.joinpath("cases.csv").write_text("case,patient\ncase_0,a\ncase_1,a\ncase_2,b\n")
    found = evaluate_folders(*folders)
    assert found.structures == ("body", "tail")
    assert [row.group for row in found.rows] == ["a", "a", "a", "a", "b", "b"]


def test_one_folder_is_not_compared_with_itself(folders):
    with pytest.raises(DataError, match="predictions and references are the same"):
        evaluate_folders(folders[0], folders[0])


def test_who_names_a_whole_data_set_is_told_where_its_annotations_are(tmp_path):
    put(tmp_path / "data" / "labels", "a.png", REFERENCE)
    put(tmp_path / "data" / "images", "a.png", REFERENCE)
    put(tmp_path / "pred", "a.png", REFERENCE)
    with pytest.raises(DataError, match=r"is a data set, name its annotations, .*labels"):
        evaluate_folders(tmp_path / "pred", tmp_path / "data")


def test_folders_in_folders_are_paired_by_their_place(tmp_path):
    for place in ("a", "b"):
        put(tmp_path / "pred" / place, "scan.png", PREDICTION if place == "a" else REFERENCE)
        put(tmp_path / "ref" / place, "scan.png", REFERENCE)
    found = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert found.cases == ("a/scan", "b/scan")
    assert [row.values["dice"] == 1 for row in found.rows] == [False, False, True, True]


def test_answers_below_the_references_are_no_references(tmp_path):
    put(tmp_path, "scan.png", REFERENCE)
    put(tmp_path / "pred", "scan.png", REFERENCE)
    assert evaluate_folders(tmp_path / "pred", tmp_path).cases == ("scan",)
    assert evaluate_folders(tmp_path, tmp_path / "pred").cases == ("scan",)


def test_given_labels_and_groups_win(folders):
    labels = Labels(names=("all", "tail"), values=((1, 2), (2,)))
    found = evaluate_folders(*folders, labels=labels, groups={"case_0": "x"})
    assert found.structures == ("all", "tail")
    assert found.rows[0].group == "x"
    assert found.rows[2].group == "case_1"


def test_a_missing_prediction_is_an_error_or_counts_as_missed(folders):
    (folders[0] / "case_1.png").unlink()
    with pytest.raises(DataError, match=r"no prediction for case_1 .* `--missing worst`"):
        evaluate_folders(*folders)
    found = evaluate_folders(*folders, missing="worst")
    assert found.summary("label_1", "dice").num_missed == 1
    assert "1 reference without prediction, counted as missed: case_1." in found.notes


def test_a_prediction_without_reference_is_told(folders):
    (folders[1] / "case_2.png").unlink()
    found = evaluate_folders(*folders)
    assert len(found.cases) == 2
    assert "1 prediction without reference, not judged: case_2." in found.notes


def test_formats_may_differ(folders, tmp_path):
    for path in folders[0].iterdir():
        path.unlink()
    for i in range(3):
        put(folders[0], f"case_{i}.tif", PREDICTION)
    assert evaluate_folders(*folders).rows[0].values["dice"] == pytest.approx(5 / 6, abs=1e-6)


@pytest.mark.parametrize("white", [1, 255])
def test_black_and_white_masks_are_one_structure_whatever_white_is(tmp_path, white):
    mask = (REFERENCE > 0).astype(np.uint8)
    put(tmp_path / "pred", "a.png", mask * white)
    put(tmp_path / "ref", "a.png", mask * 255)
    found = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert found.structures == ("foreground",)
    assert found.rows[0].values["dice"] == 1.0


@pytest.mark.parametrize(("white", "kind"), [(100, np.uint8), (65535, np.uint16)])
def test_soft_edges_of_predictions_are_cut_whatever_white_is(tmp_path, white, kind):
    mask = np.zeros((40, 40))
    mask[8:30, 10:28] = 1
    put(tmp_path / "pred", "a.tif", (gaussian_filter(mask, 0.8) * white).astype(kind))
    put(tmp_path / "ref", "a.png", mask.astype(np.uint8))
    found = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert found.rows[0].values["dice"] > 0.97 and any("grey edges" in note for note in found.notes)
    put(tmp_path / "pred", "a.tif", (gaussian_filter(mask, 4) * white).astype(kind))
    with pytest.raises(DataError, match="which are not values of foreground"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref")


def test_predictions_that_found_nothing_are_judged(tmp_path):
    put(tmp_path / "pred", "a.png", np.zeros_like(REFERENCE))
    put(tmp_path / "ref", "a.png", REFERENCE)
    assert [row.finding for row in evaluate_folders(tmp_path / "pred", tmp_path / "ref").rows] == ["missed", "missed"]


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    put(tmp_path / "pred", "answer.png", REFERENCE)
    put(tmp_path / "ref", "truth.png", REFERENCE)
    found = evaluate_folders(tmp_path / "pred" / "answer.png", tmp_path / "ref" / "truth.png")
    assert found.rows[0].values["dice"] == 1.0


def test_values_that_no_structure_has_are_told(folders):
    strange = PREDICTION.copy()
    strange[0, 0] = 9
    put(folders[0], "case_0.png", strange)
    assert any("values that no structure has (9)" in note for note in evaluate_folders(*folders).notes)


def test_predictions_with_other_values_are_refused(folders):
    for i in range(3):
        put(folders[0], f"case_{i}.png", PREDICTION * 50)
    with pytest.raises(DataError, match="predictions hold 50, 100"):
        evaluate_folders(*folders)


def test_an_empty_folder_is_an_error(folders, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no label images here"):
        evaluate_folders(tmp_path / "nothing", folders[1])


def test_real_annotations_agree_with_themselves(real_data, tmp_path):
    folder = real_data / "sct_spinal_cord"
    masks = sorted(folder.rglob("labels"))[0]
    found = evaluate_folders(shutil.copytree(masks, tmp_path / "answers"), masks)
    assert found.summary("mean", "dice").spread.mean == 1.0
    assert found.length_unit == "mm"


def test_folders_of_numbered_objects_are_compared_object_by_object(tmp_path):
    numbers = np.zeros((24, 24), np.uint8)
    for i in range(16):
        row, column = 6 * (i // 4), 6 * (i % 4)
        numbers[row : row + 5, column : column + 6] = i + 1
    put(tmp_path / "ref", "a.png", numbers)
    (tmp_path / "labels.yaml").write_text("instances: true\n")
    settings = EvaluationSettings(metrics=("dice", "object_f1", "aji"))
    put(tmp_path / "mask", "a.png", (numbers > 0).astype(np.uint8))
    put(tmp_path / "numbered", "a.png", np.where(numbers == 3, 0, numbers))
    joined = evaluate_folders(tmp_path / "mask", tmp_path / "ref", settings=settings).rows[0].values
    apart = evaluate_folders(tmp_path / "numbered", tmp_path / "ref", settings=settings).rows[0].values
    assert joined["dice"] == 1.0 and joined["object_f1"] == 0.0
    assert apart["object_f1"] == pytest.approx(30 / 31, abs=1e-6) and apart["aji"] == pytest.approx(15 / 16, abs=1e-6)


def test_columns_of_the_case_table_are_carried(folders):
    folders[1].parent.joinpath("cases.csv").write_text("case,site,Sex\ncase_0,A,f\ncase_1,A,m\ncase_2,B,f\n")
    found = evaluate_folders(*folders)
    assert found.columns == ("site", "sex")
    assert found.facts["case_2"] == {"site": "B", "sex": "f"}


def test_other_structures_in_the_prediction_are_background_when_one_is_judged(tmp_path):
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "labels.yaml").write_text("liver: 1\n")
    put(tmp_path / "ref", "a.png", (REFERENCE == 1).astype(np.uint8))
    put(tmp_path / "pred", "a.png", REFERENCE)
    found = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert found.rows[0].values["dice"] == 1.0
    assert "Predictions: values that no structure has (2) count as background." in found.notes
    put(tmp_path / "pred", "a.png", REFERENCE // 2 * 2)
    with pytest.raises(DataError, match="predictions hold 2, which are not values of liver"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref")


@pytest.mark.parametrize("white", [1, 255])
def test_grey_probabilities_are_cut_at_half_of_their_range(tmp_path, white):
    rows, columns = np.mgrid[:64, :64] - 31.5
    grey = np.round(220 / (1 + np.exp((np.hypot(rows, columns) - 15) / 3))).astype(np.uint8)
    put(tmp_path / "pred", "a.png", grey)
    put(tmp_path / "ref", "a.png", (grey > 127).astype(np.uint8) * white)
    found = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert found.rows[0].values["dice"] == 1.0
    assert "Predictions: numbers above 127.5, half of the range 0 to 255, are foreground." in found.notes


def test_numbers_that_are_neither_labels_nor_probabilities_are_refused(tmp_path):
    logits = np.where(REFERENCE > 0, 3.5, -2.25).astype(np.float32)
    mask = (REFERENCE > 0).astype(np.uint8)
    for folder, array in (("share", (logits + 2.25) / 6), ("logit", logits), ("ref", mask)):
        (tmp_path / folder).mkdir()
        grid = Grid.plain((1, *array.shape), (1, 1, 1))
        write_image(tmp_path / folder / "a.nii.gz", Image(array[None, None], grid, "image"))
    assert evaluate_folders(tmp_path / "share", tmp_path / "ref").rows[0].values["dice"] == 1.0
    with pytest.raises(DataError, match="predictions hold"):
        evaluate_folders(tmp_path / "logit", tmp_path / "ref")


def test_references_without_any_structure_are_judged_when_labels_are_declared(folders):
    for i in range(3):
        put(folders[1], f"case_{i}.png", np.zeros_like(REFERENCE))
    with pytest.raises(DataError, match="are empty"):
        evaluate_folders(*folders)
    (folders[1] / "labels.yaml").write_text("body: 1\ntail: 2\n")
    found = evaluate_folders(*folders)
    assert {row.finding for row in found.rows} == {"spurious"}
    shutil.copytree(folders[1], folders[1].parent / "copy")
    assert evaluate_folders(folders[1].parent / "copy", folders[1]).summary("mean", "dice").spread.mean == 1.0


def test_a_shifted_prediction_is_refused_with_both_origins(tmp_path):
    for folder, x in (("pred", 5.0), ("ref", 0.0)):
        (tmp_path / folder).mkdir()
        affine = np.eye(4)
        affine[0, 3] = x
        grid = Grid.from_affine(affine, (3, *REFERENCE.shape))
        write_image(tmp_path / folder / "a.nii.gz", Image(np.stack([REFERENCE] * 3)[None], grid, "labels"))
    with pytest.raises(DataError, match="they start at 5x0x0 and 0x0x0 mm"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref")


def test_a_folder_that_is_not_there_is_called_missing(folders, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        evaluate_folders(tmp_path / "nowhere", folders[1])


VOLUME = np.zeros((5, 6, 7), np.uint8)
VOLUME[1:4, 2:4, 1:3] = 1
PLACE = Grid.from_affine(np.diag([-1.0, -1.0, 2.0, 1.0]), VOLUME.shape)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL", "PIR"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_answers_in_another_order_of_axes_are_turned(tmp_path, codes, suffix):
    reference = Image(VOLUME[None], PLACE, "labels")
    write_image(tmp_path / "r" / "a.nii.gz", reference)
    write_image(tmp_path / "p" / f"a{suffix}", onto(reference, PLACE.oriented(codes)))
    found = evaluate_folders(tmp_path / "p", tmp_path / "r")
    assert found.rows[0].values["dice"] == 1
    assert any("turned to the axes of the reference: a." in note for note in found.notes) == (codes != "LPS")


def test_numbers_of_objects_are_turned_too(tmp_path):
    (tmp_path / "labels.yaml").write_text("instances: true\n")
    numbered = VOLUME.copy()
    numbered[0, 0, :2], numbered[4, 5, 5:] = 2, 3
    reference = Image(numbered[None], PLACE, "labels")
    write_image(tmp_path / "r" / "a.nii.gz", reference)
    write_image(tmp_path / "p" / "a.nii.gz", onto(reference, PLACE.oriented("SAL")))
    found = evaluate_folders(tmp_path / "p", tmp_path / "r", settings=EvaluationSettings(metrics=("panoptic_quality",)))
    assert found.rows[0].values["panoptic_quality"] == 1


@pytest.mark.parametrize(("shift", "fine"), [(0.02, True), (0.4, False)])
def test_headers_may_differ_by_rounding_as_in_training(tmp_path, shift, fine):
    write_image(tmp_path / "r" / "a.nii.gz", Image(VOLUME[None], PLACE, "labels"))
    near = replace(PLACE, origin_mm=(shift, 0.0, 0.0))
    write_image(tmp_path / "p" / "a.nii.gz", Image(VOLUME[None], near, "labels"))
    if fine:
        assert evaluate_folders(tmp_path / "p", tmp_path / "r").rows[0].values["dice"] == 1
    else:
        with pytest.raises(DataError, match=r"p/a\.nii\.gz and r/a\.nii\.gz are not on one grid: they start at"):
            evaluate_folders(tmp_path / "p", tmp_path / "r")


def test_tiny_pixels_of_another_size_are_refused(tmp_path):
    put(tmp_path / "p", "a.ome.tif", REFERENCE, (1e-4, 1e-4))
    put(tmp_path / "r", "a.ome.tif", REFERENCE, (2e-4, 2e-4))
    with pytest.raises(DataError, match=r"spacings 0\.1x0\.1 and 0\.2x0\.2 µm"):
        evaluate_folders(tmp_path / "p", tmp_path / "r")


def test_names_are_one_in_every_spelling_of_their_letters(tmp_path):
    for folder, form in (("p", "NFD"), ("r", "NFC")):
        put(tmp_path / folder, unicodedata.normalize(form, "b\u00e4r.png"), REFERENCE)
    assert evaluate_folders(tmp_path / "p", tmp_path / "r").cases == ("b\u00e4r",)


def coloured(folder, colours, indexed: bool) -> None:
    """The reference as a palette with the colours of its numbers, or in the colours themselves."""
    folder.mkdir()
    order = np.array([0, 1, 2]) if indexed else np.array([0, 2, 1])
    picture = Picture.fromarray(order[REFERENCE].astype(np.uint8), "P")
    picture.putpalette([int(part) for part in colours[np.argsort(order)].ravel()])
    picture.save(folder / "a.png")


COLOURS = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200]], np.uint8)


@pytest.mark.parametrize("answers", ["palette", "colours", "values"])
def test_answers_are_compared_by_the_colours_of_the_references(tmp_path, answers):
    coloured(tmp_path / "r", COLOURS, indexed=True)
    if answers == "palette":
        coloured(tmp_path / "p", COLOURS, indexed=False)
    else:
        (tmp_path / "p").mkdir()
        picture = COLOURS[REFERENCE] if answers == "colours" else REFERENCE
        Picture.fromarray(picture).save(tmp_path / "p" / "a.png")
    assert [row.values["dice"] for row in evaluate_folders(tmp_path / "p", tmp_path / "r").rows] == [1, 1]


def test_values_answer_references_in_colours(tmp_path):
    for folder, picture in (("r", COLOURS[REFERENCE]), ("p", np.array([0, 2, 1], np.uint8)[REFERENCE])):
        (tmp_path / folder).mkdir()
        Picture.fromarray(picture).save(tmp_path / folder / "a.png")
    assert [row.values["dice"] for row in evaluate_folders(tmp_path / "p", tmp_path / "r").rows] == [1, 1]


def test_answers_with_shades_are_cut_like_references(tmp_path):
    clean = np.kron(REFERENCE[:, :] > 0, np.ones((5, 5), bool)).astype(np.uint8)
    put(tmp_path / "r", "a.png", clean)
    soft = Picture.fromarray(clean * 255).resize((51, 47), Picture.Resampling.BILINEAR)
    put(tmp_path / "p", "a.png", np.asarray(soft.resize(clean.shape[::-1], Picture.Resampling.BILINEAR)))
    assert evaluate_folders(tmp_path / "p", tmp_path / "r").rows[0].values["dice"] > 0.97
