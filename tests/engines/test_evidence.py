"""What is blended, features or logits, gives the probabilities of the net."""

import numpy as np
import pytest
import torch
from torch import nn

from hyoid.core.labels import Labels
from hyoid.engines.backend import Backend
from hyoid.engines.evidence import Evidence
from hyoid.nets.unet import UNetSpec
from hyoid.prediction.predictor import PredictionSettings, Predictor
from hyoid.tasks import task_for
from phantoms import OneConvolution, make_case, make_plan


def evidence_of(classes, **changes):
    """A net of 4 features with its evidence, and images for it."""
    torch.manual_seed(0)
    spec = UNetSpec(dims=2, in_channels=1, out_channels=classes, channels=(4, 8), **changes)
    net = spec.build().eval().requires_grad_(False)
    return net, Evidence.of(net, task_for(Labels.of({value: f"s{value}" for value in range(1, classes)})))


@pytest.mark.parametrize("head", ["conv", "activated_conv", "vnet", {"name": "conv", "kernel": 3}])
@pytest.mark.parametrize("answer", ["finest", "mean", "merged"])
@pytest.mark.parametrize("classes", [3, 9])
def test_probabilities_of_the_evidence_are_those_of_the_net(head, answer, classes):
    net, evidence = evidence_of(classes, head=head, answer=answer, deep_supervision=True)
    few = classes > 4 and answer == "finest" and head in ("conv", "activated_conv")
    assert evidence.kind == ("features" if few else "logits")
    images = torch.randn(2, 1, 16, 24)
    said = evidence.net(images)[0]
    assert said.shape == (2, 4 if few else classes, 16, 24)
    torch.testing.assert_close(evidence.probabilities(evidence.averaged(said)), net(images)[0].softmax(1))


def test_features_follow_the_weights_of_the_net():
    net, evidence = evidence_of(9)
    net.load_state_dict({name: weight + 0.1 for name, weight in net.state_dict().items()})
    images = torch.randn(1, 1, 16, 16)
    said = evidence.net(images)[0]
    torch.testing.assert_close(evidence.probabilities(said), net(images)[0].softmax(1))


def test_a_net_that_does_not_tell_its_last_convolution_gives_logits():
    net = OneConvolution(2, 9)
    evidence = Evidence.of(net, task_for(Labels.of({value: f"s{value}" for value in range(1, 9)})))
    assert evidence.net is net and evidence.channels == 9


@pytest.mark.parametrize("together", [1, 300, 2**20])
@pytest.mark.parametrize("shape", [(7, 5), (1, 40), (6, 5, 4), (1, 1)])
def test_parts_make_up_the_whole(monkeypatch, together, shape):
    monkeypatch.setattr("hyoid.engines.evidence.TOGETHER", together)
    _, evidence = evidence_of(9)
    said = torch.randn(4, *shape)
    found = torch.full((9, *shape), torch.nan)
    for place, some in evidence.parts(said):
        found[(slice(None), *place)] = some
    torch.testing.assert_close(found, evidence.probabilities(said[None])[0])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("spacing_mm", [None, (2.0, 2.0)])
def test_a_prediction_of_many_classes_averages_logits(mirror, spacing_mm):
    """Beside a predictor that averages the logits themselves, on the grid of the image and on another one."""
    plan = make_plan((16, 16), spacing_mm, classes=9)
    net, task = plan.net.build(), task_for(Labels.of({value: f"s{value}" for value in range(1, 9)}))
    predictor = Predictor(net, task, plan, PredictionSettings(whole=0, mirror=mirror))
    assert predictor.evidence.kind == "features"
    case = make_case((50, 40), (1.0, 1.0))
    found, maps = predictor.predict_probabilities(case)

    logits = Predictor(net, task, plan, PredictionSettings(whole=0, mirror=mirror))
    exact = Evidence(net, 9, nn.Conv2d(9, 9, 1, bias=False), task)
    exact.head.weight.data = torch.eye(9)[..., None, None]
    logits.evidence, logits.backend = exact, Backend(exact)
    expected, other = logits.predict_probabilities(case)
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(maps.array, other.array, atol=2e-3)
