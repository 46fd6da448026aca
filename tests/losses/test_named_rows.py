"""Focal, worst-voxel, bent, generalised and Lovasz losses against other implementations and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.losses import losses


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 6, 7, generator=generator)
    return logits, torch.randint(0, 3, (2, 6, 7), generator=generator)


def hot(target: torch.Tensor) -> torch.Tensor:
    return functional.one_hot(target, 3).movedim(-1, 1).float()


def test_focal_of_power_zero_is_cross_entropy():
    logits, target = pair()
    torch.testing.assert_close(
        losses.build("focal", power=0.0)(logits, target), functional.cross_entropy(logits, target)
    )


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_focal_equals_monai(power):
    from monai.losses import FocalLoss

    logits, target = pair()
    expected = FocalLoss(gamma=power, use_softmax=True, reduction="sum")(logits, hot(target)) / len(target)
    torch.testing.assert_close(losses.build("focal", power=power)(logits, target), expected)
    masks = (logits > 0).float()
    expected = FocalLoss(gamma=power)(logits, masks)
    torch.testing.assert_close(losses.build("focal", power=power)(logits, masks), expected)


def test_top_k_is_the_mean_of_the_worst():
    logits, target = pair()
    terms = functional.cross_entropy(logits, target, reduction="none").flatten()
    worst = terms.sort(descending=True).values[: round(0.25 * len(terms))]
    torch.testing.assert_close(losses.build("top_k", share=0.25)(logits, target), worst.mean())
    torch.testing.assert_close(losses.build("top_k", share=1.0)(logits, target), terms.mean())
    with pytest.raises(ConfigError, match="share of the worst"):
        losses.build("top_k", share=0.0)


def one_structure() -> tuple[torch.Tensor, torch.Tensor, float]:
    """Logits, target, and the Dice of the one structure that is there."""
    logits = torch.zeros(1, 2, 1, 4)
    target = torch.tensor([[[1, 1, 0, 0]]])
    return logits, target, 2 * 1.0 / (2.0 + 2.0)  # probabilities of a half everywhere


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_dice", -math.log(0.5)),
        ("log_cosh_dice", math.log(math.cosh(0.5))),
        ("focal_tversky", 0.5**0.75),
        ("exponential_logarithmic", 0.8 * math.log(2) ** 0.3 + 0.2 * (math.log(2) + 1e-8) ** 0.3),
    ],
)
def test_bent_losses_by_hand(name, expected):
    logits, target, dice = one_structure()
    assert dice == 0.5
    options = {"false_positives": 0.5, "false_negatives": 0.5} if name == "focal_tversky" else {}
    assert losses.build(name, **options)(logits, target).item() == pytest.approx(expected, abs=1e-2)


def test_generalised_dice_equals_monai():
    from monai.losses import GeneralizedDiceLoss

    logits, target = pair()
    theirs = GeneralizedDiceLoss(softmax=True, include_background=False, smooth_nr=0.0, smooth_dr=0.0)
    ours = losses.build("generalised_dice", smooth=0.0)
    torch.testing.assert_close(ours(logits, target), theirs(logits, hot(target)))


def test_generalised_dice_gives_small_structures_their_say():
    target = torch.zeros(1, 1, 100, dtype=torch.long)
    target[..., :2], target[..., 2:60] = 1, 2
    logits = 20.0 * hot(target.clone())
    logits[:, :, :, :2] = torch.tensor([20.0, 0, 0]).reshape(1, 3, 1, 1)  # the small one is missed
    generalised, plain = (losses.build(name)(logits, target) for name in ("generalised_dice", "dice"))
    assert generalised > 0.9 > plain


@pytest.mark.parametrize("seed", range(4))
def test_lovasz_of_sure_answers_is_one_minus_jaccard(seed):
    generator = torch.Generator().manual_seed(seed)
    masks, answer = (torch.randint(0, 2, (2, 2, 5, 6), generator=generator).float() for _ in range(2))
    both, either = (masks * answer).sum((2, 3)), ((masks + answer) > 0).float().sum((2, 3))
    loss = losses.build("lovasz")(200 * answer - 100, masks)
    torch.testing.assert_close(loss, (1 - both / either).mean())


def test_lovasz_equals_its_published_steps():
    logits, target = pair()
    probabilities = logits.softmax(1)
    expected = []
    for structure in (1, 2):
        mask = (target == structure).float().flatten()
        errors, order = (mask - probabilities[:, structure].flatten()).abs().sort(descending=True)
        mask = mask[order]
        jaccard = 1 - (mask.sum() - mask.cumsum(0)) / (mask.sum() + (1 - mask).cumsum(0))
        jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
        expected.append((errors * jaccard).sum())
    torch.testing.assert_close(losses.build("lovasz", batch=True)(logits, target), torch.stack(expected).mean())


def test_hybrid_is_focal_plus_similarity_plus_jaccard():
    from hyoid.losses import image_losses

    logits, target = pair()
    maps, masks = logits.softmax(1)[:, 1:], hot(target)[:, 1:]
    terms = [
        losses.build("focal")(logits, target),
        image_losses.build("ms_ssim")(maps, masks),
        losses.build("jaccard")(logits, target),
    ]
    torch.testing.assert_close(losses.build("hybrid")(logits, target), sum(terms))
