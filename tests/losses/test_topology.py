"""Losses of middle lines: against MONAI and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from hyoid.core.errors import ConfigError
from hyoid.losses import losses
from hyoid.losses.topology import ClDice, SkeletonRecall, soft_skeleton


def vessels() -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.zeros(1, 1, 16, 20)
    target[..., 4:7, 2:18] = 1
    target[..., 4:14, 9:12] = 1
    return torch.randn(1, 1, 16, 20, generator=torch.Generator().manual_seed(0)), target


def test_soft_skeleton_and_cl_dice_equal_monai():
    from monai.losses.cldice import SoftclDiceLoss, soft_skel

    for shape in ((1, 2, 16, 18), (1, 1, 8, 9, 10)):
        values = torch.rand(*shape, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(soft_skeleton(values, 3), soft_skel(values, 3))
    logits, target = vessels()
    expected = SoftclDiceLoss(iter_=3, smooth_nr=1e-5, smooth_dr=1e-5, smooth=1e-9)(logits.sigmoid(), target)
    torch.testing.assert_close(ClDice(3)(logits, target), expected)


def test_a_gap_in_a_vessel_costs_more_than_as_many_voxels_at_its_rim():
    _, target = vessels()
    gap, rim = 40 * (2 * target - 1), 40 * (2 * target - 1)
    gap[..., 4:7, 5:7] = -40.0
    rim[..., 4, 3:9] = -40.0
    for loss in (ClDice(5), SkeletonRecall(radius=0)):
        assert loss(gap, target) > loss(rim, target) + 0.03


def test_skeleton_recall_is_the_share_of_the_line_that_is_found():
    target = torch.zeros(1, 1, 7, 21)
    target[..., 2:5, 1:20] = 1
    loss = SkeletonRecall(radius=0)
    line = loss.tubes(target)
    wide = ndimage.binary_dilation(line[0, 0], iterations=2) & (target[0, 0].numpy() > 0)
    assert np.array_equal(SkeletonRecall(2).tubes(target)[0, 0], wide)
    assert line.sum() < target.sum() / 2 and (line[..., 3, 5:15] == 1).all()
    half = 40 * (2 * target - 1)
    half[..., 10:] = -40.0
    expected = 1 - line[..., :10].sum() / line.sum()
    torch.testing.assert_close(loss(half, target), expected)
    assert (SkeletonRecall(1).tubes(target) >= line).all()
    assert ((SkeletonRecall(9).tubes(target) - target).abs() == 0).all()


def test_classes_share_the_line_of_the_whole_foreground_and_regions_have_their_own():
    target = torch.zeros(1, 9, 24, dtype=torch.long)
    target[:, 2:7, 2:22], target[:, 6, 8:16] = 1, 2  # a rim of class 2 below the line of both
    masks = torch.stack([target == 1, target == 2], 1).float()
    loss, logits = SkeletonRecall(radius=1), torch.zeros(1, 3, 9, 24)
    together, apart = loss.tubes(masks, together=True), loss.tubes(masks)
    assert torch.equal(together.sum(1), loss.tubes(masks.sum(1, keepdim=True))[:, 0])
    assert together[:, 1].sum() == 0 < apart[:, 1].sum()
    torch.testing.assert_close(loss(logits, target), torch.tensor(2 / 3))  # of class 1 alone
    torch.testing.assert_close(loss(logits[:, 1:], masks), torch.tensor(0.5))


@pytest.mark.parametrize(("name", "wrong"), [("cl_dice", {"rounds": 0}), ("skeleton_recall", {"radius": -1})])
def test_what_makes_no_line_is_refused(name, wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} = .* does not fit"):
        losses.build(name, **wrong)
