"""Drawn movements: their ranges, their geometry in millimetres, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hyoid.augmentation.elastic import ElasticGrid, ElasticNoise
from hyoid.augmentation.policies import build_policy, policies
from hyoid.augmentation.spatial import Flip, Rotation, Scaling, Shear, Shift, compose
from hyoid.augmentation.transform import Frame, Motion, SpatialTransform
from hyoid.core.errors import ConfigError
from hyoid.ops.warp import Warp
from phantoms import coordinates


def frame(shape=(32, 40, 36), spacing=None, mirror=(), moving=None) -> Frame:
    spacing = spacing or (1.0,) * len(shape)
    return Frame(shape, spacing, tuple(mirror), moving or tuple(a for a, n in enumerate(shape) if n > 1))


def draws(transform: SpatialTransform, place: Frame, count: int) -> list[Warp]:
    rng = np.random.default_rng(0)
    motions = [transform.draw(rng, place) for _ in range(count)]
    return [compose([] if motion is None else [motion], place, (0,) * place.dims) for motion in motions]


def angle(matrix: np.ndarray) -> float:
    return float(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])))


def test_planar_angles_are_even_within_their_range():
    angles = [angle(warp.matrix) for warp in draws(Rotation(planar_degrees=20), frame((32, 32)), 800)]
    assert max(np.abs(angles)) <= 20
    assert np.std(angles) == pytest.approx(20 / np.sqrt(3), rel=0.06)


def test_oblong_patches_turn_less():
    largest = lambda shape: max(abs(angle(w.matrix)) for w in draws(Rotation(), frame(shape, mirror=(0, 1)), 200))  # noqa: E731
    assert largest((32, 40)) > 150
    assert largest((32, 49)) <= 15


def test_a_rotation_keeps_lengths_in_millimetres():
    spacing = np.array([2.0, 0.5, 1.0])
    for warp in draws(Rotation(degrees=30), frame(spacing=tuple(spacing)), 10):
        millimetres = warp.matrix * spacing[:, None] / spacing
        np.testing.assert_allclose(millimetres @ millimetres.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(warp.matrix) == pytest.approx(1)


def test_everything_turns_about_the_patch_centre():
    policy = build_policy("nnunet", (9, 11, 13), (3.0, 1, 1), (0, 1, 2))
    for seed in range(20):
        warp = policy.draw_warp(np.random.default_rng(seed), (100, 200, 300))
        np.testing.assert_allclose(warp.matrix @ [4, 5, 6] + warp.offset, [104, 205, 306])


@pytest.mark.parametrize("name", policies)
def test_a_thick_axis_is_only_mirrored_and_shifted(name):
    policy = build_policy(name, (12, 64, 64), (5.0, 1, 1), (0, 1, 2))
    for seed in range(20):
        warp = policy.draw_warp(np.random.default_rng(seed), (0, 0, 0))
        assert abs(warp.matrix[0, 0]) == 1
        assert not warp.matrix[0, 1:].any()
        assert not warp.matrix[1:, 0].any()
        assert warp.offset[0] == round(warp.offset[0])
        assert warp.control is None or not warp.control[0].any()


def test_a_thick_axis_is_found_by_its_spacing_or_told():
    assert build_policy("none", (8, 8, 8), (3.1, 1, 1)).frame.moving == (1, 2)
    assert build_policy("none", (8, 8, 8), (3.0, 1, 1)).frame.moving == (0, 1, 2)
    assert build_policy("none", (8, 8, 8), (1, 1, 1), thick_axis=2).frame.moving == (0, 1)
    assert build_policy("none", (1, 8, 8), None).frame.moving == (1, 2)


def test_scaling_is_even_and_the_same_for_all_axes_unless_asked():
    warps = draws(Scaling(factor=(0.7, 1.4)), frame(), 500)
    factors = np.array([np.diag(warp.matrix) for warp in warps])
    assert (factors == factors[:, :1]).all()
    assert 0.7 <= factors.min() < 0.72
    assert 1.38 < factors.max() <= 1.4
    assert factors.mean() == pytest.approx(1.05, abs=0.03)
    single = draws(Scaling(each_axis=True), frame(), 3)[0].matrix
    assert len(set(np.diag(single))) == 3


def test_shear_slopes_stay_within_their_range():
    slopes = np.array([warp.matrix[0, 1] for warp in draws(Shear(largest=0.2), frame((20, 20)), 300)])
    assert 0.19 < np.abs(slopes).max() <= 0.2


def test_shifts_are_whole_voxels_and_need_no_resampling():
    warps = draws(Shift(largest=0.1), frame((50, 100)), 300)
    offsets = np.array([warp.offset for warp in warps])
    assert all(warp.is_copy for warp in warps)
    assert np.abs(offsets).max(0).tolist() == [5, 10]


def test_each_allowed_axis_is_mirrored_half_the_time():
    warps = draws(Flip(), frame(mirror=(0, 2)), 600)
    flipped = np.array([np.diag(warp.matrix) < 0 for warp in warps])
    assert all(warp.is_copy for warp in warps)
    assert not flipped[:, 1].any()
    np.testing.assert_allclose(flipped[:, [0, 2]].mean(0), 0.5, atol=0.06)
    assert (flipped[:, 0] & flipped[:, 2]).mean() == pytest.approx(0.25, abs=0.06)


def test_flips_with_any_spacing_stay_exact():
    policy = build_policy("none", (8, 6, 7), (0.3, 0.7, 0.9))
    warp = compose([Motion(np.diag([-1.0, 1, -1]))], policy.frame, (1, 2, 3))
    assert warp.is_copy
    assert warp.offset.tolist() == [8, 2, 9]


def test_the_nodes_of_the_coarse_grid_have_the_papers_deviation():
    warps = draws(ElasticGrid(nodes=3, sigma_voxels=10), frame((513, 513)), 200)
    nodes = np.stack([coordinates(w)[:, ::256, ::256] - 256 * np.indices((3, 3)) for w in warps[:40]])
    assert nodes.std() == pytest.approx(10, rel=0.08)


def test_elastic_grids_do_not_fold_small_patches():
    for place in (frame((24, 24)), frame((20, 30, 26))):
        for warp in draws(ElasticGrid(nodes=3, sigma_voxels=10), place, 20):
            gradient = np.stack(
                [np.stack(np.gradient(component, axis=tuple(range(place.dims)))) for component in coordinates(warp)]
            )
            determinant = np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)))
            assert determinant.min() > 0


def test_elastic_displacements_are_millimetres_along_every_axis():
    place = frame((40, 160), spacing=(2.0, 0.5))
    shifts = np.stack([coordinates(w) - np.indices(place.shape) for w in draws(ElasticGrid(), place, 150)])
    deviations = shifts.std((0, 2, 3)) * [2.0, 0.5]
    assert deviations[0] == pytest.approx(deviations[1], rel=0.1)


def test_filtered_noise_has_the_statistics_of_the_dense_field():
    sigma, amplitude, shape = 6.0, 40.0, (60, 60)
    rng = np.random.default_rng(0)
    margin = 30
    dense = []
    for _ in range(60):
        noise = rng.uniform(-1, 1, [n + 2 * margin for n in shape])
        dense.append(amplitude * gaussian_filter(noise, sigma)[margin:-margin, margin:-margin])
    warps = draws(ElasticNoise(amplitude=amplitude, sigma_voxels=sigma), frame(shape), 60)
    coarse = [coordinates(warp)[0] - np.indices(shape)[0] for warp in warps]
    assert np.std(coarse) == pytest.approx(np.std(dense), rel=0.1)
    for lag in (3, 6, 12):
        correlation = [np.mean([f[lag:] * f[:-lag] for f in fields]) / np.var(fields) for fields in (dense, coarse)]
        assert correlation[1] == pytest.approx(correlation[0], abs=0.12)
        assert correlation[1] == pytest.approx(np.exp(-((lag / sigma) ** 2) / 4), abs=0.12)


def test_filtered_noise_bends_volumes_as_much_as_planes():
    planar = draws(ElasticNoise(amplitude=60, sigma_voxels=8), frame((64, 64)), 30)
    volume = draws(ElasticNoise(amplitude=60, sigma_voxels=8), frame((40, 40, 40)), 10)
    deviation = lambda warps: np.std([coordinates(w) - np.indices(w.shape) for w in warps])  # noqa: E731
    assert deviation(volume) == pytest.approx(deviation(planar), rel=0.15)
    assert deviation(planar) == pytest.approx(60 / (2 * 8 * np.sqrt(3 * np.pi)), rel=0.15)


def test_two_elastic_transforms_are_refused():
    place = frame((20, 20))
    motions = [ElasticGrid().draw(np.random.default_rng(0), place)] * 2
    with pytest.raises(ConfigError, match="one elastic"):
        compose(motions, place, (0, 0))


def test_motions_compose_in_order():
    place = frame((5, 5), spacing=(1.0, 2.0))
    turn = np.array([[0.0, -1], [1, 0]])
    warp = compose([Motion(np.diag([2.0, 1])), Motion(turn), Motion(shift=np.array([3.0, 4]))], place, (0, 0))
    # One voxel along axis 1 is 2 mm; turned it points along axis 0, where 2 mm are stretched to 4 voxels of 1 mm.
    np.testing.assert_allclose(warp.matrix @ [0, 1], [-4, 0])
    np.testing.assert_allclose(warp.matrix @ [2, 2] + warp.offset, [5, 6])
