"""What `inspect` says of files and data sets."""

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.progress import listening
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.inspect import inspect_path
from hyoid.datasets.survey import implausible
from hyoid.files.formats import write_image
from hyoid.files.header import Header

GRID = Grid.from_affine(np.array([[0, 0, 2.5, 1], [-0.8, 0, 0, 2], [0, 1.25, 0, 3], [0, 0, 0, 1.0]]), (5, 6, 7))


def test_a_volume(tmp_path):
    array = np.arange(210, dtype=np.float32).reshape(1, 5, 6, 7)
    array[0, 0, 0, 0] = np.nan
    write_image(tmp_path / "a.nii.gz", Image(array, GRID))
    found = inspect_path(tmp_path / "a.nii.gz")
    assert found.facts["spacing"] == "0.8x1.25x2.5 mm" and found.facts["orientation"] == "PSR"
    assert found.facts["values"].startswith("1 to 209, median")
    assert found.problems == ("1 voxels are NaN or infinite.",)


def test_a_picture_of_few_values(tmp_path):
    write_image(tmp_path / "a.png", Image(np.eye(9, dtype=np.uint8)[None] * 255, Grid.plain((9, 9))))
    found = inspect_path(tmp_path / "a.png")
    assert found.facts["values"] == "0, 255" and found.facts["voxel size"] == "unknown" and not found.problems


def test_an_oblique_sheared_volume(tmp_path):
    affine = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_image(tmp_path / "a.nii.gz", Image(np.zeros((1, 5, 6, 7), np.uint8), Grid.from_affine(affine, (5, 6, 7))))
    assert inspect_path(tmp_path / "a.nii.gz").facts["orientation"] == "RAS, oblique by 16.7 degrees, sheared"


def test_a_damaged_file_is_a_problem_and_a_missing_one_an_error(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"no")
    assert "the file is text" in inspect_path(tmp_path / "a.nii.gz").problems[0]
    with pytest.raises(DataError, match="no such file"):
        inspect_path(tmp_path / "b.nii.gz")


def data_set(root, bad=False):
    for k, name in enumerate("abc"):
        array = np.full((1, *GRID.shape), 1.5 + k, np.float32)
        if bad and name == "b":
            array[0, 1, 1, 1] = np.inf
        write_image(root / "images" / f"{name}.nii.gz", Image(array, GRID))
        labels = np.zeros((1, *GRID.shape), np.uint8)
        labels[0, :, 0, 0] = 1
        write_image(root / "labels" / f"{name}.nii.gz", Image(labels, GRID, "labels"))
    (root / "cases.csv").write_text("case,patient\na,1\nb,1\nc,2\n")


def test_a_data_set(tmp_path):
    data_set(tmp_path)
    found = inspect_path(tmp_path)
    assert found.facts["cases"] == "3" and found.facts["groups"] == "2 (column `patient`)"
    assert found.facts["shapes"] == "5x6x7" and found.facts["labels"] == "foreground (1)"
    assert [row["case"] for row in found.cases] == ["a", "b", "c"]
    first = {"case": "a", "group": "1", "shape": "5x6x7", "spacing": "0.8x1.25x2.5 mm", "image": "a.nii.gz"}
    assert found.cases[0] == {**first, "foreground": "2.38 %"}
    assert not found.problems


def test_a_bad_case_of_a_data_set_is_named(tmp_path):
    data_set(tmp_path, bad=True)
    assert "b: 1 voxels of" in inspect_path(tmp_path).problems[0]


def test_a_folder_of_nothing_is_a_problem(tmp_path):
    assert "It is empty" in inspect_path(tmp_path).problems[0]


def test_progress_is_told(tmp_path):
    stages = []

    class Ear:
        def start(self, what, total):
            stages.append((what, total))

        def advance(self, amount, note="", left_seconds=None):
            stages.append(amount)

        def stop(self):
            stages.append("stop")

    data_set(tmp_path)
    with listening(Ear()):
        inspect_path(tmp_path)
    assert stages == [("Looking at cases", 3), 1, 1, 1, "stop", ("Reading cases", 3), 1, 1, 1, "stop"]


@pytest.mark.parametrize(
    ("spacing", "words"),
    [((1000.0, 1.0, 1.0), "5 m long"), ((120.0, 1, 1), "very large"), ((1e-6, 1, 1), "very small")],
)
def test_absurd_voxel_sizes_are_warned_of(tmp_path, spacing, words):
    grid = Grid.plain((5, 6, 7), spacing)
    array = np.arange(210, dtype=np.int16).reshape(1, 5, 6, 7)
    write_image(tmp_path / "images" / "a.mha", Image(array, grid))
    write_image(tmp_path / "labels" / "a.mha", Image((array > 99).astype(np.uint8), grid, "labels"))
    (told,) = inspect_path(tmp_path / "images" / "a.mha").warnings
    assert words in told and "are the units in the header right?" in told
    assert any(one.startswith("a: ") and words in one for one in open_dataset(tmp_path).warnings)


def test_a_constant_image_is_warned_of(tmp_path):
    data_set(tmp_path)
    assert "All voxels have one value in a, b, c; these images show nothing." in inspect_path(tmp_path).warnings
    assert "one value" in inspect_path(tmp_path / "images" / "a.nii.gz").warnings[0]


@pytest.mark.parametrize(("unit_mm", "doubted"), [(1e-3, False), (1.0, True), (None, True)])
def test_small_voxels_are_no_mistake_where_a_file_names_a_small_unit(unit_mm, doubted):
    header = Header("NIfTI-1", Grid.plain((4, 5, 6), (5e-4,) * 3), 1, "uint8", unit_mm=unit_mm)
    assert bool(implausible(header)) == doubted
