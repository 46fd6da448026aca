"""Image and label on one grid: what is let pass, what is turned, what is refused."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets import agreement
from hyoid.datasets.agreement import _check_order, turn_between
from hyoid.datasets.dataset import open_dataset
from hyoid.files.formats import read_header, write_image
from hyoid.files.header import Header

AFFINE = np.array([[0.9, -0.2, 0.0, 5.0], [0.2, 1.1, 0.1, 6.0], [0.0, -0.1, 2.5, 7.0], [0, 0, 0, 1]])
GRID = Grid.from_affine(AFFINE, (4, 5, 6))
_C, _S = np.cos(np.radians(10)), np.sin(np.radians(10))
TEN_DEGREES = np.array([[1, 0, 0], [0, _C, -_S], [0, _S, _C]])
A, B = Path("image.nii.gz"), Path("label.nii.gz")


@pytest.fixture(autouse=True)
def files_without_doubt(monkeypatch):
    """A and B, which are not on disk, have headers that give one orientation."""
    sure = Header("NIfTI-1", GRID, 1, "int16")
    monkeypatch.setattr(agreement, "read_header", lambda path: sure if path in (A, B) else read_header(path))


@pytest.mark.parametrize("codes", ["".join(c) for p in permutations(["LR", "PA", "IS"]) for c in product(*p)])
def test_all_48_axis_orders_are_turned_to_fit(codes):
    mine = GRID.oriented(codes)
    places = np.stack(np.meshgrid(*map(np.arange, mine.shape), indexing="ij"), -1)
    array = np.moveaxis(mine.to_world(places), -1, 0)
    turn = turn_between("case", (A, GRID), (B, mine))
    places = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)
    np.testing.assert_allclose(turn(array), np.moveaxis(GRID.to_world(places), -1, 0), atol=1e-9)


def test_rounding_is_let_pass():
    near = replace(GRID, origin_mm=tuple(o + 0.02 for o in GRID.origin_mm))
    assert not turn_between("case", (A, GRID), (B, near)).changes


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(GRID, shape=(4, 5, 7)), "shapes 4x5x7 and 4x5x6"),
        (replace(GRID, spacing_mm=tuple(2 * s for s in GRID.spacing_mm)), "spacings"),
        (replace(GRID, origin_mm=(5.0, 6.0, 9.0)), "they start at 5x6x9 and 5x6x7 mm"),
        (Grid.from_affine(np.diag([0.922, 1.12, 2.5, 1]), (4, 5, 6)), "spacings|directions differ"),
        (
            replace(GRID, direction=tuple(map(tuple, TEN_DEGREES @ np.asarray(GRID.direction)))),
            r"directions differ \(by 10 degrees\)",
        ),
        (Grid.plain((4, 5)), "one is 2D"),
    ],
)
def test_other_places_are_refused_and_both_named(other, words):
    with pytest.raises(DataError, match=words) as error:
        turn_between("case_17", (A, GRID), (B, other))
    assert "case_17" in str(error.value) and A.name in str(error.value) and B.name in str(error.value)


def test_unknown_pixel_sizes_compare_shapes_alone():
    known, unknown = Grid.plain((4, 5), (0.5, 0.5)), Grid.plain((4, 5))
    assert not turn_between("case", (A, known), (B, unknown)).changes
    with pytest.raises(DataError, match="shapes"):
        turn_between("case", (A, known), (B, Grid.plain((5, 4))))


def data_set(root: Path, label_grid: Grid) -> None:
    array = np.arange(np.prod(GRID.shape), dtype=np.int16).reshape(1, *GRID.shape)
    write_image(root / "images" / "a.nii.gz", Image(array, GRID))
    labels = np.zeros((1, *label_grid.shape), np.uint8)
    labels[0, 0, 0, 0] = 1
    write_image(root / "labels" / "a.nii.gz", Image(labels, label_grid, "labels"))


def test_turned_labels_are_read_in_place_and_told(tmp_path):
    data_set(tmp_path, GRID.oriented("PSR"))
    dataset = open_dataset(tmp_path)
    labels = dataset.read("a").truth
    assert labels.grid.matches(GRID)
    place = labels.grid.to_world(np.argwhere(labels.array[0])[0])
    np.testing.assert_allclose(place, GRID.oriented("PSR").origin_mm, atol=1e-4)
    assert any("axes in another order" in note for note in dataset.notes)


def test_mismatched_labels_are_refused_when_opened(tmp_path):
    data_set(tmp_path, replace(GRID, origin_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(
        DataError, match=r"a: labels/a\.nii\.gz and images/a\.nii\.gz are not on one grid: they start at"
    ):
        open_dataset(tmp_path)


def test_small_differences_are_told(tmp_path):
    data_set(tmp_path, replace(GRID, origin_mm=tuple(o + 0.03 for o in GRID.origin_mm)))
    assert any("which is let pass" in note for note in open_dataset(tmp_path).notes)


BOX = (slice(2, 6), slice(1, 4), slice(5, 8))
PLAIN, AWAY = np.diag([1.0, 1.0, 2.0, 1.0]), np.diag([1.0, 1.0, 2.0, 1.0])
AWAY[:3, 3] = -80, -120, -60
TURNED = np.array([[-1, 0, 0, 15], [0, -1, 0, 15], [0, 0, 2.0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ((PLAIN, TURNED), (TURNED, None)),
        ((PLAIN, TURNED), (None, TURNED)),
        ((AWAY, TURNED), (TURNED, TURNED)),
        ((TURNED, None), (PLAIN, TURNED)),
        ((None, None), (TURNED, TURNED)),
        ((AWAY, AWAY), (None, None)),
    ],
)
def test_a_contradicted_or_missing_orientation_turns_nothing(tmp_path, image, label):
    voxels = np.zeros((16, 16, 12), np.uint8)
    voxels[BOX] = 1
    for folder, forms in (("images", image), ("labels", label)):
        one = nibabel.Nifti1Image(voxels, None)
        one.header["pixdim"][1:4] = 1, 1, 2
        one.header.set_sform(forms[0], None if forms[0] is None else 2)
        one.header.set_qform(forms[1], None if forms[1] is None else 1)
        (tmp_path / folder).mkdir()
        nibabel.save(one, tmp_path / folder / "a.nii")
    dataset = open_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.read("a").truth.array[0], voxels)
    assert any("taken as stored" in note for note in dataset.notes)


def test_labels_that_fit_no_form_are_not_turned_by_a_contradicted_one(tmp_path):
    one = nibabel.Nifti1Image(np.ones((16, 16, 12), np.uint8), None)
    one.header.set_sform(PLAIN, 2)
    one.header.set_qform(TURNED, 1)
    for folder, image in (
        ("images", one),
        ("labels", nibabel.Nifti1Image(one.dataobj, PLAIN @ np.diag([1, -1, 1, 1]))),
    ):
        (tmp_path / folder).mkdir()
        nibabel.save(image, tmp_path / folder / "a.nii")
    with pytest.raises(DataError, match="contradicted or not given, so nothing is turned"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("suffix", [".ome.tif", ".nrrd"])
def test_volumes_that_do_not_say_how_they_lie_take_labels_as_stored(tmp_path, suffix):
    array, grid = np.arange(120, dtype=np.uint8).reshape(4, 5, 6), Grid.plain((4, 5, 6), (1.0, 1.0, 2.0))
    path = tmp_path / "images" / f"a{suffix}"
    write_image(path, Image(array[None], grid))
    if suffix == ".nrrd":  # as programs without a notion of the body write it
        head = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 5 6\nspacings: 1 1 2\nencoding: raw\n\n"
        path.write_bytes(head + array.tobytes(order="F"))
    write_image(
        tmp_path / "labels" / "a.nii.gz",
        Image(
            (array > 60)[None].astype(np.uint8),
            replace(grid, direction=((1.0, 0, 0), (0, -1.0, 0), (0, 0, 1.0))),
            "labels",
        ),
    )
    np.testing.assert_array_equal(open_dataset(tmp_path).read("a").truth.array[0], array > 60)


COARSE = Grid.from_affine(np.diag([2.0, 2.0, 2.0, 1.0]), (6, 6, 8))
FINE = Grid.from_affine(np.array([[1.0, 0, 0, -0.5], [0, 1, 0, -0.5], [0, 0, 2, 0], [0, 0, 0, 1]]), (12, 12, 8))


def test_labels_and_channels_on_grids_of_their_own_are_resampled_and_told(tmp_path):
    for case in ("a", "b"):
        for channel, grid in enumerate((FINE, COARSE)):
            places = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
            write_image(tmp_path / f"imagesTr/{case}_{channel:04d}.nii.gz", Image(places[None, ..., 1] + 100, grid))
        labels = np.zeros((1, *COARSE.shape), np.uint8)
        labels[0, 2:4] = 1
        write_image(tmp_path / f"labelsTr/{case}.nii.gz", Image(labels, COARSE, "labels"))
    dataset = open_dataset(tmp_path)
    case = dataset.read("a")
    assert case.image.grid.matches(FINE) and case.truth.grid.matches(FINE)
    np.testing.assert_allclose(case.image.array[1, :, 2:-2], case.image.array[0, :, 2:-2], atol=0.1)
    assert case.truth.array[0, 4:8].all() and case.truth.array.sum() == 4 * 12 * 8
    for what in ("Channels", "Labels"):
        assert any(f"a and 1 more: {what} have a grid of their own (such as 2x2x2 mm" in n for n in dataset.notes)


@pytest.mark.parametrize(
    ("other", "kind", "fits"),
    [
        (replace(COARSE, shape=(6, 6, 5)), "intensities", True),  # 62 % of the image
        (replace(COARSE, shape=(6, 6, 5)), "labels", False),
        (replace(COARSE, shape=(6, 6, 3)), "intensities", False),
        (replace(FINE, shape=(*FINE.shape[:2], FINE.shape[2] - 1)), "labels", False),  # a slice is lacking
        (replace(FINE, spacing_mm=(1.0, 1.0, 3.0)), "intensities", True),
        (replace(FINE, spacing_mm=(1.0, 1.0, 3.0)), "labels", False),  # the shape of the image, and another size
        (replace(FINE, spacing_mm=(1.0, 1.0, 3.0)), None, False),
        (replace(COARSE, origin_mm=(50.0, 0.0, 0.0)), "intensities", False),
    ],
)
def test_only_files_that_cover_the_image_are_resampled(other, kind, fits):
    if fits:
        turn = turn_between("case", (A, FINE), (B, other), kind)
        assert turn.changes and turn(np.ones((1, *other.shape))).shape == (1, *FINE.shape)
        return
    with pytest.raises(DataError, match="not on one grid"):
        turn_between("case", (A, FINE), (B, other), kind)


@pytest.mark.parametrize(
    ("shape", "stack", "words"),
    [
        ((8, 9, 8), (8, 9, 8), "b.tif and a.nii may have their axes in opposite orders"),
        ((7, 9, 8), (8, 9, 7), "b.tif and a.nii have their axes in opposite orders"),
        ((7, 9, 8), (7, 9, 8), None),
    ],
)
def test_a_stack_of_pages_is_not_laid_over_a_volume_the_other_way_round(shape, stack, words):
    volume, pages = (Path("a.nii"), Grid.plain(shape, (1.0, 1.0, 1.0))), (Path("b.tif"), Grid.plain(stack))
    if words is None:
        _check_order("case", volume, pages)
        return
    with pytest.raises(DataError, match=words):
        turn_between("case", volume, pages)


@pytest.mark.parametrize(("spacing", "fits"), [((1.0, 2.0, 1.0), False), ((1.0, 1.0, 3.0), True)])
def test_a_known_voxel_size_tells_the_order_only_when_it_differs_between_the_axes(spacing, fits):
    grid = Grid.plain((8, 9, 8), spacing)
    if fits:
        _check_order("case", (Path("a.nii"), grid), (Path("b.tif"), grid))
        return
    with pytest.raises(DataError, match="may have their axes in opposite orders"):
        _check_order("case", (Path("a.nii"), grid), (Path("b.tif"), grid))
