"""Predictors of different plans that answer as one: the mean of their probabilities on the grid of the image."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.ops.resample import onto
from hyoid.prediction import united
from hyoid.prediction.ensemble import Averaged
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.prediction.united import United, union_of
from hyoid.prediction.whole import room_for
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.tasks import task_for
from hyoid.training.quiet import seeded
from phantoms import make_plan

ORGANS = Labels.of({1: "liver", 2: "spleen"})
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def predictor(seed: int, patch=(8, 8, 8), labels=ORGANS, spacing=None, orientation=None, **settings) -> Predictor:
    dims = len([n for n in patch if n > 1])
    task = task_for(labels)
    spec = UNetSpec(dims=dims, in_channels=1, out_channels=task.channels, channels=(4, 8))
    preparation = PreparationSettings(spacing_mm=spacing, orientation=orientation)
    plan = make_plan(patch, spacing, preparation=preparation, net=spec, dims=dims)
    net = seeded(spec.build, seed)
    for weight in net.parameters():
        weight.data.mul_(3)
    return Predictor.of(net, task, plan, PredictionSettings(whole=0, mirror=False, **settings))


def scan(*shape: int, direction=EYE) -> Case:
    rng = np.random.default_rng(0)
    array = rng.normal(0, 1, (1, *shape)).astype(np.float32) + np.sin(np.indices(shape).sum(0) / 3)
    return Case("scan", Image(array, Grid(shape, (2.0, 1.0, 1.5), (5.0, -3.0, 1.0), direction)))


def mean_by_hand(members, weights, case) -> np.ndarray:
    """All maps of each member on the grid of the image, averaged; background where a member answers nothing."""
    total = 0
    for member, weight in zip(members, weights, strict=True):
        prepared = member.prepared(case)
        maps = member.predict_prepared(prepared.array)
        found = onto(Image(maps, prepared.grid, "probabilities"), case.image.grid).array
        found[0] = 1 - found[1:].sum(0)
        total = total + weight / sum(weights) * found
    return total


CASES = {
    "another voxel size": {"spacing": (1.0, 2.0, 1.0)},
    "slabs along another axis": {"patch": (12, 8, 4), "spacing": (2.0, 2.0, 2.0)},
    "axes that point the other way": {"orientation": "LPI"},
    "axes in another order": {"orientation": "SAR"},
    "slices": {"patch": (1, 8, 8)},
    "answered in windows": {"spacing": (1.0, 1.0, 1.0), "memory_gb": 1e-5},
}


@pytest.mark.parametrize("other", CASES.values(), ids=CASES)
@pytest.mark.parametrize("chunk", [2**28, 2**14])
def test_united_predictors_answer_the_weighted_mean(other, chunk, monkeypatch):
    monkeypatch.setattr(united, "CHUNK_BYTES", chunk)
    members, weights, case = [predictor(0), predictor(1, **other), predictor(2)], [1, 2, 1], scan(14, 20, 18)
    labels, maps = United(members, weights, "abc").predict_probabilities(case)
    mean = mean_by_hand(members, weights, case)
    np.testing.assert_allclose(maps.array, mean, atol=3e-3)
    first, second = np.sort(mean, 0)[:-3:-1]
    clear = first - second > 6e-3
    assert clear.mean() > 0.8 and len(np.unique(labels.array)) == 3
    np.testing.assert_array_equal(labels.array[0][clear], mean.argmax(0)[clear])


def test_a_member_that_is_oblique_to_the_image_is_united_too():
    c, s = np.cos(0.3), np.sin(0.3)
    case = scan(14, 20, 18, direction=((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)))
    members = [predictor(0), predictor(1, orientation="SAR")]
    _, maps = United(members, [1, 1], "ab").predict_probabilities(case)
    np.testing.assert_allclose(maps.array, mean_by_hand(members, [1, 1], case), atol=3e-3)


def test_maps_that_are_larger_than_the_memory_for_them_are_summed_up_on_disk(monkeypatch):
    members, case = [predictor(0), predictor(1, patch=(12, 8, 4), spacing=(2.0, 2.0, 2.0))], scan(14, 20, 18)
    inside = United(members, [1, 1], "ab").predict_probabilities(case)[1].array
    members[0].settings = members[0].settings.model_copy(update={"memory_gb": 1e-9})
    both = United(members, [1, 1], "ab")
    made = []
    monkeypatch.setattr(
        united, "room_for", lambda shape, memory_gb: made.append(memory_gb) or room_for(shape, memory_gb)
    )
    np.testing.assert_allclose(both.predict_probabilities(case)[1].array, inside, atol=1e-3)
    assert made == [1e-9]


def test_a_structure_is_averaged_over_the_members_that_know_it():
    other = Labels.of({1: "spleen", 4: "kidney"})
    members, case = [predictor(0), predictor(1, labels=other)], scan(12, 12, 12)
    both = United(members, [1, 3], ["a", "b"])
    assert both.task.labels.names == ("liver", "spleen", "kidney") and both.task.labels.written == (1, 2, 4)
    first, second = (member.predict_prepared(member.prepared(case).array) for member in members)
    labels, maps = both.predict_probabilities(case)
    mean = np.stack([first[1], (first[2] + 3 * second[1]) / 4, second[2]])
    mean /= np.maximum(1, mean.sum(0))
    np.testing.assert_allclose(maps.array, np.stack([1 - mean.sum(0), *mean]), atol=1e-3)
    np.testing.assert_allclose(maps.array.astype(float).sum(0), 1, atol=2e-3)
    assert set(np.unique(labels.array)) <= {0, 1, 2, 4}


def test_a_value_that_means_two_structures_is_replaced(caplog):
    caplog.set_level("INFO")
    kidney = ("SCT", "64033007", "Kidney")
    second = Labels(names=("kidney", "spleen"), values=((1,), (3,)), codes=(kidney, None))
    labels = union_of([task_for(ORGANS), task_for(second)], ["a", "b"]).labels
    assert labels.written == (1, 2, 4) and labels.coded == (None, None, kidney)
    assert "kidney of b is written as 4" in caplog.text


def test_regions_are_averaged_one_by_one():
    labels = Labels(names=("tumour", "core"), values=((1, 2), (2,)))
    members, case = [predictor(0, labels=labels), predictor(1, labels=labels, spacing=(1.0, 1.0, 1.0))], scan(10, 12, 9)
    _, maps = United(members, [1, 1], "ab").predict_probabilities(case)
    mean = np.zeros(maps.array.shape)
    for member in members:
        prepared = member.prepared(case)
        part = Image(member.predict_prepared(prepared.array), prepared.grid, "probabilities")
        mean += onto(part, case.image.grid).array / 2
    np.testing.assert_allclose(maps.array, mean, atol=2e-3)


def test_members_of_different_plans_are_not_refined():
    with pytest.raises(ConfigError, match=r"prediction.refine: members of different plans are not refined"):
        United([predictor(0, refine="dense_crf"), predictor(1)], [1, 1], "ab")


@pytest.mark.parametrize("labels", [ORGANS, Labels(names=("tumour", "core"), values=((1, 2), (2,)))])
@pytest.mark.parametrize("unite", ["probabilities", "logits"])
def test_nets_of_one_plan_give_the_mean_inside_the_tiles(labels, unite):
    members, weights, case = [predictor(seed, labels=labels) for seed in range(3)], [1, 1, 2], scan(14, 20, 18)
    first, prepared = members[0], members[0].prepared(case)
    nets = [member.engine.net for member in members]
    together = Averaged(nets, weights, first.task, unite)
    answers = Predictor.of(together, first.task, first.plan, first.settings).predict_prepared(prepared.array)
    if unite == "probabilities":
        parts = [
            weight / 4 * member.predict_prepared(prepared.array)
            for member, weight in zip(members, weights, strict=True)
        ]
        np.testing.assert_allclose(answers, np.sum(parts, 0), atol=1e-5)
    else:
        import torch

        tile = torch.from_numpy(prepared.array[None, :, :8, :8, :8])
        with torch.no_grad():
            logits = sum(weight / 4 * net(tile)[0] for net, weight in zip(nets, weights, strict=True))
            np.testing.assert_allclose(together(tile)[0], logits, atol=1e-5)
