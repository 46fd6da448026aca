"""Every net on the shelf can be planned for: a patch it accepts, a batch, and its own widths."""

from __future__ import annotations

import pytest

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.nets import build_spec, nets
from hyoid.nets.cost import without_numbers
from hyoid.nets.sheet import made_for
from hyoid.planning.plan import Plan
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import task_for

ONE = task_for(Labels.of({1: "ball"}))
FEW = ["unet_plus_plus", "unet_original", "segnet", "deepmedic", "mednext_s", "segcaps"]
EVERY = [
    pytest.param(name, dims, marks=() if name in FEW else pytest.mark.slow, id=f"{name}-{dims}d")
    for name in nets
    for dims in made_for(name)
]


def planned(fingerprint_of, name: str, dims: int, **settings) -> Plan:
    shape = (64, 64) if dims == 2 else (16, 32, 32)
    given = PlanningSettings(net=name, memory_gb=8, **settings)
    return make_plan(fingerprint_of(shape), ONE, given, steps=2, device="cpu")


@pytest.mark.parametrize(("name", "dims"), EVERY)
def test_any_net_gets_a_patch_that_it_accepts(fingerprint_of, name, dims):
    plan = planned(fingerprint_of, name, dims)
    assert plan.net_name == name and plan.net.dims == dims
    assert without_numbers(plan.net).fitting_shape(plan.patch[-dims:]) == plan.patch[-dims:]
    assert plan.batch >= 1 and plan.expected.seconds_per_step > 0
    row = build_spec(name, dims, 1, 2)
    if "channels" in row.model_fields_set or row.kind != "u":
        found = getattr(plan.net, "channels", ())
        assert found == getattr(row, "channels", ())[: len(found)]
    assert plan.describe() and Plan.parse(plan.model_dump(mode="json")) == plan


def test_a_net_that_was_published_with_deep_supervision_keeps_it(fingerprint_of):
    plan = planned(fingerprint_of, "unet_plus_plus", 2)
    assert plan.net.deep_supervision and plan.net.answer == "mean"
    assert not planned(fingerprint_of, "attention_unet", 2).net.deep_supervision


def test_deep_supervision_of_a_net_that_has_none_is_refused_in_a_sentence(fingerprint_of):
    with pytest.raises(ConfigError, match="deep_supervision"):
        planned(fingerprint_of, "segnet", 2, deep_supervision=True)


def test_widths_of_a_net_that_is_no_u_can_be_set(fingerprint_of):
    assert planned(fingerprint_of, "mednext_s", 2, channels=(4, 8, 16)).net.channels == (4, 8, 16)


def test_a_published_preset_says_that_it_takes_only_a_u(fingerprint_of):
    with pytest.raises(ConfigError, match="the preset auto takes any net"):
        planned(fingerprint_of, "segnet", 2, preset="nnunet")


def test_the_net_of_an_earlier_run_is_taken_for_the_channels_of_this_one(fingerprint_of):
    before = planned(fingerprint_of, "unet", 2, channels=(4, 8, 16))
    two = task_for(Labels.of({1: "ball", 2: "cube"}))
    settings = PlanningSettings(memory_gb=8)
    plan = make_plan(fingerprint_of((64, 64), channels=3), two, settings, steps=2, device="cpu", earlier=before)
    assert plan.net == before.net.changed({"in_channels": 3, "out_channels": 3})
    other = settings.changed({"net": "residual_unet"})
    plan = make_plan(fingerprint_of((64, 64), channels=3), two, other, steps=2, device="cpu", earlier=before)
    assert plan.net_name == "residual_unet"
