"""Wrong inputs: each ends in one clear sentence and an exit code, and loses nothing."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import read_image, write_image

pytestmark = pytest.mark.slow


def hyoid(*words: str | Path, largest_file: int | None = None) -> str:
    """Run a command that must fail; gives what it said."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    result = subprocess.run(
        [sys.executable, "-m", "hyoid", *map(str, words)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "COLUMNS": "300"},
    )
    said = result.stdout + result.stderr
    assert result.returncode not in (0, 130, -9), said
    assert "Traceback" not in said, said
    assert "This should not happen" not in said, said
    return said


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("organs"), "organs", num_cases=5, size=24)


@pytest.fixture
def data(organs: Path, tmp_path: Path) -> Path:
    """A copy of good data that a test may spoil."""
    shutil.copytree(organs, tmp_path / "data")
    return tmp_path / "data"


def first(data: Path, folder: str) -> Path:
    return sorted((data / folder).iterdir())[0]


def test_a_corrupt_gz_names_the_file(data, tmp_path):
    path = first(data, "images")
    path.write_bytes(path.read_bytes()[:300])
    assert path.name in hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")


def test_a_text_file_named_nii_gz_names_the_file(data, tmp_path):
    path = first(data, "labels")
    path.write_bytes(gzip.compress(b"this is not an image\n"))
    assert path.name in hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")


def test_mismatched_grids_name_both(data, tmp_path):
    path = first(data, "labels")
    labels = read_image(path, "labels")
    shifted = Grid(labels.grid.shape, (9.0, 9.0, 9.0), labels.grid.origin_mm, labels.grid.direction)
    write_image(path, Image(labels.array, shifted, "labels"))
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")
    assert path.name.removesuffix(".nii.gz") in said
    assert "9" in said


def test_a_label_without_image_is_named(data, tmp_path):
    first(data, "images").unlink()
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")
    assert first(data, "labels").name.removesuffix(".nii.gz") in said


def test_an_empty_folder_says_what_was_expected(tmp_path):
    (tmp_path / "data").mkdir()
    assert "images" in hyoid("run", tmp_path / "data", "--into", tmp_path / "run", "--steps", "2")


def test_a_place_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "file" in hyoid("run", data, "--into", tmp_path / "file" / "run", "--steps", "2")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_is_named_and_leaves_nothing_half_written(data, tmp_path):
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2", largest_file=20_000)
    assert "could not be" in said
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_an_unknown_setting_names_the_closest(data, tmp_path):
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2", "--set", "planing.batch=2")
    assert "Did you mean 'planning'?" in said


def test_a_class_that_labels_do_not_name_is_refused(data, tmp_path):
    path = first(data, "labels")
    labels = read_image(path, "labels")
    array = labels.array.copy()
    array[0, 0, 0, 0] = 77
    write_image(path, Image(array, labels.grid, "labels"))
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")
    assert "77" in said


def test_nan_in_an_image_names_the_case(data, tmp_path):
    path = first(data, "images")
    image = read_image(path)
    array = image.array.astype(np.float32)
    array[0, 3, 3, 3] = np.nan
    write_image(path, Image(array, image.grid))
    said = hyoid("run", data, "--into", tmp_path / "run", "--steps", "2")
    assert path.name in said
    assert "NaN" in said


def test_an_empty_argument_is_not_the_current_folder(data):
    assert "An argument is empty" in hyoid("plan", data, "--into", "")


def test_a_seed_beyond_what_generators_take_is_refused(data, tmp_path):
    assert "seed" in hyoid("plan", data, "--into", tmp_path / "run", "--steps", "2", "--seed", str(2**63))


def test_a_label_that_is_named_twice_is_refused_with_its_line(data, tmp_path):
    (data / "labels.yaml").write_text("1: body\n2: liver\n1: tumour\n")
    said = hyoid("inspect", data)
    assert "labels.yaml" in said and "'1' is there twice" in said and "line 3" in said
