"""Focal, worst-voxel, bent, generalised and Lovasz losses against other implementations and by hand."""

from __future__ import annotations

import inspect
import math
import re

import pytest
import torch
from torch.nn import functional

from hyoid.core.errors import ConfigError
from hyoid.losses import feature_losses, field_losses, games, image_losses, losses


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
    with pytest.raises(ConfigError, match=r"share = 0\.0 does not fit"):
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
    ],
)
def test_bent_losses_by_hand(name, expected):
    logits, target, dice = one_structure()
    assert dice == 0.5
    options = {"false_positives": 0.5, "false_negatives": 0.5} if name == "focal_tversky" else {}
    assert losses.build(name, **options)(logits, target).item() == pytest.approx(expected, abs=1e-2)


P = torch.tensor([0.5, 0.2, 0.1, 0.4])
RIGHT = (0.5, 0.8, 0.9, 0.6)
"""Probabilities of a structure that is there in the first voxel only, and so of the truth; a fifth one is ignored."""


def five_voxels(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    inside = torch.cat([P.logit(), torch.tensor([3.0])]).reshape(1, 1, 1, 5)
    target = torch.tensor([[[1, 0, 0, 0, -1]]])
    return (inside, target[None].float()) if kind == "regions" else (torch.cat([0 * inside, inside], 1), target)


both_kinds = pytest.mark.parametrize("kind", ["classes", "regions"])


@both_kinds
@pytest.mark.parametrize("power", [0.3, 2.0])
def test_exponential_logarithmic_bends_each_voxel_and_weighs_rare_labels(kind, power):
    rare = [math.sqrt(4 / 1), *[math.sqrt(4 / 3)] * 3]
    entropy = sum(w * (-math.log(p)) ** power for w, p in zip(rare, RIGHT, strict=True)) / 4
    expected = 0.8 * (-math.log(2 * 0.5 / (1.2 + 1))) ** power + 0.2 * entropy
    loss = losses.build("exponential_logarithmic", power=power)
    assert loss(*five_voxels(kind)).item() == pytest.approx(expected, abs=2e-3)


@both_kinds
def test_exponential_logarithmic_has_a_slope_where_a_voxel_is_quite_right(kind):
    logits, target = five_voxels(kind)
    logits = (100 * logits).requires_grad_()
    losses.build("exponential_logarithmic")(logits, target).backward()
    assert logits.grad.isfinite().all()


@both_kinds
def test_focal_weighs_classes_by_alpha(kind):
    terms = [a * (1 - p) ** 2 * -math.log(p) for a, p in zip((0.75, 0.25, 0.25, 0.25), RIGHT, strict=True)]
    loss = losses.build("focal", alpha=(0.75,) if kind == "regions" else (0.25, 0.75))
    assert loss(*five_voxels(kind)).item() == pytest.approx(sum(terms) / 4)
    with pytest.raises(ConfigError, match="alpha has 3 entries"):
        losses.build("focal", alpha=(0.1, 0.1, 0.8))(*five_voxels(kind))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tversky", {"false_negatives": -3}, "loss 'tversky': false_negatives = -3 does not fit"),
        ("tversky", {"false_negatives": 0, "false_positives": 0}, "no mistake counts"),
        ("focal_tversky", {"power": 0}, "power = 0 does not fit"),
        ("focal", {"power": -1.0}, "power = -1.0 does not fit"),
        ("focal", {"alpha": [0.0, 0.0]}, "alpha is 0 for every class"),
        ("focal", {"alpha": 0.25}, "alpha = 0.25 does not fit"),
        ("dice_ce", {"dice_weight": 0, "entropy_weight": 0}, "weights of the terms of this loss are all 0"),
        ("dice_ce", {"class_weights": [1, -1]}, "class_weights = .* does not fit"),
        ("cross_entropy", {"class_weights": [0, 0]}, "class_weights are all 0"),
        ("dice", {"smooth": float("nan")}, "smooth = nan does not fit"),
        ("dice", {"batch": "maybe"}, "batch = 'maybe' does not fit"),
        ("combo", {"misses": 1.5}, "misses = 1.5 does not fit"),
        ("boundary", {"spacing": [1, 0]}, "spacing = .* does not fit"),
        ("star_shape", {"places": 1.5}, "places = 1.5 does not fit"),
        ("margin", {"absent_weight": "much"}, "absent_weight = 'much' does not fit"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options, words):
    with pytest.raises(ConfigError, match=words) as told:
        losses.build(name, **options)
    assert "\n" not in str(told.value)


SHELVES = (losses, image_losses, field_losses, games, feature_losses)


@pytest.mark.parametrize(("shelf", "name"), [(shelf, name) for shelf in SHELVES for name in shelf])
def test_every_row_tells_its_equation_and_its_paper(shelf, name):
    _, equation, *_ = inspect.getdoc(shelf[name].build).split("\n\n")
    assert re.match(r"L\w* = \S+", equation) and equation.endswith(".") and equation.isprintable()
    assert shelf[name].papers


def test_every_number_of_a_loss_has_a_range():
    for shelf in SHELVES:
        for name in shelf:
            assert not re.search(r"\bfloat\b(?!, Field)", str(inspect.signature(shelf[name].build))), name


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
