"""A program from a file, its facts and the plan predict without the net."""

import json

import numpy as np
import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.engines.engine import Deployed
from hyoid.engines.facts import NetFacts
from hyoid.engines.onnx import OnnxRuntime, onnx_model
from hyoid.nets.unet import UNetSpec
from hyoid.planning.plan import Plan
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.tasks import task_for
from phantoms import OneConvolution, make_case, make_plan

TASK = task_for(Labels.of({1: "liver", 5: "spleen"}))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", [(50, 37), (20, 18, 27)])
def test_a_program_with_its_facts_and_the_plan_answers_as_torch_does(shape, tmp_path, monkeypatch):
    plan = make_plan((16,) * len(shape), (1.0,) * len(shape))
    net = plan.net.build().eval().requires_grad_(False)
    tiles, case = torch.zeros(2, 1, *plan.patch), make_case(shape, (0.9, 1.1, 1.3)[: len(shape)])
    (tmp_path / "net.onnx").write_bytes(onnx_model(net, tiles))
    (tmp_path / "facts.json").write_text(NetFacts.of(net, 1, 3, tiles.shape).model_dump_json())
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    held = Predictor.of(net, TASK, plan, PredictionSettings(whole=0))  # its tiles do not grow, as a program's cannot
    expected, close = held.predict_probabilities(case)

    def refused(spec):
        raise AssertionError("the net was built")

    monkeypatch.setattr(UNetSpec, "build", refused)
    facts = NetFacts.parse(json.loads((tmp_path / "facts.json").read_text()))
    engine = Deployed(OnnxRuntime((tmp_path / "net.onnx").read_bytes()), facts, TASK)
    predictor = Predictor(engine, Plan.parse(json.loads((tmp_path / "plan.json").read_text())))
    assert predictor.tiling((50, 37, 20)[: len(shape)]).tile == plan.patch
    answer, maps = predictor.predict_probabilities(case)
    assert answer.grid == expected.grid and predictor.engine.answered == "the deployed program answered."
    assert np.mean(answer.array == expected.array) > 0.999
    np.testing.assert_allclose(maps.array, close.array, atol=2e-3)


def test_facts_give_the_shapes_of_their_net():
    for net in (OneConvolution(2, 3), make_plan((16, 16, 16)).net.build()):
        facts = NetFacts.of(net, 1, 3)
        assert facts.dims == len(net.divisor) and NetFacts.parse(json.loads(facts.model_dump_json())) == facts
        for size in (1, 2, 7, 16, 33):
            shape = (size, size + 3, 2 * size)[: facts.dims]
            assert facts.fitting_shape(shape) == net.fitting_shape(shape)


@pytest.mark.parametrize(
    ("classes", "tiles", "message"), [(3, None, "name it in its facts"), (4, (1, 1, 8, 8), "gives 4 channels")]
)
def test_facts_that_do_not_fit_are_refused(classes, tiles, message):
    facts = NetFacts.of(OneConvolution(2, classes), 1, classes, tiles)
    with pytest.raises(ConfigError, match=message):
        Deployed(lambda tiles: tiles, facts, TASK)
