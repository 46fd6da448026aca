"""Every loss, chosen by its name, teaches a net to draw the phantom, as it stands on the shelf."""

from __future__ import annotations

import pytest

from hyoid.losses import losses
from phantoms import make_tiny

STEPS = {"cl_dice": 100}
"""A ball has hardly any middle line, so that this one begins with marking everything."""


@pytest.mark.parametrize("name", losses)
def test_the_phantom_is_found(name, tmp_path):
    tiny = make_tiny(tmp_path / "store")
    changes = {"loss": name, "optimiser.learning_rate": 0.01, "ema": 0.9, "tensorboard": False}
    before = tiny.fit(tmp_path / "before", {**changes, "optimiser.learning_rate": 1e-9}, steps=1)
    after = tiny.fit(tmp_path / "after", changes, steps=STEPS.get(name, 40))
    assert after.scores["dice:ball"] > 0.6 > before.scores["dice:ball"] + 0.1
