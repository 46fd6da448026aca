"""Folders in which several kinds of files lie together: nothing vanishes without a word."""

from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.io.dataset import find_images, open_dataset
from hyoid.io.formats import write_image

BOX = Grid.plain((6, 7, 8), (1.0, 1.0, 2.0))


def image(path: Path) -> Path:
    write_image(path, Image(np.arange(336, dtype=np.int16).reshape(1, *BOX.shape), BOX))
    return path


def test_a_header_and_its_voxels_are_one_image(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        voxels = np.zeros(BOX.shape, np.uint8)
        voxels[1:3, 1:3, 1:3] = 1
        nibabel.Nifti1Pair(voxels, np.diag([1.0, 1.0, 2.0, 1.0])).to_filename(tmp_path / folder / "ras.img")
    assert [entry.images for entry in find_images(tmp_path / "images")] == [(tmp_path / "images" / "ras.img",)]
    assert [entry.id for entry in find_images(sorted((tmp_path / "images").iterdir()))] == ["ras"]
    for path in (tmp_path, tmp_path / "images" / "ras.hdr"):
        assert open_dataset(path).read("ras").labels.array.sum() == 8


def test_equal_names_in_different_folders_are_named(tmp_path):
    for name in ("x", "y"):
        image(tmp_path / name / "images" / "scan.nii.gz")
    with pytest.raises(
        DataError, match=r"different folders are called 'scan' \(.*x/images/scan.*y/images/scan.*own name"
    ):
        find_images(tmp_path)
