"""hyoid.load: a trained run answers arrays, images and files in memory, as hyoid predict answers files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hyoid
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.datasets.phantoms import write_phantoms

SMALL = ["planning.channels=[4,8]", "planning.batch=1"]


class Trained:
    """A trained run, a new image and what hyoid predict writes for it."""

    def __init__(self, folder, kind, size):
        data = write_phantoms(folder / "data", kind, 4, size)
        self.run = folder / "run"
        hyoid.plan(data, into=self.run, steps=1, changes=SMALL)
        hyoid.train(self.run)
        self.file = sorted((write_phantoms(folder / "new", kind, 1, size, seed=5) / "images").iterdir())[0]
        self.image = hyoid.read_image(self.file)
        [answer] = hyoid.predict(self.run, [self.file], into=folder / "answers")
        self.written = hyoid.read_image(answer, "labels")
        self.model = hyoid.load(self.run, device="cpu")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("volumes"), "organs", 24)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("pictures"), "cells", 32)


@pytest.fixture(params=["volumes", "pictures"])
def trained(request):
    return request.getfixturevalue(request.param)


def same(answer, written):
    assert np.array_equal(answer.array, written.array) and answer.array.dtype == written.array.dtype
    assert answer.grid.matches(written.grid) and answer.kind == "labels"


def test_a_file_and_an_image_are_answered_bit_for_bit_as_hyoid_predict_does(trained):
    same(trained.model.predict(trained.file), trained.written)
    same(trained.model.predict([trained.file]), trained.written)
    same(trained.model.predict(trained.image), trained.written)


def test_an_array_with_spacing_is_answered_as_its_file(volumes):
    array, grid = volumes.image.array, volumes.image.grid
    assert grid.orientation == "RAS"
    for one in (array, array[0], array[0].astype(np.float64)):
        assert np.array_equal(volumes.model(one, spacing_mm=grid.spacing_mm), volumes.written.array[0])


def test_an_array_with_affine_or_grid_is_answered_as_its_file_however_it_lies(volumes):
    turned = volumes.image.grid.flipped(0).transposed((2, 0, 1))
    array = np.flip(volumes.image.array[0], 0).transpose(2, 0, 1)
    wanted = np.flip(volumes.written.array[0], 0).transpose(2, 0, 1)
    assert np.array_equal(volumes.model(array, grid=turned), wanted)
    assert np.array_equal(volumes.model(array, affine=turned.affine), wanted)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0)], ids=["channels first", "channels last"])
def test_a_picture_is_answered_with_its_channels_at_either_end(pictures, axes):
    grey = pictures.image.array
    colour = np.repeat(grey, 3, axis=0)  # grey as colour, which the net of grey pictures takes as grey
    for one in (grey, colour):
        assert np.array_equal(pictures.model(one.transpose(axes)), pictures.written.array[0])
    assert np.array_equal(pictures.model(grey[0]), pictures.written.array[0])


def test_probabilities_lie_on_the_grid_of_the_image_and_decide_as_the_labels(trained):
    maps = trained.model.probabilities(trained.image)
    assert maps.array.shape == (len(trained.model.outputs), *trained.image.grid.shape)
    assert np.allclose(maps.array.astype(np.float32).sum(0), 1, atol=0.01)
    values = np.array([0, *(group[0] for group in trained.model.structures.values())])
    assert (values[maps.array.argmax(0)] == trained.written.array[0]).mean() > 0.99


def test_names_and_settings_are_there(volumes):
    assert volumes.model.structures == {"left_kidney": (1,), "right_kidney": (2,), "spine": (3,)}
    assert volumes.model.outputs == ("background", "left_kidney", "right_kidney", "spine")
    mirrored = hyoid.load(volumes.run, changes=["prediction.mirror=true"])
    assert mirrored.predictor.settings.mirror is True


@pytest.mark.slow
def test_nothing_is_written_even_where_another_engine_makes_a_program(volumes):
    def files():
        return {path: path.stat().st_mtime_ns for path in volumes.run.rglob("*")}

    before = files()
    hyoid.load(volumes.run, changes=["prediction.backend=onnx"]).predict(volumes.image)
    assert files() == before


SPACING = (1, 1, 2.5)


@pytest.mark.parametrize(
    ("shape", "place", "sentence"),
    [
        ((24, 24), {"spacing_mm": SPACING}, "learned from 3D images, as arrays"),
        ((2, 8, 8, 8), {"spacing_mm": SPACING}, r"shape \(2, 8, 8, 8\) has no axis of 1 channels"),
        ((8, 8, 8), {}, "Say how large the voxels of the array are: spacing_mm, affine or grid"),
        ((8, 8, 8), {"spacing_mm": (1, 1)}, "spacing_mm has 2 numbers, but the array has 3 axes"),
        ((8, 8, 8), {"spacing_mm": 2}, "spacing_mm has 1 numbers, but the array has 3 axes"),
        ((8, 8, 8), {"spacing_mm": SPACING, "affine": np.eye(4)}, "Give one of spacing_mm, affine and grid"),
        ((8, 8, 8), {"spacing_mm": (1, 1, 0)}, "positive spacing"),
        ((8, 8, 8), {"grid": Grid.plain((9, 8, 8), SPACING)}, "An image array has shape"),
    ],
)
def test_a_volume_that_does_not_fit_is_refused_in_a_sentence(volumes, shape, place, sentence):
    with pytest.raises((ConfigError, DataError), match=sentence):
        volumes.model(np.ones(shape, np.float32), **place)


def test_numbers_that_are_none_are_refused(volumes):
    array = np.ones((8, 8, 8), np.float32)
    array[1, 2, 3] = np.nan
    with pytest.raises(DataError, match=r"1 voxels of the array are NaN or infinite, the first at \(1, 2, 3\)"):
        volumes.model(array, spacing_mm=SPACING)
    with pytest.raises(DataError, match="holds numbers; the array is of type <U1"):
        volumes.model(np.full((8, 8, 8), "a"), spacing_mm=SPACING)


def test_a_picture_that_can_be_read_in_two_ways_is_refused(pictures):
    with pytest.raises(DataError, match=r"shape \(3, 32, 3\) may have its channels first or last"):
        pictures.model(np.ones((3, 32, 3), np.uint8))


def test_a_place_beside_a_file_and_several_images_are_refused(volumes):
    with pytest.raises(ConfigError, match="for an array; images and files have a grid"):
        volumes.model.predict(volumes.file, spacing_mm=SPACING)
    with pytest.raises(ConfigError, match="Expected one image, got 4"):
        volumes.model.predict(volumes.run.parent / "data" / "images")


@pytest.mark.parametrize(
    "source", [None, 3, torch.ones(8, 8, 8), [], [[1, 2], [3, 4]]], ids=lambda one: type(one).__name__
)
def test_a_source_of_another_kind_is_refused(volumes, source):
    with pytest.raises(ConfigError, match=r"source: expected a NumPy array, a hyoid.Image, a file or a list of files"):
        volumes.model.predict(source, spacing_mm=SPACING)


@pytest.mark.parametrize("run", [None, 3])
def test_a_run_that_is_no_path_is_refused(run):
    with pytest.raises(ConfigError, match="run: expected a path, got"):
        hyoid.load(run)


def test_an_affine_of_a_volume_is_refused_for_a_picture(pictures):
    with pytest.raises(ConfigError, match=r"affine: expected the shape \(3, 3\) for 2 axes in space, got \(4, 4\)"):
        pictures.model(pictures.image.array[0], affine=np.eye(4))


def test_a_run_without_weights_and_settings_of_training_are_refused(volumes, tmp_path):
    hyoid.plan(volumes.run.parent / "data", into=tmp_path / "run", steps=1, changes=SMALL)
    with pytest.raises(ConfigError, match="has no weights yet"):
        hyoid.load(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"settings under prediction\., device and threads only"):
        hyoid.load(volumes.run, changes=["training.steps=2"])


@pytest.mark.slow
@pytest.mark.parametrize("patch", [[16, 16], [32, 32]], ids=["one plan", "two plans"])
def test_an_ensemble_answers_as_hyoid_predict_does(pictures, tmp_path, patch):
    folder = tmp_path / "ensemble"
    for fold, changes in enumerate([["planning.patch=[16,16]"], [f"planning.patch={patch}"]]):
        run = folder / f"fold_{fold}"
        hyoid.plan(pictures.run.parent / "data", into=run, steps=1, changes=[*SMALL, *changes, f"fold={fold}"])
        hyoid.train(run)
    (folder / "ensemble.yaml").write_text("members: [fold_0, fold_1]\n")
    [answer] = hyoid.predict(folder, [pictures.file], into=tmp_path / "answers")
    same(hyoid.load(folder).predict(pictures.file), hyoid.read_image(answer, "labels"))
    assert np.array_equal(hyoid.load(folder)(pictures.image.array), hyoid.read_image(answer, "labels").array[0])


def test_predict_says_how_an_array_is_answered(volumes):
    for image in (volumes.image.array, [volumes.image.array], volumes.image):
        with pytest.raises(ConfigError, match=r"`hyoid.load\(run\)` answers arrays and images in memory"):
            hyoid.predict(volumes.run, image, into="somewhere")
