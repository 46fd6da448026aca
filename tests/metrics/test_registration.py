"""Metrics of motion against values worked out by hand and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hyoid.core.errors import DataError
from hyoid.metrics.registration import Motion, registration_metrics


def field(seed: int, shape: tuple[int, ...], strength: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((len(shape), *shape))
    return strength * np.stack([gaussian_filter(part, 1.5) for part in noise])


def test_points_in_voxels_are_measured_in_millimetres():
    found, truth = np.array([[0, 0, 0], [1, 2, 3]]), np.array([[0, 0, 2], [1, 6, 0]])
    assert registration_metrics.build("tre")(found, truth, (1.0, 1.0, 2.0)) == pytest.approx((4 + np.hypot(4, 6)) / 2)
    assert registration_metrics.build("tre")(found[:0], truth[:0]) == 0.0


@pytest.mark.parametrize("shape", [(20, 22), (10, 11, 12)])
def test_determinants_agree_with_simple_itk_inside(shape):
    import SimpleITK as sitk  # noqa: N813

    spacing = (1.5, 0.8, 2.0)[: len(shape)]
    motion = field(1, shape, 15.0)
    image = sitk.GetImageFromArray(np.moveaxis(motion[::-1], 0, -1), isVector=True)
    image.SetSpacing(spacing[::-1])
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image))
    inner = (slice(1, -1),) * len(shape)
    ours = Motion.of(motion, None, spacing).determinants()
    assert ours[inner] == pytest.approx(theirs[inner], rel=1e-5, abs=1e-6)
    folds = registration_metrics.build("folds")(motion, None, spacing)
    assert folds == np.mean(ours <= 0) > 0


def test_a_mirrored_axis_folds_everywhere_and_a_stretch_nowhere():
    places = np.indices((6, 7)).astype(float)
    mirrored = np.stack([-2 * places[0], 0 * places[1]])
    assert registration_metrics.build("folds")(mirrored, None) == 1.0
    assert registration_metrics.build("folds")(0.5 * places, None) == 0.0
    assert registration_metrics.build("jacobian_spread")(0.5 * places, None) == pytest.approx(0.0)


def test_a_field_has_a_component_for_each_axis():
    with pytest.raises(DataError, match="displacement field"):
        Motion.of(np.zeros((2, 4, 4, 4)))
    with pytest.raises(DataError, match="two lists"):
        registration_metrics.build("tre")(np.zeros((2, 3)), np.zeros((3, 3)))


def test_end_points_are_as_far_apart_as_the_vectors_between_them():
    reference = field(1, (6, 7, 8), 3.0)
    moved = reference + np.array([3.0, -4.0, 12.0]).reshape(3, 1, 1, 1)
    assert registration_metrics.build("end_point_error")(moved, reference, (1.0, 2.0, 3.0)) == pytest.approx(13)
