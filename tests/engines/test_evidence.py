"""What is blended, features or logits, gives the probabilities of the net."""

import numpy as np
import pytest
import torch

from hyoid.core.labels import Labels
from hyoid.engines.evidence import evidence_of
from hyoid.nets.unet import UNetSpec
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.tasks.semantic import Classes
from phantoms import OneConvolution, make_case, make_plan


class Logits(Classes):
    averages = "logits"


class Swapped(Classes):
    """Classes of which the second and third change places in a mirror."""

    def mirrored(self, maps, axes):
        others = maps[:, 3:]
        return super().mirrored(torch.cat([maps[:, :1], maps[:, 2:3], maps[:, 1:2], others], 1), axes)


def made_of(classes, **changes):
    """A net of 4 features, what gives its evidence, and its evidence."""
    torch.manual_seed(0)
    spec = UNetSpec(dims=2, in_channels=1, out_channels=classes, channels=(4, 8), **changes)
    net = spec.build().eval().requires_grad_(False)
    return net, *evidence_of(net, task_of(classes))


def task_of(classes, kind=Classes):
    return kind(Labels.of({value: f"s{value}" for value in range(1, classes)}))


@pytest.mark.parametrize("head", ["conv", "activated_conv", "vnet", {"name": "conv", "kernel": 3}])
@pytest.mark.parametrize("answer", ["finest", "mean", "merged"])
@pytest.mark.parametrize("classes", [3, 9])
def test_probabilities_of_the_evidence_are_those_of_the_net(head, answer, classes):
    net, giving, evidence = made_of(classes, head=head, answer=answer, deep_supervision=True)
    few = classes > 4 and answer == "finest" and head in ("conv", "activated_conv")
    assert evidence.kind == ("features" if few else "logits")
    images = torch.randn(2, 1, 16, 24)
    said = giving(images)[0]
    assert said.shape == (2, 4 if few else classes, 16, 24)
    torch.testing.assert_close(evidence.maps(evidence.averaged(said)), net(images)[0].softmax(1))


def test_features_follow_the_weights_of_the_net():
    net, giving, evidence = made_of(9)
    net.load_state_dict({name: weight + 0.1 for name, weight in net.state_dict().items()})
    images = torch.randn(1, 1, 16, 16)
    said = giving(images)[0]
    torch.testing.assert_close(evidence.maps(said), net(images)[0].softmax(1))


def test_a_net_that_does_not_tell_its_last_convolution_gives_logits():
    net = OneConvolution(2, 9)
    giving, evidence = evidence_of(net, task_of(9))
    assert giving is net and evidence.channels == 9


@pytest.mark.parametrize("together", [1, 300, 2**20])
@pytest.mark.parametrize("shape", [(7, 5), (1, 40), (6, 5, 4), (1, 1)])
def test_parts_make_up_the_whole(monkeypatch, together, shape):
    monkeypatch.setattr("hyoid.engines.evidence.TOGETHER", together)
    _, _, evidence = made_of(9)
    said = torch.randn(4, *shape)
    found = torch.full((9, *shape), torch.nan)
    for place, some in evidence.parts(said):
        found[(slice(None), *place)] = some
    torch.testing.assert_close(found, evidence.maps(said[None])[0])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("spacing_mm", [None, (2.0, 2.0)])
def test_a_prediction_of_many_classes_averages_logits(mirror, spacing_mm):
    """Beside a task that asks for the logits themselves, on the grid of the image and on another one."""
    plan = make_plan((16, 16), spacing_mm, classes=9)
    net, task = plan.net.build(), task_of(9)
    predictor = Predictor.of(net, task, plan, PredictionSettings(whole=0, mirror=mirror))
    assert predictor.evidence.kind == "features"
    case = make_case((50, 40), (1.0, 1.0))
    found, maps = predictor.predict_probabilities(case)

    logits = Predictor.of(net, task_of(9, Logits), plan, PredictionSettings(whole=0, mirror=mirror))
    assert logits.evidence.kind == "logits"
    expected, other = logits.predict_probabilities(case)
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(maps.array, other.array, atol=2e-3)


def test_features_are_not_averaged_where_a_flip_swaps_maps():
    net = make_plan((16, 16), classes=9).net.build()
    for kind, expected in ((Classes, "features"), (Swapped, "logits"), (Logits, "logits")):
        assert evidence_of(net, task_of(9, kind))[1].kind == expected


def test_mirrored_answers_are_swapped_back():
    net = OneConvolution(2, 3).eval()
    predictor = Predictor.of(net, task_of(3, Swapped), make_plan((16, 16)), PredictionSettings(whole=9, mirror=True))
    image = make_case((16, 16)).image.array
    tile, expected = torch.from_numpy(image[None]), []
    with torch.inference_mode():
        for axes in ((), (2,), (3,), (2, 3)):
            maps = net(tile.flip(axes))[0].softmax(1).flip(axes)
            expected.append(maps[:, [0, 2, 1]] if axes else maps)
    np.testing.assert_allclose(predictor.predict_prepared(image), torch.stack(expected).mean(0)[0], atol=1e-6)


def test_overlapping_tiles_average_logits_before_they_are_activated_where_a_task_asks_for_it():
    net = OneConvolution(2, 3).eval()
    plan, settings = make_plan((16, 16)), PredictionSettings(whole=0, mirror=False)
    maps, logits = (
        Predictor.of(net, task_of(3, kind), plan, settings).predict_prepared(make_case((16, 24)).image.array)
        for kind in (Classes, Logits)
    )
    tiling = Predictor.of(net, task_of(3), plan, settings).tiling((16, 24))
    weights, starts = torch.from_numpy(tiling.weights[1]), tiling.starts[1]
    expected = torch.zeros(3, 16, 24)
    with torch.inference_mode():
        for weight, start in zip(weights, starts, strict=True):
            tile = torch.from_numpy(make_case((16, 24)).image.array[None, :, :, start : start + 16])
            expected[:, :, start : start + 16] += net(tile)[0][0] * weight
    np.testing.assert_allclose(logits, expected.softmax(0), atol=1e-6)
    assert np.abs(maps - logits).max() > 1e-5
