"""Gradients in bfloat16 are compared with those in float32 before a plan relies on them."""

from __future__ import annotations

import json

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.core.machine import user_cache
from hyoid.nets import build_spec, nets
from hyoid.nets.cost import without_numbers
from hyoid.nets.half import Conv3d
from hyoid.planning import gradients, planner
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import task_for

SPEC = build_spec("unet", 3, 1, 2, channels=(4, 8))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path))


class Wrong(Conv3d):
    """A convolution whose weights are mixed up in half precision."""

    def forward(self, x):
        weight = self.weight.roll(1, 0) if torch.is_autocast_enabled("cpu") else self.weight
        return self._conv_forward(x, weight, self.bias)


def test_a_wrong_gradient_is_seen():
    assert gradients.is_right(Conv3d(4, 4, 3, padding=1), (1, 4, 6, 6, 6))
    assert not gradients.is_right(Wrong(4, 4, 3, padding=1), (1, 4, 6, 6, 6))


def test_the_convolutions_of_a_net_are_tried_once(monkeypatch):
    assert gradients.wrong_gradients(SPEC, (2, 16, 16)) == []
    known = json.loads((user_cache() / "gradients.json").read_text())
    assert len(known) > 3 and all(known.values())
    monkeypatch.setattr(gradients, "is_right", lambda layer, shape: False)
    assert gradients.wrong_gradients(SPEC, (2, 16, 16)) == []
    wrong = gradients.wrong_gradients(SPEC, (4, 16, 16))
    assert any(words.startswith("Conv3d(1, 4, kernel_size=(3, 3, 3)") and "maps 4x12x12" in words for words in wrong)
    (user_cache() / "gradients.json").write_text("{")
    assert gradients.wrong_gradients(SPEC, (2, 16, 16))


def test_a_plan_keeps_clear_of_wrong_gradients(fingerprint_of, monkeypatch):
    monkeypatch.setattr(planner, "precisions", lambda device: ("bf16-mixed", "32-true"))
    monkeypatch.setattr(planner, "wrong_gradients", lambda spec, patch, batch: ["Conv3d(1, 4) of maps 2x8x8"])
    fingerprint, task = fingerprint_of((64, 64)), task_for(Labels.of({1: "s0"}))
    asked = {"memory_gb": 4, "channels": (8, 16)}
    plan = make_plan(fingerprint, task, PlanningSettings(**asked), steps=10, device="cpu")
    assert plan.precision == "32-true"
    assert "numbers are float32: bfloat16 gives wrong gradients on this processor" in " ".join(plan.reasons)
    with pytest.raises(ConfigError, match=r"planning\.precision: bfloat16 gives wrong gradients"):
        make_plan(fingerprint, task, PlanningSettings(**asked, precision="bf16-mixed"), steps=10, device="cpu")


def test_kernels_longer_than_the_maps_that_are_tried():
    long = torch.nn.ConvTranspose2d(2, 1, 16, stride=8, padding=4)
    dilated = torch.nn.Conv2d(1, 2, 5, dilation=6)
    for layer in (long, dilated):
        shape = (1, layer.in_channels, *map(max, (12, 12), gradients._least(layer)))
        assert gradients.is_right(layer, shape)
    assert gradients._tried(dilated, (1, 1, 12, 12), "dilated")  # cannot be run: not tried


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(nets))
def test_every_row_is_probed(name, monkeypatch):
    monkeypatch.setattr(
        gradients, "is_right", lambda layer, shape: layer.to("meta")(torch.zeros(shape, device="meta")) is not None
    )
    monkeypatch.setattr(gradients, "_tried", lambda layer, shape, words: gradients.is_right(layer, shape))
    spec = build_spec(name, 2, 3, 2)
    size = without_numbers(spec).fitting_shape((64, 64))
    assert gradients.wrong_gradients(spec, size) == []
