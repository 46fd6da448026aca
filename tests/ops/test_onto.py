"""An image on another grid, and the way back."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.ops.resample import onto
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.pipeline import PreparationSettings, prepare

ALL_CODES = ["".join(code) for axes in permutations(["LR", "PA", "IS"]) for code in product(*axes)]


def turned_grid(shape, spacing=(1.0, 1.2, 0.8), degrees=(10, -25, 15), origin=(3.0, -7.5, 100.0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return Grid.from_affine(affine, shape)


def noise(grid, channels=2, seed=0):
    return Image(np.random.default_rng(seed).normal(size=(channels, *grid.shape)).astype(np.float32), grid)


def patches_of(grid, num_values=5, seed=0):
    """Labels made of blobs, so that neighbours agree here and there."""
    fields = np.random.default_rng(seed).normal(size=(num_values, *grid.shape))
    smooth = ndimage.gaussian_filter(fields, [0] + [1.5] * grid.dims)
    return Image(smooth.argmax(0)[None].astype(np.uint8), grid, "labels")


def smooth(grid, channels=1):
    """A slow wave in the world, the same wherever it is sampled."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    waves = [np.sin(world @ np.array([0.11, 0.07, 0.09][: grid.dims]) + c) for c in range(channels)]
    return Image(np.stack(waves).astype(np.float32), grid)


@pytest.mark.parametrize("codes", ALL_CODES)
def test_every_orientation_is_copied_and_undone_bit_for_bit(codes):
    image = noise(turned_grid((4, 5, 6)))
    turned = onto(image, image.grid.oriented(codes))
    assert turned.grid.orientation == codes
    index = np.array([1, 2, 3])
    place = np.round(image.grid.to_index(turned.grid.to_world(index))).astype(int)
    assert (turned.array[(slice(None), *index)] == image.array[(slice(None), *place)]).all()
    back = onto(turned, image.grid)
    assert back.array.dtype == np.float32 and (back.array == image.array).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float64, np.dtype(">i2")])
def test_a_copy_keeps_the_dtype(dtype):
    grid = Grid.plain((3, 4, 5), (1, 1, 1))
    image = Image(np.arange(60).reshape(1, 3, 4, 5).astype(dtype), grid)
    moved = onto(image, grid.flipped(1).cropped((0, -1, 2), (3, 6, 2)), fill=7)
    assert moved.array.dtype == np.dtype(dtype).newbyteorder("=")
    expected = np.pad(image.array[:, :, ::-1], ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=7)[..., 2:4]
    np.testing.assert_array_equal(moved.array, expected)


@pytest.mark.parametrize("codes", ["LPS", "SAR", "ILP"])
def test_a_tilted_gantry_is_copied_bit_for_bit_too(codes):
    affine = turned_grid((4, 5, 6)).affine
    affine[:3, 2] += 0.35 * affine[:3, 1]
    image = noise(Grid.from_affine(affine, (4, 5, 6)))
    turned = onto(image, image.grid.oriented(codes).padded((1, 0, 2), (0, 3, 0)))
    assert (onto(turned, image.grid).array == image.array).all()
    fine = image.grid.resized((8, 10, 12))
    solid = Image(image.array, Grid.plain((4, 5, 6), (1, 1, 1)))
    np.testing.assert_array_equal(onto(image, fine).array, onto(solid, solid.grid.resized((8, 10, 12))).array)


def test_crop_and_pad_in_one_step():
    image = noise(turned_grid((6, 7, 8)))
    box = onto(image, image.grid.cropped((-2, 3, 1), (5, 9, 4)), fill=-1)
    expected = np.full((2, 5, 9, 4), -1, np.float32)
    expected[:, 2:, :4] = image.array[:, :3, 3:, 1:5]
    np.testing.assert_array_equal(box.array, expected)


def test_a_grid_elsewhere_is_filled():
    image = noise(turned_grid((6, 7, 8)))
    assert (onto(image, image.grid.cropped((20, 0, 0), (3, 7, 8)), fill=4).array == 4).all()
    assert (onto(image, image.grid.cropped((20, 0, 0), (3, 7, 8)).with_spacing((3, 3, 3)), fill=4).array == 4).all()


def test_headers_need_only_six_digits():
    grid = turned_grid((60, 50, 40))
    rounded = Grid.from_affine(grid.affine.astype(np.float32).round(5), grid.shape)
    image = noise(grid)
    np.testing.assert_array_equal(onto(image, rounded).array, image.array)


turns = st.one_of(
    st.tuples(st.just("orient"), st.sampled_from(ALL_CODES)),
    st.tuples(st.just("transpose"), st.permutations(range(3))),
    st.tuples(st.just("flip"), st.integers(0, 2)),
)
pads = st.tuples(st.just("pad"), st.tuples(*[st.integers(0, 3)] * 6))


def follow(grid: Grid, chain) -> Grid:
    for name, value in chain:
        if name == "orient":
            grid = grid.oriented(value)
        elif name == "pad":
            grid = grid.padded(value[:3], value[3:])
        elif name == "transpose":
            grid = grid.transposed(value)
        else:
            grid = grid.flipped(value)
    return grid


@settings(max_examples=40, deadline=None)
@given(st.lists(turns | pads, max_size=6))
def test_any_chain_of_whole_voxels_is_undone_in_one_step(chain):
    image = noise(turned_grid((3, 4, 5)))
    there = image
    for step in range(len(chain)):
        there = onto(there, follow(there.grid, chain[step : step + 1]))
    assert (onto(there, image.grid).array == image.array).all()
    assert (onto(image, there.grid).array == there.array).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(turns, max_size=4), st.tuples(*[st.floats(0.5, 0.9)] * 3))
def test_a_chain_with_resampling_lands_on_the_original_grid(chain, spacing):
    image = smooth(turned_grid((12, 14, 13)))
    labels = patches_of(image.grid)
    grid = follow(image.grid, chain).with_spacing(spacing)
    back = onto(onto(image, grid), image.grid)
    assert back.grid == image.grid
    # The wave goes on beyond the border, the repeated edge does not.
    np.testing.assert_allclose(back.array, image.array, atol=0.06)
    inner = (slice(None), *[slice(3, -3)] * 3)
    np.testing.assert_allclose(back.array[inner], image.array[inner], atol=0.003)
    assert (onto(onto(labels, grid), image.grid).array == labels.array).mean() > 0.93


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (90, 0, 180), (10, -25, 15), (33, 60, -140)])
def test_resampling_agrees_with_scipy(order, degrees):
    image = noise(turned_grid((14, 16, 15), degrees=(0, 0, 0)), channels=1)
    middle = image.grid.to_world((np.asarray(image.grid.shape) - 1) / 2)
    grid = turned_grid((13, 11, 12), (0.9, 0.7, 1.1), degrees, (0, 0, 0))
    shift = middle - grid.to_world((np.asarray(grid.shape) - 1) / 2) + [0.31, 0.13, -0.22]
    grid = turned_grid(grid.shape, grid.spacing_mm, degrees, tuple(shift))
    found = onto(image, grid, order, fill=np.nan).array[0]
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    positions = np.moveaxis(image.grid.to_index(grid.to_world(index)), -1, 0)
    expected = ndimage.map_coordinates(image.array[0].astype(float), positions, order=order, mode="nearest")
    sizes = np.reshape(image.grid.shape, (3, 1, 1, 1))
    inside = ((positions > -0.5) & (positions < sizes - 0.5)).all(0)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)
    assert np.isnan(found[~inside]).all()


@pytest.mark.parametrize("degrees", [(0, 0, 0), (10, -25, 15)])
def test_labels_are_won_by_the_largest_linear_weight(degrees):
    labels = patches_of(turned_grid((15, 16, 17), degrees=(0, 0, 0)))
    grid = turned_grid((9, 20, 12), (1.4, 0.6, 0.9), degrees)
    found = onto(labels, grid).array[0]
    weights = [
        onto(Image((labels.array == value).astype(np.float32), labels.grid, "probabilities"), grid).array[0]
        for value in range(5)
    ]
    rounded = np.round(weights[::-1], 5)
    np.testing.assert_array_equal(found, 4 - rounded.argmax(0) * (rounded.max(0) > 0) - 4 * (rounded.max(0) == 0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.tuples(*[st.floats(0.3, 4)] * 3), st.tuples(*[st.floats(-40, 40)] * 3))
def test_labels_are_never_invented(seed, spacing, degrees):
    grid = turned_grid((7, 8, 6), degrees=(0, 0, 0))
    values = np.array([0, 3, 17, 200, 1000], np.int16)
    labels = Image(values[patches_of(grid, seed=seed).array], grid, "labels")
    for target in (grid.with_spacing(spacing), turned_grid((8, 8, 8), spacing, degrees)):
        resampled = onto(labels, target)
        assert resampled.array.dtype == np.int16
        assert set(np.unique(resampled.array)) <= set(np.unique(labels.array)) | {0}


def test_equal_weights_go_to_the_larger_value():
    labels = Image(np.array([[[1, 1], [5, 5]]], np.uint8), Grid.plain((2, 2), (1, 1)), "labels")
    assert onto(labels, labels.grid.resized((1, 2))).array.tolist() == [[[5, 5]]]


def test_a_thick_axis_takes_the_nearest_slice():
    grid = Grid.plain((5, 12, 12), (5.0, 1.0, 1.0))
    image = noise(grid, channels=1)
    fine = onto(image, grid.with_spacing((2.5, 1.0, 1.0)))
    np.testing.assert_array_equal(fine.array, image.array.repeat(2, 1))
    labels = patches_of(grid)
    np.testing.assert_array_equal(onto(labels, fine.grid).array, labels.array.repeat(2, 1))
    assert np.unique(onto(image, grid.with_spacing((2.5, 0.7, 0.7))).array[0, :2], axis=0).shape[0] == 1


def test_two_equally_thick_axes_are_interpolated():
    grid = Grid.plain((12, 6, 6), (0.25, 1.25, 1.25))
    fine = onto(noise(grid, channels=1), grid.with_spacing((0.25, 0.5, 0.5)))
    assert not (fine.array[:, :, 0] == fine.array[:, :, 1]).all()


def test_flat_images_are_resampled_like_slices():
    image = noise(Grid.plain((20, 30), (1, 1)))
    solid = Image(image.array[:, None], Grid.plain((1, 20, 30), (1, 1, 1)))
    found = onto(image, image.grid.resized((33, 17))).array
    np.testing.assert_allclose(found, onto(solid, solid.grid.resized((1, 33, 17))).array[:, 0], atol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_turned_flat_images_agree_with_scipy(order):
    image = noise(Grid.plain((20, 30), (1.0, 0.8)), channels=1)
    turn = np.array([[0.9037, 0.3011, 2.2129], [-0.3531, 0.9513, 6.1177], [0, 0, 1]])
    grid = Grid.from_affine(turn, (15, 17))
    index = np.stack(np.meshgrid(np.arange(15), np.arange(17), indexing="ij"), -1)
    positions = np.moveaxis(image.grid.to_index(grid.to_world(index)), -1, 0)
    inside = ((positions > -0.5) & (positions < np.reshape((19.5, 29.5), (2, 1, 1)))).all(0)
    expected = ndimage.map_coordinates(image.array[0].astype(float), positions, order=order, mode="nearest")
    assert inside.mean() > 0.8
    np.testing.assert_allclose(onto(image, grid, order).array[0][inside], expected[inside], atol=1e-3)
    labels = patches_of(image.grid)
    assert set(np.unique(onto(labels, grid).array)) <= set(range(5))


@pytest.mark.parametrize("shape", [(12, 20), (7, 11), (23, 60), (1, 1)])
def test_averaged_pixels_are_the_mean_of_the_area_that_becomes_one(shape):
    grid = Grid.plain((24, 60))
    image = noise(grid)
    fine = image.array.repeat(shape[0], 1).repeat(shape[1], 2)
    expected = fine.reshape(2, shape[0], 24, shape[1], 60).mean((2, 4))
    for order in (0, 1, 3):
        found = onto(image, grid.resized(shape), order, averaged=True)
        np.testing.assert_allclose(found.array, expected, atol=1e-5)
    assert np.abs(onto(image, grid.resized(shape)).array - expected).max() > 0.3


def test_averaging_leaves_labels_and_whole_pixels_as_they_are():
    grid = Grid.plain((24, 60))
    for image, there in (
        (patches_of(grid), grid.resized((9, 20))),
        (noise(grid), grid.flipped(0).cropped((3, 4), (9, 9))),
    ):
        np.testing.assert_array_equal(onto(image, there, averaged=True).array, onto(image, there).array)


def test_a_single_slice_has_no_neighbours():
    image = noise(Grid.plain((1, 6, 6), (5, 1, 1)))
    assert onto(image, image.grid.with_spacing((1, 1, 1))).array.shape == (2, 5, 6, 6)
    np.testing.assert_array_equal(onto(image, image.grid.with_spacing((1, 1, 1))).array[:, 3], image.array[:, 0])


def test_a_slice_cannot_become_a_volume():
    with pytest.raises(DataError, match="2 dimensions"):
        onto(noise(Grid.plain((4, 4))), Grid.plain((4, 4, 4)))


def test_orders_that_do_not_exist_are_refused():
    with pytest.raises(DataError, match="order"):
        onto(noise(Grid.plain((4, 4))), Grid.plain((4, 4)), order=2)


def motion(grid, matrix, shift):
    """Displacements that are linear in the place in the body: u(x) = A x + b, in millimetres."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    return Image(np.moveaxis(world @ np.asarray(matrix).T + shift, -1, 0).astype(np.float32), grid, "field")


STRETCH = np.array([[0.10, 0.02, -0.03], [0.01, -0.05, 0.04], [-0.02, 0.03, 0.07]])
SHIFT = np.array([2.0, -1.0, 0.5])


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL"])
def test_a_vector_of_a_field_is_the_same_at_the_same_place_of_the_body_however_axes_lie(codes):
    field = motion(turned_grid((4, 5, 6)), STRETCH, SHIFT)
    turned = onto(field, field.grid.oriented(codes))
    place = field.grid.to_world([1, 2, 3])
    index = tuple(np.round(turned.grid.to_index(place)).astype(int))
    assert turned.kind == "field"
    assert turned.array[:, *index].tolist() == field.array[:, 1, 2, 3].tolist()
    assert (onto(turned, field.grid).array == field.array).all()


@pytest.mark.parametrize("degrees", [(0, 0, 0), (12, -20, 31)])
def test_a_linear_field_is_read_exactly_between_its_voxels(degrees):
    field = motion(turned_grid((8, 9, 10), degrees=(0, 0, 0)), STRETCH, SHIFT)
    middle = field.grid.to_world([3, 3, 3])
    inner = turned_grid((4, 3, 4), spacing=(0.7, 0.9, 0.5), degrees=degrees, origin=middle)
    np.testing.assert_allclose(onto(field, inner).array, motion(inner, STRETCH, SHIFT).array, atol=2e-5)


def test_a_field_is_read_linearly_along_a_thick_axis_too():
    field = motion(Grid.plain((8, 8, 4), (1, 1, 5)), STRETCH, SHIFT)
    finer = Grid.plain((8, 8, 4), (1, 1, 2.5))
    np.testing.assert_allclose(onto(field, finer).array, motion(finer, STRETCH, SHIFT).array, atol=2e-5)


def test_a_flat_field_has_two_components_and_keeps_them_when_flipped():
    grid = Grid.plain((5, 6), (0.5, 0.5))
    field = motion(grid, STRETCH[:2, :2], SHIFT[:2])
    assert (onto(field, grid.flipped(0)).array == field.array[:, ::-1]).all()


def test_a_field_is_float32_and_filled_outside_its_grid():
    grid = Grid.plain((3, 3), (1, 1))
    whole = onto(Image(np.full((2, 3, 3), 7, np.int16), grid, "field"), grid.padded((1, 0), (0, 0)), fill=-1)
    assert whole.array.dtype == np.float32
    assert (whole.array[:, 0] == -1).all() and (whole.array[:, 1:] == 7).all()


def test_a_prepared_field_is_cropped_turned_and_resampled_with_its_vectors_unchanged():
    grid = Grid.plain((8, 9, 10), (1, 1, 1)).oriented("LPS")
    inside = np.zeros((1, *grid.shape), np.float32)
    inside[:, 2:7, 2:7, 2:8] = 1
    case = Case("a", Image(inside, grid), motion(grid, STRETCH, SHIFT))
    settings = PreparationSettings(
        orientation="RAS", crop="content", spacing_mm=(0.5, 0.5, 0.5), intensity=(IntensitySettings(scheme="none"),)
    )
    truth = prepare(case, settings).truth
    expected = motion(truth.grid, STRETCH, SHIFT).array
    core = (slice(None), *(slice(1, -1),) * 3)  # beyond the outermost voxel centres the edge repeats
    np.testing.assert_allclose(truth.array[core], expected[core], atol=2e-5)
