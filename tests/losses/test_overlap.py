"""Overlap losses against MONAI's and by hand, and the traps of absent structures."""

from __future__ import annotations

import pytest
import torch

from hyoid.losses import losses

SMOOTH = 1e-5


def example():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 3, 6, 7, generator=generator)
    target = torch.randint(0, 3, (2, 6, 7), generator=generator)
    return logits, target


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("name", ["dice", "jaccard"])
def test_equals_monai(name, batch, squared, background):
    from monai.losses import DiceLoss

    logits, target = example()
    options = {"softmax": True, "to_onehot_y": True, "jaccard": name == "jaccard", "smooth_nr": 2 * SMOOTH}
    flags = {"batch": batch, "squared_pred": squared, "include_background": background, "smooth_dr": 2 * SMOOTH}
    theirs = DiceLoss(**options, **flags)
    ours = losses.build(name, batch=batch, squared=squared, background=background, smooth=SMOOTH)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


def test_tversky_equals_monai():
    from monai.losses import TverskyLoss

    logits, target = example()
    theirs = TverskyLoss(False, True, softmax=True, alpha=0.2, beta=0.8, smooth_nr=SMOOTH, smooth_dr=SMOOTH)
    ours = losses.build("tversky", false_positives=0.2, false_negatives=0.8, smooth=SMOOTH)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


def test_dice_by_hand():
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])[:, None]
    logits = torch.tensor([[[9.0, -9.0, 9.0, -9.0]]])[:, None] * 3
    for name, expected in [("dice", 1 / 2), ("jaccard", 2 / 3), ("tversky", 1 - 1 / (1 + 0.3 + 0.7))]:
        assert losses.build(name)(logits, target).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("batch", [False, True])
def test_an_absent_class_that_is_not_predicted_does_not_flatter_the_mean(batch):
    """Three classes of which the last is neither there nor predicted are judged as two."""
    logits, target = example()
    target = target.clamp(max=1)
    logits[:, 2] = -50.0
    loss = losses.build("dice", batch=batch)
    torch.testing.assert_close(loss(logits, target), loss(logits[:, :2], target))


def test_an_absent_class_that_is_predicted_adds_the_share_it_was_given():
    target = torch.zeros(1, 1, 10, 10)
    logits = torch.full((1, 1, 10, 10), -50.0)
    logits[..., :3, :] = 50.0
    assert losses.build("dice")(logits, target).item() == pytest.approx(0.3)


def test_pooling_the_batch_judges_a_class_that_one_sample_lacks_by_the_others():
    logits = torch.full((2, 1, 4, 4), -50.0)
    target = torch.zeros(2, 1, 4, 4)
    target[0] = 1.0
    logits[0, :, :2] = 50.0
    logits[1, :, :1] = 50.0
    pooled = losses.build("dice", batch=True)(logits, target)
    single = losses.build("dice")(logits, target)
    assert pooled.item() == pytest.approx(1 - 2 * 8 / (12 + 16), abs=1e-4)
    assert single.item() == pytest.approx((1 - 2 * 8 / (8 + 16)) + 4 / 16, abs=1e-4)


def test_smooth_survives_bfloat16():
    """In bfloat16, 256 + 1e-5 is 256 and sums of ones stop growing."""
    logits = torch.full((1, 1, 64, 64), 30.0, dtype=torch.bfloat16)
    target = torch.ones(1, 1, 64, 64)
    assert losses.build("dice")(logits, target).item() == pytest.approx(0.0, abs=1e-6)


def test_dice_ce_is_the_sum_of_its_parts():
    logits, target = example()
    parts = 2 * losses.build("dice")(logits, target) + 0.5 * losses.build("cross_entropy")(logits, target)
    torch.testing.assert_close(losses.build("dice_ce", dice_weight=2.0, entropy_weight=0.5)(logits, target), parts)
