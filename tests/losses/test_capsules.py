"""The margin loss by hand."""

from __future__ import annotations

import pytest
import torch

from hyoid.losses import losses


def test_margin_by_hand():
    logits = torch.tensor([0.7, 0.3]).logit().view(1, 2, 1, 1)
    target = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert losses.build("margin")(logits, target).item() == pytest.approx(0.2**2 + 0.5 * 0.2**2)
    classes = torch.tensor([[[0]]])
    lengths = torch.tensor([0.6, 0.4]).logit().view(1, 2, 1, 1)  # no softmax: .15 and .85 of .66 and .92
    assert losses.build("margin")(lengths, classes).item() == pytest.approx(0.3**2 + 0.5 * 0.3**2)
    sure = torch.tensor([0.95, 0.05]).logit().view(1, 2, 1, 1)
    assert losses.build("margin")(sure, target) == 0
