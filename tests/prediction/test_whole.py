"""Answers assembled from the maps of the whole image: the same however it is cut, on the grid of the file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from hyoid.core.case import Case, Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.ops.morphology import components
from hyoid.ops.resample import onto
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.prediction.united import United
from hyoid.prediction.whole import room_for, slabs_of
from hyoid.tasks.task import Task
from phantoms import OneConvolution, make_plan

STEP = 40_000
"""Between the numbers of objects, which then need more than 16 bits."""


class Objects(Task):
    """The connected pieces of what is brighter than a half, each with a number."""

    truth = "instances"
    assembles = True
    default_loss = "dice_ce"
    labels = Labels.of({1: "cell"})
    structures = outputs = ("cell",)
    channels = 1

    def __init__(self) -> None:
        self.given: list[tuple[type, Grid]] = []

    def activate(self, logits):
        return logits.float().sigmoid()

    def assemble(self, maps, grid):
        self.given.append((type(maps), grid))
        return STEP * components(np.asarray(maps[0]) > 0.5)[0].astype(np.int64)


class Bright(OneConvolution):
    """A net that tells bright voxels from dark ones."""

    def forward(self, x):
        return (20 * x - 10,)


def blocks(shape: tuple[int, ...]) -> np.ndarray:
    """A mask of pieces larger than tiles of 8 voxels and of small ones."""
    coarse = np.random.default_rng(len(shape)).random([-(-n // 3) for n in shape]) < (0.3 if len(shape) == 2 else 0.08)
    return np.kron(coarse, np.ones((3,) * len(shape), bool))[tuple(slice(n) for n in shape)]


def predictor_of(dims: int, spacing_mm=None, orientation=None, **settings) -> Predictor:
    plan = make_plan((8,) * dims, spacing_mm, classes=1)
    plan = plan.model_copy(update={"preparation": plan.preparation.changed({"orientation": orientation})})
    return Predictor.of(
        Bright(dims, 1), Objects(), plan, PredictionSettings(**{"whole": 0, "mirror": False, **settings})
    )


def case_of(mask: np.ndarray, spacing_mm=None) -> Case:
    return Case("case", Image(mask[None].astype(np.float32), Grid.plain(mask.shape, spacing_mm)))


@pytest.mark.parametrize("shape", [(40, 37), (20, 18, 27)])
@pytest.mark.parametrize(
    "settings", [{"whole": 1000}, {}, {"overlap": 0.0}, {"mirror": True}, {"memory_gb": 1e-6}, {"memory_gb": 5e-6}]
)
def test_objects_are_the_same_however_the_image_is_cut(shape, settings):
    mask = blocks(shape)
    expected, count = components(mask)
    expected = STEP * expected.astype(np.int64)
    assert count > 2 and expected.max() > 2**16
    predictor, case = predictor_of(len(shape), **settings), case_of(mask)
    answer = predictor.predict(case)
    assert answer.array.dtype == np.int32 and answer.grid == case.image.grid
    np.testing.assert_array_equal(answer.array[0], expected)
    np.testing.assert_array_equal(predictor.predict_labels(case.image.array), expected)
    labels, maps = predictor.predict_probabilities(case)
    np.testing.assert_array_equal(labels.array[0], expected)
    np.testing.assert_array_equal(maps.array[0] > 0.5, mask)
    written = np.zeros(shape, np.int32)
    predictor.predict_into(written, case)
    np.testing.assert_array_equal(written, expected)
    mapped = 2 * mask.size > settings.get("memory_gb", 1.5) * 2**30
    assert {kind for kind, _ in predictor.task.given} == {np.memmap if mapped else np.ndarray}


@pytest.mark.parametrize("memory_gb", [1.5, 1e-6])
def test_objects_of_united_predictors_are_those_of_their_mean(memory_gb):
    mask = blocks((20, 18, 27))
    both = [predictor_of(3, orientation=codes, memory_gb=memory_gb) for codes in ("RAS", "SLA")]
    united, case = United(both, [1, 2], "ab"), case_of(mask, (1.0, 1.0, 1.0))
    labels, maps = united.predict_probabilities(case)
    for answer in (labels, united.predict(case)):
        np.testing.assert_array_equal(answer.array[0], STEP * components(mask)[0].astype(np.int64))
    np.testing.assert_array_equal(maps.array[0] > 0.5, mask)
    assert {kind for kind, _ in united.task.given} == {np.ndarray if memory_gb > 1 else np.memmap}


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (0.4, 1.3), (0.6, 0.7, 1.9)])
def test_objects_are_found_at_the_spacing_of_the_net_and_put_onto_the_grid_of_the_file(spacing_mm):
    dims = len(spacing_mm)
    predictor, case = predictor_of(dims, (1.0,) * dims), case_of(blocks((31, 28, 20)[:dims]), spacing_mm)
    prepared = predictor.prepared(case)
    found = predictor.predict_labels(prepared.array, grid=prepared.grid)
    answer = predictor.predict(case)
    assert {grid for _, grid in predictor.task.given} == {prepared.grid} and answer.grid == case.image.grid
    np.testing.assert_array_equal(
        answer.array, onto(Image(found[None], prepared.grid, "labels"), case.image.grid).array
    )
    assert len(np.unique(answer.array)) > 3
    labels, maps = predictor.predict_probabilities(case)
    np.testing.assert_array_equal(labels.array, answer.array)
    whole = Image(predictor.predict_prepared(prepared.array), prepared.grid, "probabilities")
    np.testing.assert_allclose(maps.array, onto(whole, case.image.grid).array, atol=2e-3)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SLA"])
def test_objects_on_a_turned_grid_are_those_of_the_prepared_one_bit_for_bit(codes):
    predictor = predictor_of(3, orientation="RAS")
    case = case_of(blocks((20, 18, 27)), (1.0, 1.0, 1.0))
    turned = Case("turned", onto(case.image, case.image.grid.oriented(codes)))
    back = onto(predictor.predict(turned), case.image.grid)
    np.testing.assert_array_equal(back.array, predictor.predict(case).array)


def test_images_on_disk_are_written_layer_by_layer(monkeypatch):
    monkeypatch.setattr("hyoid.prediction.answering.CHUNK_BYTES", 4 * 3 * 28 * 20)
    predictor, case = predictor_of(3, (1.0, 1.0, 1.0)), case_of(blocks((31, 28, 20)), (0.6, 0.7, 1.9))
    places = []

    class Layers:
        array = np.zeros((31, 28, 20), np.int32)

        def __setitem__(self, place, box):
            places.append(place[0])
            self.array[place] = box

    written = Layers()
    predictor.predict_into(written, case)
    np.testing.assert_array_equal(written.array, predictor.predict(case).array[0])
    assert len(places) > 5 and all(first.stop == second.start for first, second in pairwise(places))


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"refine": "dense_crf"}, "Objects needs it left out"), ({"largest_component": ("cell",)}, "no structures")],
)
def test_settings_that_do_not_fit_objects_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        predictor_of(2, **setting)


def test_maps_beyond_the_memory_lie_in_a_file_and_are_read_in_slabs():
    for memory_gb, kind in ((1.0, np.ndarray), (1e-7, np.memmap)):
        with room_for((2, 9, 5), memory_gb) as maps:
            assert type(maps) is kind and maps.dtype == np.float16
            maps[:] = np.arange(90).reshape(2, 9, 5)
            slabs = list(slabs_of(maps, 4 * 2 * 5 * 4))
            assert [start for start, _ in slabs] == [0, 4, 8]
            assert torch.equal(torch.cat([slab for _, slab in slabs], 1), torch.arange(90.0).view(2, 9, 5).half())


def test_an_engine_of_another_plan_is_refused():
    engine = predictor_of(2).engine
    with pytest.raises(ConfigError, match="computes a 2D net of 1 channels, and the plan is for one of 3D"):
        Predictor(engine, make_plan((8, 8, 8)))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [(np.zeros((3, 4)), "it gave an array of shape (3, 4)."), (None, "it gave NoneType."), (7, "it gave int.")],
)
def test_an_answer_of_another_shape_than_the_image_is_refused(monkeypatch, given, sentence):
    monkeypatch.setattr(Objects, "assemble", lambda *_: given)
    predictor = Predictor.of(Bright(2, 1), Objects(), make_plan((16, 16), classes=1))
    with pytest.raises(
        ConfigError, match=r"Task Objects: `assemble` must give an array of the shape \(20, 20\)"
    ) as caught:
        predictor.predict_labels(np.zeros((1, 20, 20), np.float32))
    assert sentence in str(caught.value)
