"""Cross-entropy against torch's own and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.losses import losses


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_classes_equal_torch(weights, smoothing):
    logits, target = torch.randn(2, 3, 5, 6), torch.randint(-1, 3, (2, 5, 6))
    given = torch.tensor(weights) if weights else None
    expected = functional.cross_entropy(logits, target, given, ignore_index=-1, label_smoothing=smoothing)
    loss = losses.build("cross_entropy", class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, target), expected)


def test_regions_equal_torch():
    logits, target = torch.randn(2, 3, 5, 6), torch.randint(0, 2, (2, 3, 5, 6)).float()
    expected = functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(losses.build("cross_entropy")(logits, target), expected)


def test_voxel_weights_weigh_the_mean():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 1, 0, 0] = 2.0
    target, weight = torch.tensor([[[1, 0]]]), torch.tensor([[[3.0, 1.0]]])
    expected = (3 * math.log(1 + math.exp(-2)) + math.log(2)) / 4
    assert losses.build("cross_entropy")(logits, target, weight).item() == pytest.approx(expected)


def test_region_weights_weigh_the_regions():
    logits, target = torch.randn(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    one = [functional.binary_cross_entropy_with_logits(logits[:, i], target[:, i]) for i in range(2)]
    loss = losses.build("cross_entropy", class_weights=(3.0, 1.0))
    torch.testing.assert_close(loss(logits, target), (3 * one[0] + one[1]) / 4)


def test_wrong_number_of_class_weights_is_refused():
    loss = losses.build("cross_entropy", class_weights=(1.0, 2.0))
    with pytest.raises(ConfigError, match="class_weights has 2 entries but the net has 3 channels"):
        loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long))
    with pytest.raises(ConfigError, match=r"label_smoothing = 1\.0 does not fit"):
        losses.build("cross_entropy", label_smoothing=1.0)
