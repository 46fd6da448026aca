"""Models of timm as encoders, seen through a small stand-in of the package: only what the adapter calls."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError, HyoidError
from hyoid.nets import build_spec
from hyoid.nets.cost import without_numbers
from hyoid.nets.pyramids.weights import load_encoder_weights

DECODER = {"channels": (4, 8, 8, 12), "decoder_channels": (4, 4, 8), "up": "nearest", "norm": "batch"}


class Patches(nn.Module):
    """A model with maps at 1/4 and 1/8 of the image, the second with channels last."""

    pretrained_cfg = {"license": "apache-2.0"}  # noqa: RUF012

    def __init__(self, in_chans: int) -> None:
        super().__init__()
        self.stem, self.next = nn.Conv2d(in_chans, 6, 4, 4), nn.Conv2d(6, 12, 2, 2)
        self.feature_info = SimpleNamespace(channels=lambda: [6, 12], reduction=lambda: [4, 8])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.stem(x)
        return [first, self.next(first).movedim(1, -1)]


@pytest.fixture
def timm(monkeypatch) -> ModuleType:
    module = ModuleType("timm")

    def create_model(name: str, pretrained: bool, features_only: bool, in_chans: int) -> nn.Module:
        assert features_only
        if name != "patches":
            raise RuntimeError(f"Unknown model ({name})")
        made = Patches(in_chans)
        if pretrained:
            for parameter in made.parameters():
                nn.init.constant_(parameter, 0.5)
        return made

    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


def spec(model: str = "patches", dims: int = 2, **changes):
    return build_spec("unet", dims, 3, 2, encoder={"name": "timm", "model": model}, **{**DECODER, **changes})


def test_maps_stand_at_the_levels_of_their_grids(timm):
    net = spec().build()
    assert net.encoder.channels == (0, 0, 6, 12)
    maps = net.encoder(torch.randn(1, 3, 32, 16))
    assert [tuple(m.shape[1:]) for m in maps[2:]] == [(6, 8, 4), (12, 4, 2)]
    (logits,) = net(torch.randn(2, 3, 32, 16))
    assert logits.shape == (2, 2, 32, 16)
    assert all(parameter.device.type == "meta" for parameter in without_numbers(spec()).parameters())


def test_weights_of_timm_are_taken_when_asked_for(timm):
    net = spec().build()
    assert load_encoder_weights(net, "timm") is None
    assert all((parameter == 0.5).all() for parameter in net.encoder.parameters())


def test_non_commercial_weights_of_timm_must_be_asked_for_as_such(timm, monkeypatch):
    monkeypatch.setattr(Patches, "pretrained_cfg", {"license": "cc-by-nc-4.0"})
    net = spec().build()
    with pytest.raises(ConfigError, match=r"ask for training\.encoder_weights=non_commercial/timm"):
        load_encoder_weights(net, "timm")
    load_encoder_weights(net, "non_commercial/timm")
    assert all((parameter == 0.5).all() for parameter in net.encoder.parameters())


def test_weights_that_timm_cannot_give_are_told_in_a_sentence(timm, monkeypatch):
    net = spec().build()

    def offline(*names: object, **options: object) -> nn.Module:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(HyoidError, match=r"could not give weights for patches \(no network\)"):
        load_encoder_weights(net, "timm")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "unheard_of"}, "timm has no model 'unheard_of'"),
        ({"dims": 3}, "takes 2D images"),
        ({"channels": (4, 8), "decoder_channels": (4,)}, "maps at 1/4, 1/8 .* coarsest of 2 levels lies at 1/2;"),
    ],
)
def test_what_the_adapter_cannot_do_is_refused(timm, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        spec(**changes).build()


def test_a_missing_or_broken_timm_is_told_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'timm>="):
        spec().build()
    with pytest.raises(ConfigError, match="for nets with encoder timm"):
        load_encoder_weights(build_spec("unet", 2, 1, 2, channels=(4, 8)).build(), "timm")
