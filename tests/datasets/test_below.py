"""Images to predict in folders of folders: each is found once, and its name tells where it lies."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.below import label_images_below
from hyoid.datasets.cases import find_images
from hyoid.files.formats import write_image

from ..files.test_dicom import write_series


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(np.zeros((1, 4, 5, 6), np.int16), Grid.plain((4, 5, 6), (1, 1, 2))))
    return path


def ids(*paths, **options):
    return [entry.id for entry in find_images(list(paths), **options)]


def test_folders_in_folders_are_searched_and_named_by_their_place(tmp_path):
    for name in ("scan", "ward/scan", "ward/deep/er/scan"):
        image(tmp_path / f"{name}.nii.gz")
    assert ids(tmp_path) == ["scan", "ward/deep/er/scan", "ward/scan"]


def test_a_series_in_a_folder_is_one_image(tmp_path):
    write_series(tmp_path / "p1" / "study" / "series")
    image(tmp_path / "p1" / "other.nii.gz")
    assert ids(tmp_path) == ["p1/other", "p1/study/series"]


def test_channel_files_are_joined_within_a_folder(tmp_path):
    for place in ("a", "b"):
        for channel in range(2):
            image(tmp_path / place / f"x_{channel:04d}.nii.gz")
    assert ids(tmp_path, channels=2) == ["a/x", "b/x"]


def test_images_is_no_part_of_a_name(tmp_path):
    image(tmp_path / "images" / "a.nii.gz")
    image(tmp_path / "site" / "images" / "b.nii.gz")
    image(tmp_path / "c" / "images" / "c.nii.gz")
    assert ids(tmp_path) == ["a", "c", "site/b"]


def test_annotations_runs_and_answers_are_left_out(tmp_path, caplog):
    image(tmp_path / "images" / "a.nii.gz")
    image(tmp_path / "labels" / "a.nii.gz")
    image(tmp_path / "RUN" / "predictions" / "a.nii.gz")
    (tmp_path / "RUN" / "experiment.yaml").touch()
    image(tmp_path / "earlier" / "a.nii.gz")
    (tmp_path / "earlier" / "answers.jsonl").touch()
    assert ids(tmp_path) == ["a"]
    assert "annotations, second images, runs and answers are left out: RUN, earlier, labels" in caplog.text


def test_a_link_back_up_is_not_followed(tmp_path):
    image(tmp_path / "in" / "a.nii.gz")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    assert ids(tmp_path) == ["in/a"]


def test_links_that_lead_round_in_a_ring_are_followed_once(tmp_path):
    image(tmp_path / "in" / "a.nii.gz")
    image(tmp_path / "side" / "b.nii.gz")
    (tmp_path / "in" / "to").symlink_to(tmp_path / "side")
    (tmp_path / "side" / "back").symlink_to(tmp_path / "in")
    assert ids(tmp_path) == ["in/a", "in/to/b", "side/b", "side/back/a"]


def test_annotations_are_found_as_images_are(tmp_path, caplog):
    image(tmp_path / "side" / "b.nii.gz")
    image(tmp_path / "in" / "labels" / "a.nii.gz")
    (tmp_path / "in" / "to").symlink_to(tmp_path / "side")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    image(tmp_path / "in" / "answers" / "a.nii.gz")
    image(tmp_path / "in" / "earlier" / "deep" / "a.nii.gz")
    (tmp_path / "in" / "earlier" / "answers.jsonl").touch()
    found = label_images_below(tmp_path / "in", tmp_path / "in" / "answers")
    assert list(found.values()) == ["labels/a", "to/b"]
    assert "runs and answers are left out: earlier." in caplog.text


def test_nothing_anywhere_is_an_error(tmp_path):
    (tmp_path / "in" / "side").mkdir(parents=True)
    with pytest.raises(DataError, match="expected images; the folder holds none that hyoid reads, nor do those in it"):
        find_images(tmp_path)
