"""Where voxels lie in the body."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid

ALL_CODES = ["".join(code) for axes in permutations(["LR", "PA", "IS"]) for code in product(*axes)]


def oblique(degrees=(12, -20, 7), spacing=(0.7, 1.3, 2.5), shape=(5, 6, 7), shear=0.0):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (-31.5, 12.25, 408.0)
    return Grid.from_affine(affine, shape)


def test_there_are_48_orientations():
    assert len(set(ALL_CODES)) == 48


@pytest.mark.parametrize("codes", ALL_CODES)
def test_oriented_agrees_with_nibabel(codes):
    grid = oblique()
    image = nib.Nifti1Image(np.zeros(grid.shape, np.uint8), grid.affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(grid.affine), nib.orientations.axcodes2ornt(codes)
    )
    expected = image.as_reoriented(turn)
    turned = grid.oriented(codes)
    assert turned.orientation == codes == "".join(nib.aff2axcodes(turned.affine))
    assert turned.shape == expected.shape
    np.testing.assert_allclose(turned.affine, expected.affine, atol=1e-5)


@pytest.mark.parametrize("codes", ["RAX", "RRS", "RA", "RASL", "ras"])
def test_letters_that_are_no_orientation_are_refused(codes):
    with pytest.raises(ConfigError, match=codes):
        oblique().oriented(codes)


@pytest.mark.parametrize("shear", [0.0, 0.4])
def test_affine_there_and_back(shear):
    grid = oblique(shear=shear)
    again = Grid.from_affine(grid.affine, grid.shape)
    np.testing.assert_allclose(again.affine, grid.affine, atol=1e-12)
    assert grid.voxel_mm3 == pytest.approx(0.7 * 1.3 * 2.5)


def test_index_and_world_are_inverse():
    index = np.random.default_rng(0).uniform(-9, 9, (20, 3))
    grid = oblique(shear=0.3)
    np.testing.assert_allclose(grid.to_index(grid.to_world(index)), index, atol=1e-10)


def test_a_voxel_keeps_its_place_when_the_box_changes():
    grid = oblique()
    np.testing.assert_allclose(grid.cropped((2, -1, 3), (2, 9, 2)).to_world((0, 1, 0)), grid.to_world((2, 0, 3)))
    padded = grid.padded((1, 2, 3), (4, 5, 6))
    assert padded.shape == (10, 13, 16)
    np.testing.assert_allclose(padded.to_world((1, 2, 3)), grid.to_world((0, 0, 0)))
    assert padded.padded((-1, -2, -3), (-4, -5, -6)).matches(grid)


def test_a_flip_turns_the_axis_about_its_middle():
    grid = oblique()
    np.testing.assert_allclose(grid.flipped(1).to_world((0, 0, 0)), grid.to_world((0, 5, 0)))
    assert grid.flipped(2).flipped(2).matches(grid)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_transposed_grid_permutes_indices(axes):
    grid = oblique()
    index = np.array([1, 2, 3])
    np.testing.assert_allclose(grid.transposed(axes).to_world(index[list(axes)]), grid.to_world(index))


@pytest.mark.parametrize("shape", [(10, 3, 7), (1, 1, 1), (5, 12, 14)])
def test_resizing_keeps_the_outer_faces(shape):
    grid = oblique()
    resized = grid.resized(shape)
    for corner in product((0, 1), repeat=3):
        mine = np.asarray(corner) * grid.shape - 0.5
        theirs = np.asarray(corner) * shape - 0.5
        np.testing.assert_allclose(resized.to_world(theirs), grid.to_world(mine), atol=1e-9)


def test_spacing_is_as_near_as_whole_voxels_allow():
    grid = Grid.plain((10, 10), (1.0, 1.0)).with_spacing((3.0, 0.5))
    assert grid.shape == (3, 20)
    assert grid.spacing_mm == pytest.approx((10 / 3, 0.5))


def test_matching_looks_at_every_corner():
    grid = oblique()
    turned = oblique(degrees=(12, -20, 7.05))
    assert grid.matches(Grid.from_affine(grid.affine + 1e-6, grid.shape))
    assert not grid.matches(turned)
    assert not grid.matches(grid.padded((0, 0, 0), (1, 0, 0)))


def test_unknown_pixel_size_is_counted_in_pixels():
    grid = Grid.plain((4, 5))
    assert not grid.calibrated and "unknown" in str(grid)
    assert "0.5x0.5 mm" in str(Grid.plain((4, 5), (0.5, 0.5)))


def test_flat_grids_have_no_orientation():
    with pytest.raises(DataError, match="3D"):
        Grid.plain((4, 5)).orientation


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Grid.plain((4,)),
        lambda: Grid.plain((4, 0)),
        lambda: Grid.plain((4, 4), (1.0, 0.0)),
        lambda: Grid.plain((4, 4), (1.0, float("nan"))),
        lambda: Grid((4, 4), (1.0, 1.0), (0.0, 0.0), ((1.0,), (0.0,))),
        lambda: Grid.from_affine(np.diag([1, 1, 0, 1]), (3, 3, 3)),
        lambda: Grid.from_affine(np.ones((4, 4)), (3, 3, 3)),
    ],
)
def test_impossible_grids_are_refused(wrong):
    with pytest.raises(DataError):
        wrong()
