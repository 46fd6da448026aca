"""Losses of images against scikit-image, MONAI, scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError
from hyoid.losses import image_losses, losses
from hyoid.losses.images import Perceptual
from hyoid.losses.shelf import build_loss


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(*shape, generator=generator)
    return (reference + 0.2 * torch.rand(*shape, generator=generator)).clamp(0, 1), reference


def test_differences_by_hand():
    ours, theirs = torch.tensor([[[[1.0, 2, 4]]]]), torch.tensor([[[[1.0, 1, 1]]]])
    weight = torch.tensor([[[[1.0, 1, 0]]]])
    assert image_losses.build("l1")(ours, theirs).item() == pytest.approx(4 / 3)
    assert image_losses.build("l2")(ours, theirs).item() == pytest.approx(10 / 3)
    assert image_losses.build("l2")(ours, theirs, weight).item() == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(1, 1, 24, 30), (1, 1, 12, 14, 16)])
def test_ssim_equals_scikit_image(shape):
    from skimage.metrics import structural_similarity

    ours, theirs = pair(*shape)
    expected = structural_similarity(
        ours[0, 0].numpy(),
        theirs[0, 0].numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert image_losses.build("ssim")(ours, theirs).item() == pytest.approx(1 - expected, abs=2e-5)


def test_ms_ssim_equals_monai():
    from monai.metrics.regression import MultiScaleSSIMMetric

    ours, theirs = pair(2, 1, 192, 180)
    metric = MultiScaleSSIMMetric(spatial_dims=2, data_range=1.0, kernel_size=11, kernel_sigma=1.5)
    expected = 1 - metric(ours, theirs).mean()
    torch.testing.assert_close(image_losses.build("ms_ssim")(ours, theirs), expected, atol=1e-4, rtol=1e-4)


def test_a_data_range_is_positive():
    with pytest.raises(ConfigError, match=r"data_range = 0\.0 does not fit"):
        image_losses.build("ssim", data_range=0.0)


class Pyramid(nn.Module):
    """Two scales of features."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        fine = self.first(image).relu()
        return [fine, self.second(fine).relu()]


def test_perceptual_is_the_mean_squared_difference_of_features():
    encoder, (ours, theirs) = Pyramid(), pair(2, 1, 16, 16)
    loss = Perceptual(encoder)
    ours.requires_grad_()
    found = loss(ours, theirs)
    expected = [(a - b).square().mean() for a, b in zip(encoder(ours), encoder(theirs), strict=True)]
    torch.testing.assert_close(found, sum(expected) / 2)
    found.backward()
    assert ours.grad.any() and all(one.grad is None for one in encoder.parameters())
    assert loss(theirs, theirs) == 0
    weight = torch.zeros(2, 1, 16, 16)
    assert loss(ours, theirs, weight) == 0


def test_correlation_equals_numpy():
    ours, theirs = pair(1, 1, 8, 9)
    expected = 1 - np.corrcoef(ours.numpy().ravel(), theirs.numpy().ravel())[0, 1]
    assert image_losses.build("ncc")(ours, theirs).item() == pytest.approx(expected, abs=1e-6)
    assert image_losses.build("ncc")(3 * theirs + 2, theirs).item() == pytest.approx(0, abs=1e-6)
    weight = torch.zeros(1, 1, 8, 9)
    weight[..., :4] = 2.0
    part = 1 - np.corrcoef(ours[..., :4].numpy().ravel(), theirs[..., :4].numpy().ravel())[0, 1]
    assert image_losses.build("ncc")(ours, theirs, weight).item() == pytest.approx(part, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 20, 22), (1, 1, 12, 13, 14)])
def test_local_correlation_equals_monai(shape):
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    ours, theirs = pair(*shape)
    expected = 1 + LocalNormalizedCrossCorrelationLoss(len(shape) - 2, kernel_size=5)(ours, theirs)
    torch.testing.assert_close(image_losses.build("local_ncc", width=5)(ours, theirs), expected, atol=1e-3, rtol=1e-3)


def test_mutual_information_equals_a_histogram_of_scipy_splines():
    from scipy.interpolate import BSpline

    ours, theirs = pair(1, 1, 6, 7)
    bins = 8
    spline = BSpline.basis_element(np.arange(-2, 3))

    def spread(image: torch.Tensor) -> np.ndarray:
        values = image.numpy().ravel().astype(float)
        places = (values - values.min()) / (values.max() - values.min()) * (bins - 5) + 2
        away = places[:, None] - np.arange(bins)
        return np.where(np.abs(away) < 2, spline(np.clip(away, -2, 2)), 0)

    joint = spread(ours).T @ spread(theirs)
    joint /= joint.sum()
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    expected = -(joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])).sum()
    assert image_losses.build("mutual_information", bins=bins)(ours, theirs).item() == pytest.approx(expected, abs=1e-5)


def test_mutual_information_does_not_mind_other_contrast():
    ours, theirs = pair(1, 1, 16, 16)
    loss = image_losses.build("mutual_information")
    torch.testing.assert_close(loss(1 - theirs, theirs), loss(theirs, theirs))
    assert loss(1 - theirs, theirs) < loss(ours, theirs) < loss(torch.rand(1, 1, 16, 16), theirs)


def test_a_loss_of_images_compares_the_maps_of_logits_and_leaves_out_voxels_of_no_weight():
    logits, target = torch.tensor([[[[0.0, 0.0, 5.0]]]]), torch.tensor([[[[0.5, 0.25, -1.0]]]])
    loss = build_loss("l1", {}, torch.sigmoid)
    assert loss(logits, target, torch.tensor([[[1.0, 1.0, 0.0]]])).item() == pytest.approx(0.125)
    assert loss(logits[..., :1], target[..., :1]).item() == 0


def test_a_loss_of_labels_takes_logits_and_the_dice_of_the_plan():
    logits, target = torch.tensor([[[[3.0, -2.0]]], [[[1.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    of_batch, of_cases = (build_loss("dice", {}, torch.sigmoid, batch_dice=batch) for batch in (True, False))
    assert of_batch(logits, target) == losses.build("dice", batch=True)(logits, target)
    assert of_cases(logits, target) == losses.build("dice", batch=False)(logits, target)
    assert build_loss("dice", {"batch": False}, torch.sigmoid, batch_dice=True)(logits, target) == of_cases(
        logits, target
    )


def test_an_unknown_loss_is_named_with_the_closest_of_both_shelves():
    with pytest.raises(ConfigError, match=r"No loss is called 'ms_sim'. Did you mean 'ms_ssim'\?"):
        build_loss("ms_sim", {}, torch.sigmoid)
