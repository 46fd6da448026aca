"""Whole samples: what is read, that image, labels and weights move together, and how often what is drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hyoid.augmentation.patches import FILLS, Patch, augmented
from hyoid.augmentation.policies import Policy, build_policy, policies
from hyoid.augmentation.spatial import Flip, Rotation, Scaling
from hyoid.core.errors import ConfigError
from phantoms import cut_from


class Source:
    """An array that remembers which boxes were read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.boxes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __call__(self, start: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
        self.boxes.append((start, shape))
        assert all(s >= 0 and s + n <= m for s, n, m in zip(start, shape, self.array.shape[1:], strict=True))
        return self.array[(slice(None), *map(slice, start, np.add(start, shape)))]


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    """The index of each voxel along each axis."""
    return np.indices(shape).astype(np.float32)


def test_nothing_drawn_gives_the_voxels_themselves():
    image = Source(np.random.default_rng(0).standard_normal((2, 30, 40)).astype(np.float32))
    labels = Source((image.array[:1] > 0).astype(np.uint8))
    policy = build_policy("none", (8, 10))
    draws = policy.draw(np.random.default_rng(0), (15, 20), 2)
    patch, truth, weight, _ = augmented(cut_from(Patch(image, labels), (30, 40), *draws))
    np.testing.assert_array_equal(patch, image.array[:, 11:19, 15:25])
    np.testing.assert_array_equal(truth, labels.array[:, 11:19, 15:25])
    assert weight is None
    assert image.boxes == labels.boxes == [((11, 15), (8, 10))]


def test_a_patch_over_the_edge_is_filled_as_told():
    image, labels = Source(np.ones((1, 6, 6), np.float32)), Source(np.ones((1, 6, 6), np.int16))
    rng, policy = np.random.default_rng(0), build_policy("none", (4, 4))
    reads, fills = Patch(image, labels, Source(image.array), image), Patch(-3.0, -1, 0.25, 9.0)
    patch, truth, weight, target = augmented(cut_from(reads, (6, 6), *policy.draw(rng, (0, 3), 1), fills))
    assert patch[0, :, 0].tolist() == [-3, -3, 1, 1]
    assert truth[0, :, 0].tolist() == [-1, -1, 1, 1]
    assert weight[0, :, 0].tolist() == [0.25, 0.25, 1, 1]
    assert target[0, :, 0].tolist() == [9, 9, 1, 1]
    nearest = FILLS._replace(image=None)
    assert (augmented(cut_from(Patch(image), (6, 6), *policy.draw(rng, (0, 3), 1), nearest)).image == 1).all()


@pytest.mark.parametrize("name", policies)
def test_image_labels_and_weight_move_together(name):
    shape = (60, 50, 40)
    position = ramp(shape)
    policy = build_policy(name, (16, 20, 18), (1.0, 1.5, 1.0), (0, 1, 2))
    policy = Policy(name, policy.frame, policy.spatial, ())
    labels = (position[:1] > 27).astype(np.uint8)
    for seed in range(6):
        reads = Patch(Source(position), Source(labels), Source(position[2:]))
        draws = policy.draw(np.random.default_rng(seed), (30, 25, 20), 3)
        patch, truth, weight, _ = augmented(cut_from(reads, shape, *draws, Patch(None, None, None)))
        clear = np.abs(patch[0] - 27.5) > 0.51
        np.testing.assert_array_equal(truth[0][clear], patch[0][clear] > 27.5)
        np.testing.assert_allclose(weight[0], patch[2], atol=1e-3)


def test_samples_do_not_depend_on_threads():
    image = np.random.default_rng(0).standard_normal((1, 40, 40, 40)).astype(np.float32)
    policy = build_policy("strong", (20, 20, 20), None, (0, 1, 2))

    def sample(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return augmented(cut_from(Patch(Source(image)), image.shape[1:], *policy.draw(rng, (20, 20, 20), 1))).image

    with ThreadPoolExecutor(3) as pool:
        for seed, patch in enumerate(pool.map(sample, range(12))):
            np.testing.assert_array_equal(patch, sample(seed))


def test_the_nnunet_policy_moves_as_often_as_its_table_says():
    policy = build_policy("nnunet", (32, 32, 32), mirror_axes=(0, 1, 2))
    rotation, scaling, flip = policy.spatial
    assert (type(rotation), type(scaling), type(flip)) == (Rotation, Scaling, Flip)
    rng = np.random.default_rng(0)
    warps = [policy.draw_warp(rng, (0, 0, 0)) for _ in range(3000)]
    turned = np.array([np.count_nonzero(w.matrix) > 3 for w in warps])
    volumes = np.array([abs(np.linalg.det(w.matrix)) for w in warps]) ** (1 / 3)
    assert turned.mean() == pytest.approx(0.2, abs=0.025)
    scaled = np.abs(volumes - 1) > 1e-9
    assert scaled.mean() == pytest.approx(0.2, abs=0.025)
    assert 0.7 <= volumes.min() < 0.71
    assert 1.39 < volumes.max() <= 1.4
    copies = np.mean([w.is_copy for w in warps])
    assert copies == pytest.approx(0.64, abs=0.03)


def test_only_allowed_axes_are_mirrored():
    policy = build_policy("nnunet", (16, 16, 16), mirror_axes=(1,))
    warps = [policy.draw_warp(np.random.default_rng(seed), (0, 0, 0)) for seed in range(200)]
    signs = np.array([np.sign(np.diag(w.matrix)) for w in warps])
    assert (signs[:, [0, 2]] == 1).all()
    assert 0.35 < (signs[:, 1] < 0).mean() < 0.65


def test_unknown_policies_name_the_closest():
    with pytest.raises(ConfigError, match="Did you mean 'strong'"):
        build_policy("stong", (16, 16))


def test_axes_and_spacing_must_fit_the_patch():
    with pytest.raises(ConfigError, match="does not fit"):
        build_policy("light", (16, 16), (1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match="does not fit"):
        build_policy("light", (16, 16), mirror_axes=(2,))
