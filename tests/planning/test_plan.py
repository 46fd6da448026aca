"""A plan holds any net, and reads it back as what it was."""

from __future__ import annotations

from typing import Literal

import pytest
import yaml
from pydantic import Field

from hyoid.core.errors import ConfigError
from hyoid.nets import NetSpec, UNetSpec, build_spec
from hyoid.planning.plan import Plan


class PlainSpec(NetSpec):
    """A net that is no U."""

    kind: Literal["plain_for_test"] = "plain_for_test"
    width: int = Field(3, description="Width.")


def plan_of(net: NetSpec) -> Plan:
    prepared = {"orientation": None, "spacing_mm": None, "crop": "none", "intensity": []}
    expected = {
        "seconds_per_step": 1.0, "steps": 1, "training_seconds": 1.0, "memory_gb": 1.0, "prediction_gb": 1.0,
        "parameters": 1, "measured": False,
    }  # fmt: skip
    return Plan(
        preset="auto", dims=2, preparation=prepared, patch=(16, 16), batch=1, net_name="unet", net=net,
        precision="32-true", policy="none", mirror_axes=(), foreground_share=0.3, batch_dice=False, expected=expected,
    )  # fmt: skip


GIVEN = {"dims": 2, "in_channels": 1, "out_channels": 2}


@pytest.mark.parametrize("net", [PlainSpec(width=7, **GIVEN), build_spec("unet", 2, 1, 2)], ids=["plain", "unet"])
def test_any_net_is_read_back_as_its_kind(net):
    plan = plan_of(net)
    again = Plan.parse(yaml.safe_load(plan.to_yaml()))
    assert again == plan and type(again.net) is type(net)
    assert hash(again) == hash(plan)
    assert plan.describe()


def test_a_net_without_kind_is_a_u():
    values = yaml.safe_load(plan_of(build_spec("unet", 2, 1, 2)).to_yaml())
    del values["net"]["kind"]
    assert isinstance(Plan.parse(values).net, UNetSpec)


def test_an_unknown_kind_is_refused_with_the_closest():
    values = yaml.safe_load(plan_of(PlainSpec(**GIVEN)).to_yaml())
    values["net"]["kind"] = "plain_for_tset"
    with pytest.raises(ConfigError, match="Did you mean 'plain_for_test'"):
        Plan.parse(values)


@pytest.mark.parametrize(("net", "wrong", "right"), [("unet", "chanels", "channels"), ("plain", "widht", "width")])
def test_a_misspelt_field_is_refused_with_the_closest_of_its_kind(net, wrong, right):
    spec = PlainSpec(**GIVEN) if net == "plain" else build_spec("unet", 2, 1, 2)
    values = yaml.safe_load(plan_of(spec).to_yaml())
    values["net"][wrong] = 3
    with pytest.raises(ConfigError, match=f"net.{wrong}.*{right}"):
        Plan.parse(values)


def test_a_field_of_the_net_can_be_changed():
    assert plan_of(PlainSpec(**GIVEN)).changed(["net.width=9"]).net == PlainSpec(width=9, **GIVEN)
