"""The two engines give the same patches: the processor's loops, and tensors on whatever device the net is on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hyoid.augmentation.artefacts import Blur, LowResolution, Noise
from hyoid.augmentation.device import augmented_on, portable
from hyoid.augmentation.elastic import ElasticGrid
from hyoid.augmentation.intensity import Brightness, BrightnessShift, Contrast, Gamma
from hyoid.augmentation.patches import FILLS, Cut, Patch, augmented
from hyoid.augmentation.policies import Policy, build_policy, policies
from hyoid.augmentation.spatial import Flip, Rotation, Scaling, Shear
from phantoms import cut_from

SHAPES = [(70, 64), (36, 40, 34)]
MOVES = {
    "turned": (Rotation(degrees=30, planar_degrees=180), Scaling(factor=(0.7, 1.4), each_axis=True), Shear()),
    "elastic": (ElasticGrid(nodes=4, sigma_voxels=10), Rotation(degrees=15)),
    "mirrored": (Flip(axis_probability=1),),
    "mirrored and turned": (Flip(axis_probability=1), Rotation(degrees=20, planar_degrees=20)),
}
VALUES = (
    Blur(channel_probability=1),
    LowResolution(channel_probability=1),
    Brightness(),
    BrightnessShift(),
    Contrast(),
    Gamma(),
    Gamma(inverted=True),
    Gamma(keep_statistics=False),
)


def smooth(shape: tuple[int, ...], channels: int = 2) -> np.ndarray:
    """An image of standard deviation 1 that interpolation can follow."""
    noise = np.random.default_rng(0).standard_normal((channels, *shape))
    image = gaussian_filter(noise, 3, axes=tuple(range(1, noise.ndim)))
    return (image / image.std()).astype(np.float32)


def sample(policy: Policy, shape: tuple[int, ...], centre: tuple[int, ...], seed: int, **fills: object) -> Cut:
    image = smooth(shape)
    labels = np.digitize(image[:1], [-0.5, 0.4, 1.2]).astype(np.uint8) * 3

    def read(array: np.ndarray):
        return lambda start, box: array[(slice(None), *map(slice, start, np.add(start, box)))]

    rng = np.random.default_rng(seed)
    reads = Patch(read(image), read(labels), read(image[1:]), read(image))
    return cut_from(reads, shape, *policy.draw(rng, centre, 2), FILLS._replace(**{"labels": -1, **fills}))


def copied(cut: Cut) -> Cut:
    return replace(cut, parts=cut.parts._replace(image=cut.parts.image.copy()))


def both(cut: Cut) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """By the processor, and by tensors."""
    ours = augmented(copied(cut))
    theirs = augmented_on("cpu", portable(copied(cut)))
    return list(ours), [tensor.numpy() for tensor in theirs]


@pytest.mark.parametrize("shape", SHAPES, ids=["2d", "3d"])
@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("where", ["middle", "corner"])
@pytest.mark.parametrize("fill", [0.0, None])
def test_both_engines_move_alike(shape, moves, where, fill):
    whole = build_policy("none", [n // 2 for n in shape], (1.0, 1.5, 1.0)[: len(shape)], range(len(shape)))
    policy = replace(whole, spatial=MOVES[moves])
    centre = tuple(n // 2 if where == "middle" else 3 for n in shape)
    for seed in range(3):
        cut = sample(policy, shape, centre, seed, image=fill, target=fill, labels=None if fill is None else -1)
        assert (cut.warp is None) == (moves == "mirrored")
        (image, labels, weight, target), (image_, labels_, weight_, target_) = both(cut)
        assert labels_.dtype == labels.dtype and image_.dtype == image.dtype
        inside = labels[0] != -1
        np.testing.assert_array_equal(target, image)  # no intensities are changed here, so both move alike
        np.testing.assert_array_equal(target_, image_)
        assert np.abs(image_ - image)[:, inside].max() < 1e-3
        assert np.abs(weight_ - weight)[:, inside].max() < 1e-3
        assert np.quantile(np.abs(image_ - image), 0.999) < 1e-3
        assert (labels_ == labels).mean() > 0.9995


def test_a_slice_of_a_volume_moves_alike():
    policy = build_policy("strong", (1, 32, 28), (5.0, 1.0, 1.0), (1, 2))
    for seed in range(6):
        cut = sample(replace(policy, intensity=()), (9, 60, 50), (4, 30, 25), seed)
        (image, labels, *_), (image_, labels_, *_) = both(cut)
        assert image.shape == (2, 1, 32, 28)
        np.testing.assert_allclose(image_, image, atol=1e-3)
        assert (labels_ == labels).mean() > 0.9995


@pytest.mark.parametrize("transform", VALUES, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=["2d", "3d"])
def test_both_engines_change_values_alike(transform, shape):
    whole = build_policy("none", [n // 2 for n in shape])
    policy = replace(whole, spatial=(Scaling(factor=(0.8, 0.9)),), intensity=(transform,))
    for seed in range(3):
        cut = sample(policy, shape, tuple(n // 2 for n in shape), seed)
        assert len(cut.changes) == 1
        (image, *_), (image_, *_) = both(cut)
        assert np.abs(image_ - image).max() < 2e-3
        assert np.abs(image_ - both(replace(cut, changes=()))[1][0]).max() > 1e-2


def test_noise_has_the_drawn_deviation_and_is_known_by_its_seed():
    whole = build_policy("none", (32, 32, 32))
    policy = replace(whole, intensity=(Noise(std=(0.3, 0.3)),))
    cuts = [sample(policy, (32, 32, 32), (16, 16, 16), seed) for seed in (0, 0, 1)]
    plain = sample(whole, (32, 32, 32), (16, 16, 16), 0).parts.image
    first, again, other = (augmented_on("cpu", portable(cut)).image.numpy() - plain for cut in cuts)
    np.testing.assert_array_equal(first, again)
    assert first.std() == pytest.approx(0.3, rel=0.02) and abs(first.mean()) < 0.01
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("name", policies)
def test_every_policy_is_computed_alike(name):
    policy = build_policy(name, (20, 24, 22), (1.0, 1.0, 1.2), (0, 1, 2))
    for seed in range(4):
        cut = sample(policy, (36, 40, 34), (18, 20, 17), seed)
        (image, labels, weight, _), (image_, labels_, weight_, _) = both(cut)
        assert np.quantile(np.abs(image_ - image), 0.999) < 5e-3
        assert (labels_ == labels).mean() > 0.999
        assert np.quantile(np.abs(weight_ - weight), 0.999) < 1e-3


def test_a_read_only_source_is_not_written_to():
    policy = replace(build_policy("none", (8, 8)), intensity=(Brightness(factor=(2, 2)),), spatial=(Scaling(),))
    cut = sample(policy, (30, 30), (15, 15), 0)
    cut.parts.image.setflags(write=False)
    before = cut.parts.image.copy()
    moved = augmented_on(torch.device("cpu"), portable(cut))
    assert moved[0].shape == (2, 8, 8)
    np.testing.assert_array_equal(cut.parts.image, before)
