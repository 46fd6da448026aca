"""Sums of losses and how they grow; deep supervision: weights and targets of each level."""

from __future__ import annotations

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.losses import DeepSupervision, losses
from hyoid.losses.compound import Growing, WeightedSum, log_others, nearest


def spy(seen):
    def loss(logits, target, weight=None):
        seen.append((target, weight))
        return logits.mean()

    return loss


def test_weights_halve_from_level_to_level_and_sum_to_one():
    levels = [torch.full((1, 1, n, n), value) for n, value in [(8, 1.0), (4, 10.0), (2, 100.0)]]
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    assert DeepSupervision(spy([]))(levels, target).item() == pytest.approx((4 * 1 + 2 * 10 + 100) / 7)


def test_one_level_is_its_loss():
    assert DeepSupervision(spy([]))([torch.full((1, 1, 2, 2), 3.0)], torch.zeros(1, 2, 2)).item() == 3.0


def test_given_weights_are_kept_and_their_number_is_checked():
    levels = [torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2)]
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    assert DeepSupervision(spy([]), (2.0, 0.0))(levels, target).item() == 2.0
    with pytest.raises(ConfigError, match=r"head_weights: 3 were given, but the net learns from 2 logits"):
        DeepSupervision(spy([]), (1.0, 1.0, 1.0))(levels, target)


def test_targets_and_weights_come_to_the_grid_of_their_level():
    seen = []
    target = torch.arange(36).view(1, 6, 6)
    DeepSupervision(spy(seen))([torch.zeros(1, 2, 6, 6), torch.zeros(1, 2, 2, 3)], target, target.float())
    assert torch.equal(seen[0][0], target)
    assert seen[1][0].tolist() == [[[7, 9, 11], [25, 27, 29]]]
    assert torch.equal(seen[1][1], seen[1][0].float())


def test_nearest_takes_the_centre_of_odd_cells_and_never_mixes_values():
    values = torch.tensor([[0, 1, 0, -1, 2, -1, 5, 7, 5]])
    assert nearest(values, (3,)).tolist() == [[1, 2, 7]]
    assert nearest(torch.ones(2, 3, 4, 4), (4, 2)).shape == (2, 3, 4, 2)


def test_combo_by_hand():
    logits = torch.zeros(1, 1, 1, 2)
    target = torch.tensor([[[[1.0, 0.0]]]])
    half = torch.log(torch.tensor(2.0)).item()
    assert losses.build("combo")(logits, target).item() == pytest.approx(0.5 * 0.5 * half + 0.5 * 0.5, abs=1e-4)
    assert losses.build("combo", entropy_share=1.0, misses=0.8)(logits, target).item() == pytest.approx(
        (0.8 * half + 0.2 * half) / 2
    )


def test_log_others_is_the_logarithm_of_the_other_probabilities():
    for classes in (2, 3, 5):
        logits = torch.randn(2, classes, 3, 5, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(log_others(logits), (1 - logits.softmax(1)).log()[:, 1:])
        torch.testing.assert_close(log_others(60 * logits.double()).float(), log_others(60 * logits))


def test_combo_unlearns_what_the_net_is_sure_of():
    logits = torch.tensor([-30.0, 30.0]).view(1, 2, 1, 1).repeat(1, 1, 2, 2).requires_grad_()
    losses.build("combo")(logits, torch.zeros(1, 2, 2, dtype=torch.long)).backward()
    assert (logits.grad[:, 1] > 0.01).all()


def test_a_term_grows_from_its_start_and_levels_of_a_net_hear_of_it():
    level, target = torch.full((1, 1, 2, 2), 10.0), torch.zeros(1, 2, 2)
    loss = DeepSupervision(WeightedSum([(1.0, spy([])), (0.5, Growing(spy([]), 0.2))]))
    assert loss([level], target).item() == pytest.approx(15)
    for progress, expected in ((0.0, 11.0), (0.5, 13.0), (1.0, 15.0)):
        loss.at(progress)
        assert loss([level], target).item() == pytest.approx(expected)
    with pytest.raises(ConfigError, match=r"start = 3\.0 does not fit"):
        losses.build("boundary", start=3.0)
