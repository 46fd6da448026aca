"""NIfTI in its rarer forms, read as nibabel reads them."""

import nibabel
import numpy as np
import pytest

from hyoid.core.errors import DataError
from hyoid.files.formats import read_header, read_image

RNG = np.random.default_rng(2)
AFFINE = np.array([[0, 0, 2.5, -20.0], [-0.8, 0, 0, 7.0], [0, 1.25, 0, 33.5], [0, 0, 0, 1]])


def agrees(path, theirs=None):
    theirs = nibabel.load(path) if theirs is None else theirs
    image = read_image(path)
    np.testing.assert_allclose(image.grid.affine, theirs.affine, atol=1e-5)
    np.testing.assert_allclose(image.array[0], np.asarray(theirs.dataobj), rtol=1e-6)
    assert read_header(path).grid == image.grid
    return image


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_byte_orders_and_types(tmp_path, order, dtype):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    array = RNG.integers(0, 100, (4, 5, 6)).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE, header), tmp_path / "a.nii")
    image = agrees(tmp_path / "a.nii")
    assert image.array.dtype == (np.float32 if np.dtype(dtype).kind == "f" else dtype)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_pairs_of_header_and_voxels(tmp_path, ending):
    pair = nibabel.Nifti1Pair(RNG.integers(0, 100, (4, 5, 6)).astype(np.int16), AFFINE)
    nibabel.save(pair, tmp_path / f"a.img{ending}")
    for name in (f"a.img{ending}", f"a.hdr{ending}"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array[0], np.asarray(pair.dataobj))
        np.testing.assert_allclose(read_header(tmp_path / name).grid.affine, AFFINE, atol=1e-6)
    (tmp_path / f"a.img{ending}").unlink()
    with pytest.raises(DataError, match=r"its partner a\.img"):
        read_image(tmp_path / f"a.hdr{ending}")


def test_scaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(RNG.random((4, 5, 6)).astype(np.float32) * 50, AFFINE)
    image.set_data_dtype(np.int16)  # nibabel then stores slope and intercept
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert agrees(tmp_path / "a.nii.gz").array.dtype == np.float32
    assert read_header(tmp_path / "a.nii.gz").dtype == "float32"


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001), ("mm", 1.0), ("unknown", 1.0)])
def test_lengths_become_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), AFFINE)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    np.testing.assert_allclose(header.grid.spacing_mm, np.array([0.8, 1.25, 2.5]) * factor, rtol=1e-5)
    assert any("millimetres" in note for note in header.notes) == (unit != "mm")


@pytest.mark.parametrize(
    ("unit", "step", "depth"), [("unknown", 1, 1), ("unknown", 1, 2), ("unknown", 2, 1), ("mm", 1, 1)]
)
def test_a_slice_without_unit_and_size_knows_no_size(tmp_path, unit, step, depth):
    image = nibabel.Nifti1Image(np.zeros((4, 5, depth), np.uint8), np.diag([step, step, step, 1]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    assert header.unit_mm == (1.0 if unit == "mm" else None)
    assert header.grid.calibrated == ((unit, step, depth) != ("unknown", 1, 1))
    assert any("in voxels" in note for note in header.notes) != header.grid.calibrated


def test_without_codes_left_runs_to_right_as_nibabel_has_it(tmp_path):
    image = nibabel.Nifti1Image(RNG.integers(0, 9, (4, 5, 6)).astype(np.uint8), None)
    image.header.set_zooms((2.0, 3.0, 4.0))
    nibabel.save(nibabel.Nifti1Image(image.dataobj, None, image.header), tmp_path / "a.nii")
    assert agrees(tmp_path / "a.nii").grid.orientation == "LAS"
    assert any("no orientation" in note for note in read_header(tmp_path / "a.nii").notes)


def test_qform_alone(tmp_path):
    image = nibabel.Nifti1Image(RNG.integers(0, 9, (4, 5, 6)).astype(np.uint8), AFFINE)
    image.set_qform(AFFINE, 1)
    image.header["sform_code"] = 0
    nibabel.save(image, tmp_path / "a.nii")
    agrees(tmp_path / "a.nii")


def test_disagreeing_forms_are_told(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), AFFINE)
    image.set_qform(np.diag([1.0, 1.0, 1.0, 1.0]), 1)
    image.set_sform(AFFINE, 2)
    nibabel.save(image, tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    assert any("sform and qform differ" in note for note in header.notes)
    np.testing.assert_allclose(header.grid.affine, AFFINE, atol=1e-6)


def test_colours_are_three_channels(tmp_path):
    colours = RNG.integers(0, 255, (4, 5, 6, 3)).astype(np.uint8)
    voxels = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.array, colours.transpose(3, 0, 1, 2))
    assert read_header(tmp_path / "a.nii.gz").channels == 3


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 6, 1, 3), (4, 5, 6, 1), (4, 5), (4, 5, 1, 2)])
def test_the_last_axis_is_channels(tmp_path, shape):
    array = RNG.integers(0, 99, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    space, channels = (*shape[:3], 1)[:3], shape[-1] if len(shape) > 3 else 1
    assert image.array.shape == (channels, *space)
    np.testing.assert_array_equal(image.array[-1], array.reshape(*space, channels)[..., -1])


def test_time_and_vectors_together_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2, 3), np.int16), AFFINE), tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"one of channels; got shape \(4, 5, 6, 2, 3\)"):
        read_image(tmp_path / "a.nii")


def test_several_gzip_members_are_one_file(tmp_path):
    import gzip

    content = nibabel.Nifti1Image(RNG.integers(0, 99, (4, 5, 6)).astype(np.int16), AFFINE).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    agrees(tmp_path / "a.nii.gz")


def with_header(path, affine, fields):
    """A volume of zeros whose two forms are this affine, but for these fields."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 6))
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    for name, value in fields.items():
        target, key = {"qfac": ("pixdim", 0), "sizes": ("pixdim", slice(1, 4))}.get(name, (name, ...))
        header[target][key] = value
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(bytes(header.binaryblock) + bytes(4 + 4 * 120))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"qfac": 0}, ""),
        ({"qfac": np.nan}, ""),
        ({"sizes": (-0.8, 1.25, 2.5)}, ""),
        ({"quatern_b": 0.6, "quatern_c": 0.8, "quatern_d": 1e-3}, "sform and qform differ"),
        ({"quatern_b": 3.0}, "The qform is damaged"),
        ({"quatern_c": np.nan}, "The qform is damaged"),
        ({"qoffset_x": np.inf}, "The qform is damaged"),
        ({"srow_x": 0, "srow_y": 0, "srow_z": 0}, "The sform is damaged"),
        ({"srow_y": np.nan}, "The sform is damaged"),
        ({"sform_code": 0, "qfac": 0}, "pixdim[0] is neither 1 nor -1"),
    ],
)
def test_one_sound_form_suffices(tmp_path, fields, words):
    affine = AFFINE if np.linalg.det(AFFINE) > 0 else AFFINE @ np.diag([-1, 1, 1, 1])
    with_header(tmp_path / "a.nii", affine, fields)
    found = read_header(tmp_path / "a.nii")
    np.testing.assert_allclose(found.grid.affine, affine, atol=1e-5)
    assert words in " ".join(found.notes) and found.placed


@pytest.mark.parametrize(("excess", "fine"), [(1e-6, True), (1e-2, False)])
def test_a_quaternion_alone_may_be_longer_than_1_by_rounding(tmp_path, excess, fine):
    with_header(tmp_path / "a.nii", np.diag([-1, -1, 1, 1]), {"sform_code": 0, "quatern_d": np.sqrt(1 + excess)})
    if fine:
        np.testing.assert_allclose(read_header(tmp_path / "a.nii").grid.affine, np.diag([-1, -1, 1, 1]), atol=1e-6)
    else:
        with pytest.raises(DataError, match=r"a\.nii: The quaternion of the qform is no rotation"):
            read_header(tmp_path / "a.nii")
