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
    softmax = torch.tensor([0.6, 0.4]).log().view(1, 2, 1, 1)
    assert losses.build("margin")(softmax, classes).item() == pytest.approx(0.3**2 + 0.5 * 0.3**2)
    sure = torch.tensor([0.95, 0.05]).logit().view(1, 2, 1, 1)
    assert losses.build("margin")(sure, target) == 0
