"""What every regime must do: reach its own goal on the phantom, repeat itself, and go on bit for bit."""

import signal

import pytest
import torch

from hyoid.training.checkpoint import read_checkpoint
from hyoid.training.monitor import read_curves
from hyoid.training.regimes import regime_class, regimes
from phantoms import make_tiny


def weights(folder):
    return read_checkpoint(folder / "last.safetensors")[0]


@pytest.fixture(params=list(regimes))
def regime(request):
    return {"regime": request.param}


def test_it_reaches_its_goal_on_the_phantom(regime, tmp_path):
    faster = {**regime, "optimiser.learning_rate": 0.01}
    outcome = make_tiny(tmp_path / "store").fit(tmp_path / "run", faster, steps=50)
    kind = regime_class(regime["regime"])
    falling = read_curves(tmp_path / "run")[kind.curve]
    assert sum(falling[-5:]) < 0.5 * sum(falling[:5])
    if kind.answers:
        assert outcome.scores["dice:ball"] > 0.8
    else:
        assert outcome.num_validated == 0


def test_it_works_in_3d(regime, tmp_path):
    tiny = make_tiny(tmp_path / "store", (10, 12, 11), (8, 8, 8))
    assert tiny.fit(tmp_path / "run", regime, steps=2).steps == 2


def test_it_goes_on_bit_for_bit(regime, tmp_path, monkeypatch):
    tiny = make_tiny(tmp_path / "store")
    tiny.fit(tmp_path / "whole", regime, steps=6)
    seen = []

    def interrupting(store, case_id):
        seen.append(case_id)
        if len(seen) == 12:
            signal.raise_signal(signal.SIGINT)
        return image(store, case_id)

    image = type(tiny.store).image
    monkeypatch.setattr(type(tiny.store), "image", interrupting)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(tmp_path / "parts", {**regime, "workers": 1}, steps=6)
    tiny.fit(tmp_path / "parts", regime, steps=6, resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
