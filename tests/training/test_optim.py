"""Learning rates by progress, optimisers, and the average of weights."""

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.training.optim import Average, build_optimiser, check_optimisers, learning_rate_factor
from hyoid.training.settings import OptimiserSettings, TrainingSettings
from phantoms import OneConvolution


def test_cosine_by_hand():
    factor = learning_rate_factor(OptimiserSettings(schedule="cosine", warmup=0))
    assert [factor(p) for p in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])


def test_poly_by_hand():
    factor = learning_rate_factor(OptimiserSettings(schedule="poly", warmup=0))
    assert factor(0.75) == pytest.approx(0.25**0.9)


def test_the_rate_rises_during_warmup_and_never_is_zero():
    factor = learning_rate_factor(OptimiserSettings(schedule="constant", warmup=0.1))
    assert factor(0) == pytest.approx(0.01)
    assert factor(0.05) == pytest.approx(0.5)
    assert factor(0.1) == 1


def test_unknown_names_are_refused_with_the_closest():
    with pytest.raises(ConfigError, match="'adamw'"):
        build_optimiser(OneConvolution(2, 2), OptimiserSettings(name="adam"))
    with pytest.raises(ConfigError, match="'cosine'"):
        learning_rate_factor(OptimiserSettings(schedule="cosin"))


@pytest.mark.parametrize(("name", "rate"), [("adamw", 3e-3), ("sgd", 1e-2)])
def test_every_weight_is_optimised_at_the_usual_rate(name, rate):
    net = OneConvolution(2, 2)
    groups = build_optimiser(net, OptimiserSettings(name=name)).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert all(group["peak"] == rate for group in groups)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_updates_in_one_pass_are_those_with_a_scaler(name):
    weights = []
    for scaled in (True, False):
        torch.manual_seed(0)
        net = OneConvolution(2, 3)
        optimiser = build_optimiser(net, OptimiserSettings(name=name), scaled=scaled)
        for _ in range(20):
            for parameter in net.parameters():
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()
        weights.append(torch.cat([parameter.detach().flatten() for parameter in net.parameters()]))
    assert torch.allclose(*weights, atol=1e-5)


def test_momentum_reaches_the_optimiser_that_takes_it():
    asked = TrainingSettings.parse({"optimiser": {"name": "sgd", "momentum": 0.5}})
    check_optimisers(asked)
    assert build_optimiser(OneConvolution(2, 2), asked.optimiser).defaults["momentum"] == 0.5


def test_biases_do_not_decay():
    net = OneConvolution(2, 2)
    groups = build_optimiser(net, OptimiserSettings(weight_decay=0.1)).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decays[id(net.conv.weight)] == 0.1 and decays[id(net.conv.bias)] == 0


def test_the_average_follows_its_formula():
    net = OneConvolution(2, 2)
    average = Average(net, 0.5)
    expected = net.conv.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            net.conv.weight += 1
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.conv.weight.detach()
    torch.testing.assert_close(average.net.conv.weight, expected)


def test_without_decay_the_average_is_the_net():
    net = OneConvolution(2, 2)
    average = Average(net, 0)
    with torch.no_grad():
        net.conv.weight += 1
    average.update(0)
    assert torch.equal(average.net.conv.weight, net.conv.weight)
