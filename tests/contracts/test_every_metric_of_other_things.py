"""What every metric of objects, probabilities and images must do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hyoid.core.citations import bibliography
from hyoid.core.errors import ConfigError
from hyoid.metrics import SHELVES, Rules, of_files

OBJECTS, PROBABILITIES, IMAGES = (SHELVES[kind] for kind in ("objects", "probabilities", "images"))

BLIND_TO_MADE_UP = {"seg", "rand_error", "lesion_recall", "segmentation_quality"}
BLIND_TO_MISSED = {"segmentation_quality", "lesion_precision", "rand_error"}
FORGIVES_BORDERS = {"lesion_recall", "lesion_precision", "lesion_f1"}


def squares(*corners: tuple[int, int], size: int = 5) -> np.ndarray:
    numbers = np.zeros((30, 30), np.int32)
    for number, (row, column) in enumerate(corners, 1):
        numbers[row : row + size, column : column + size] = number
    return numbers


TRUTH = squares((2, 2), (2, 12), (15, 3), (20, 20))
NOTHING = np.zeros_like(TRUTH)


def badness(metric, *given) -> float:
    return abs(metric(*given) - metric.best)


@pytest.fixture(params=list(OBJECTS))
def of_objects(request):
    return OBJECTS.build(request.param)


@pytest.fixture(params=list(PROBABILITIES))
def of_probabilities(request):
    return PROBABILITIES.build(request.param)


def test_the_same_objects_are_best_whatever_their_numbers(of_objects):
    renumbered = np.where(TRUTH > 0, 90 - 7 * TRUTH, 0)
    assert of_objects(renumbered, TRUTH) == of_objects(TRUTH, TRUTH) == of_objects.best


def test_missed_and_made_up_objects_cost(of_objects):
    missed = np.where(TRUTH == 2, 0, TRUTH)
    assert badness(of_objects, missed, TRUTH) > 0 or of_objects.name in BLIND_TO_MISSED
    made_up = np.where(squares((22, 5)) > 0, 9, TRUTH)
    assert badness(of_objects, made_up, TRUTH) > 0 or of_objects.name in BLIND_TO_MADE_UP


def test_moved_objects_cost_and_more_when_further(of_objects):
    near, far = np.roll(TRUTH, 1, 0), np.roll(TRUTH, (2, 1), (0, 1))
    if of_objects.name in FORGIVES_BORDERS:
        assert badness(of_objects, far, TRUTH) == 0
        return
    assert badness(of_objects, far, TRUTH) >= badness(of_objects, near, TRUTH)
    assert badness(of_objects, far, TRUTH) > 0


def test_joined_objects_cost(of_objects):
    truth = squares((2, 2), (2, 7))
    assert badness(of_objects, truth > 0, truth) > 0 or of_objects.name in FORGIVES_BORDERS


def test_no_object_at_all_is_perfect_and_one_side_is_worst(of_objects):
    assert of_objects(NOTHING, NOTHING) == of_objects.best
    for given in ((NOTHING, TRUTH), (TRUTH, NOTHING)):
        worst = math.log2(TRUTH.size) if math.isinf(of_objects.worst) else of_objects.worst
        assert of_objects(*given) == worst
        assert math.isnan(of_objects(*given, rules=Rules(one_empty="exclude")))


def test_turning_the_image_changes_nothing(of_objects):
    prediction = np.roll(np.where(TRUTH == 3, 0, TRUTH), 1, 1)
    turned = of_objects(prediction.T[::-1], TRUTH.T[::-1])
    assert of_objects(prediction, TRUTH) == pytest.approx(turned, abs=1e-12)


def test_sure_and_right_is_best_and_within_range(of_probabilities):
    truth = TRUTH > 0
    assert of_probabilities(truth.astype(float), truth) == pytest.approx(of_probabilities.best, abs=1e-9)
    low, high = of_probabilities.range
    assert low <= of_probabilities(np.random.default_rng(0).random(truth.shape), truth) <= high


def test_sure_and_wrong_is_far_worse_than_unsure(of_probabilities):
    truth = np.arange(400).reshape(20, 20) % 2 == 0
    wrong, unsure = (~truth).astype(float), np.full(truth.shape, 0.5)
    assert badness(of_probabilities, wrong, truth) > badness(of_probabilities, unsure, truth) - 1e-9


@pytest.mark.parametrize("name", list(IMAGES))
def test_less_noise_is_better(name):
    metric = IMAGES.build(name)
    truth = np.random.default_rng(1).random((20, 22)).cumsum(1)
    noise = np.random.default_rng(2).standard_normal(truth.shape)
    little, much = metric(truth + 0.1 * noise, truth), metric(truth + noise, truth)
    assert (little > much) == metric.higher_is_better
    assert metric(truth, truth) == pytest.approx(metric.best)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in SHELVES for name in SHELVES[kind]])
def test_it_says_what_it_means_and_cites_known_papers(kind, name):
    entry = SHELVES[kind][name]
    metric = entry.build()
    assert metric.meaning == entry.summary and entry.summary.endswith(".")
    assert set(entry.papers) <= bibliography().keys()
    assert metric.on_empty


def test_names_are_on_one_shelf_only():
    names = [name for shelf in SHELVES.values() for name in shelf]
    assert len(set(names)) == len(names)


def test_an_evaluation_takes_metrics_of_what_files_hold_only():
    assert {of_files(name).name for name in ("psnr", "folds")} == {"psnr", "folds"}
    assert of_files("aji").name == "aji"
    assert of_files("nsd", tolerance_mm=2.0).name == "nsd"
    with pytest.raises(ConfigError, match="ece compares probabilities"):
        of_files("ece")
    with pytest.raises(ConfigError, match="Did you mean"):
        of_files("panoptic_qualty")
