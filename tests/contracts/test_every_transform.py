"""What every transform and every policy on the shelves must do."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.augmentation.patches import Patch, augmented
from hyoid.augmentation.policies import Policy, build_policy, policies
from hyoid.augmentation.transform import Frame, IntensityTransform, SpatialTransform, Transform, transforms
from hyoid.core.citations import bibliography
from phantoms import cut_from

PATCHES = {
    "2D": ((24, 30), (1.0, 1.0)),
    "3D": ((12, 18, 16), (1.0, 1.0, 1.0)),
    "thick": ((6, 24, 26), (5.0, 0.9, 0.9)),
    "slice": ((1, 24, 26), (1.0, 0.9, 0.9)),
}

WHOLE_VOXELS = {"flip", "shift", "low_resolution"}
"""These move by whole voxels or take whole voxels away, so that they cannot do it just a little."""


@pytest.fixture(params=list(PATCHES))
def frame(request) -> Frame:
    return build_policy("none", *PATCHES[request.param], mirror_axes=[0, 1]).frame


@pytest.fixture
def image(frame) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((2, *(n + 9 for n in frame.shape))).astype(np.float32)


@pytest.fixture
def labels(image) -> np.ndarray:
    return np.where(image[:1] > 0.5, 7, np.where(image[:1] < -1, 3, 0)).astype(np.int16)


def sample(transform: Transform, frame: Frame, image: np.ndarray, labels: np.ndarray, seed: int):
    """A patch to which nothing but this transform was done."""
    spatial = (transform,) if isinstance(transform, SpatialTransform) else ()
    intensity = (transform,) if isinstance(transform, IntensityTransform) else ()
    return patch(Policy("one", frame, spatial, intensity), image, labels, seed)


def patch(policy: Policy, image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    def reader(array):
        return lambda start, shape: array[(slice(None), *map(slice, start, np.add(start, shape)))]

    centre = [n // 2 for n in image.shape[1:]]
    draws = policy.draw(np.random.default_rng(seed), centre, len(image))
    return augmented(cut_from(Patch(reader(image), reader(labels)), image.shape[1:], *draws))[:2]


@pytest.mark.parametrize("name", transforms)
def test_the_same_seed_gives_the_same_patch(name, frame, image, labels):
    for first, again in zip(
        sample(transforms.build(name), frame, image, labels, 3),
        sample(transforms.build(name), frame, image, labels, 3),
        strict=True,
    ):
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", transforms)
def test_seeds_give_different_patches(name, frame, image, labels):
    patches = [sample(transforms.build(name), frame, image, labels, seed)[0] for seed in range(12)]
    assert any(not np.array_equal(patches[0], other) for other in patches[1:])


@pytest.mark.parametrize("options", [{"strength": 0}, {"probability": 0}])
@pytest.mark.parametrize("name", transforms)
def test_strength_zero_and_probability_zero_change_nothing(name, options, frame, image, labels):
    plain = patch(Policy("none", frame, (), ()), image, labels, 0)
    for seed in range(3):
        changed = sample(transforms.build(name, **options), frame, image, labels, seed)
        np.testing.assert_array_equal(changed[0], plain[0])
        np.testing.assert_array_equal(changed[1], plain[1])


@pytest.mark.parametrize("name", sorted({*transforms} - WHOLE_VOXELS))
def test_a_little_strength_changes_little(name, frame, image, labels):
    plain = patch(Policy("none", frame, (), ()), image, labels, 0)[0]
    changed = sample(transforms.build(name, strength=1e-4), frame, image, labels, 1)[0]
    assert np.abs(changed - plain).mean() < 0.03


@pytest.mark.parametrize("name", transforms)
def test_labels_stay_labels(name, frame, image, labels):
    transform = transforms.build(name)
    plain = patch(Policy("none", frame, (), ()), image, labels, 0)[1]
    for seed in range(3):
        changed = sample(transform, frame, image, labels, seed)[1]
        assert changed.dtype == labels.dtype
        assert set(np.unique(changed)) <= {0, 3, 7}
        if isinstance(transform, IntensityTransform):
            np.testing.assert_array_equal(changed, plain)


@pytest.mark.parametrize("name", transforms)
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_constant_images_stay_finite(name, value, frame, image, labels):
    for seed in range(3):
        result = sample(transforms.build(name), frame, np.full_like(image, value), labels, seed)[0]
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


@pytest.mark.parametrize("name", policies)
def test_policies_give_patches_of_the_right_kind(name, frame, image, labels):
    policy = build_policy(name, frame.shape, frame.spacing_mm, frame.mirror_axes)
    for seed in range(4):
        changed = patch(policy, image, labels, seed)
        again = patch(policy, image, labels, seed)
        assert changed[0].shape == (2, *frame.shape)
        assert changed[1].shape == (1, *frame.shape)
        assert changed[0].dtype == np.float32
        assert np.isfinite(changed[0]).all()
        assert set(np.unique(changed[1])) <= {0, 3, 7}
        np.testing.assert_array_equal(changed[0], again[0])
        np.testing.assert_array_equal(changed[1], again[1])


@pytest.mark.parametrize("shelf", [transforms, policies], ids=["transforms", "policies"])
def test_every_part_is_documented_and_its_papers_are_known(shelf):
    known = bibliography()
    for name in shelf:
        assert shelf[name].summary
        assert set(shelf[name].papers) <= set(known), name
