"""What is written comes back: numbers, grid, and with `like` the header of the source."""

import hashlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.files.formats import formats, read_header, read_image, suffix_for_labels, suffix_of, write_image

RNG = np.random.default_rng(0)
OBLIQUE = np.array([[0.9, -0.3, 0.1, -20.0], [0.35, 1.1, 0.2, 7.0], [-0.1, -0.3, 2.9, 33.5], [0, 0, 0, 1]])
ORTHOGONAL = np.array([[0, 0, 2.5, -20.0], [-0.8, 0, 0, 7.0], [0, 1.25, 0, 33.5], [0, 0, 0, 1]])


def volume(dtype: str, channels: int = 1, affine: np.ndarray = ORTHOGONAL) -> Image:
    array = RNG.integers(0, 200, (channels, 5, 6, 7)).astype(dtype)
    return Image(array, Grid.from_affine(affine, (5, 6, 7)))


def flat(dtype: str, channels: int = 1, spacing: tuple[float, float] | None = None) -> Image:
    return Image(RNG.integers(0, 255, (channels, 40, 50)).astype(dtype), Grid.plain((40, 50), spacing))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_volumes_keep_numbers_and_place(tmp_path, suffix, channels, dtype):
    image = volume(dtype, channels)
    write_image(tmp_path / f"case{suffix}", image)
    back = read_image(tmp_path / f"case{suffix}")
    np.testing.assert_array_equal(back.array, image.array)
    assert back.array.dtype == dtype
    assert back.grid.matches(image.grid) and back.grid.calibrated
    assert [path.name for path in tmp_path.iterdir()] == [f"case{suffix}"]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_sheared_grids_survive(tmp_path, suffix):
    image = volume("int16", affine=OBLIQUE)
    write_image(tmp_path / f"case{suffix}", image)
    back = read_image(tmp_path / f"case{suffix}")
    assert back.grid.matches(image.grid)
    np.testing.assert_array_equal(back.array, image.array)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ome.tif", ".npy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_flat_images_keep_numbers(tmp_path, suffix, channels):
    image = flat("uint8", channels)
    write_image(tmp_path / f"case{suffix}", image)
    back = read_image(tmp_path / f"case{suffix}")
    np.testing.assert_array_equal(back.array, image.array)
    assert back.grid == image.grid
    assert read_header(tmp_path / f"case{suffix}").channels == channels


@pytest.mark.parametrize("suffix", [".tif", ".mha", ".nrrd"])
def test_flat_images_keep_their_pixel_size(tmp_path, suffix):
    image = flat("uint16", spacing=(0.25, 0.5))
    write_image(tmp_path / f"case{suffix}", image)
    back = read_image(tmp_path / f"case{suffix}")
    assert back.grid.calibrated and back.grid.matches(image.grid)
    assert back.grid.dims == 2
    np.testing.assert_array_equal(back.array, image.array)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize("channels", [1, 2])
def test_stacks_without_orientation_keep_numbers(tmp_path, suffix, channels):
    array = RNG.integers(-5, 900, (channels, 6, 30, 31)).astype(np.int16)
    image = Image(array, Grid.plain((6, 30, 31)))
    write_image(tmp_path / f"case{suffix}", image)
    back = read_image(tmp_path / f"case{suffix}")
    np.testing.assert_array_equal(back.array, array)
    assert back.grid == image.grid


def test_deep_grey_png_keeps_16_bits(tmp_path):
    image = flat("uint16").with_array(RNG.integers(0, 65536, (1, 40, 50)).astype(np.uint16))
    write_image(tmp_path / "case.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "case.png").array, image.array)


def test_deep_colour_png_keeps_16_bits(tmp_path):
    import imagecodecs

    colours = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    (tmp_path / "case.png").write_bytes(imagecodecs.png_encode(colours))
    back = read_image(tmp_path / "case.png")
    np.testing.assert_array_equal(back.array, colours.transpose(2, 0, 1))
    assert read_header(tmp_path / "case.png").dtype == "uint16"


def test_jpeg_is_near_what_was_written(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)[None]
    write_image(tmp_path / "case.jpg", Image(smooth, Grid.plain((64, 64))))
    back = read_image(tmp_path / "case.jpg").array.astype(int)
    assert np.abs(back - smooth).max() <= 3


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif", ".npy"])
def test_labels_take_the_smallest_type(tmp_path, suffix):
    grid = Grid.plain((3, 12, 13), (1.0, 2.0, 3.0)) if suffix != ".npy" else Grid.plain((3, 12, 13))
    for highest, dtype in ((255, "uint8"), (300, "uint16"), (70000, "uint32")):
        labels = np.zeros((1, 3, 12, 13), np.int64)
        labels[0, 1, 2, 3] = highest
        write_image(tmp_path / f"case{suffix}", Image(labels, grid, "labels"))
        back = read_image(tmp_path / f"case{suffix}", "labels")
        np.testing.assert_array_equal(back.array, labels)
        assert back.array.dtype == dtype and back.kind == "labels"


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif", ".npy"])
def test_probabilities_keep_fractions(tmp_path, suffix):
    array = RNG.random((4, 5, 16, 17)).astype(np.float32)
    image = Image(array, Grid.plain((5, 16, 17)), "probabilities")
    write_image(tmp_path / f"case{suffix}", image)
    np.testing.assert_array_equal(read_image(tmp_path / f"case{suffix}", "probabilities").array, array)


def test_itk_reads_nifti_where_we_read_mha(tmp_path):
    image = volume("int16")
    write_image(tmp_path / "a.nii.gz", image)
    write_image(tmp_path / "a.mha", image)
    one, two = (SimpleITK.ReadImage(str(tmp_path / name)) for name in ("a.nii.gz", "a.mha"))
    np.testing.assert_allclose(one.GetOrigin(), two.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(one.GetDirection(), two.GetDirection(), atol=1e-5)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(one), SimpleITK.GetArrayFromImage(two))


def test_nibabel_reads_what_we_write(tmp_path):
    image = volume("float32", affine=OBLIQUE)
    write_image(tmp_path / "a.nii.gz", image)
    back = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(back.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_array_equal(back.get_fdata(dtype=np.float32), image.array[0])
    assert back.header.get_xyzt_units()[0] == "mm"


def test_tifffile_reads_what_we_write(tmp_path):
    image = Image(RNG.integers(0, 9, (2, 3, 20, 21)).astype(np.uint8), Grid.plain((3, 20, 21), (0.002, 0.001, 0.0005)))
    write_image(tmp_path / "a.ome.tif", image)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.series[0].axes == "CZYX"
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (2, 1), (4, 3)])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_like_keeps_nifti_header(tmp_path, codes, kind, order):
    source = kind(RNG.integers(0, 99, (5, 6, 7)).astype(np.int16), None, kind.header_class(endianness=order))
    quaternion_affine = np.diag([-1.5, 2.0, 2.5, 1.0]) + np.array(
        [[0, 0, 0, 11.0], [0, 0, 0, -7], [0, 0, 0, 3], [0] * 4]
    )
    source.header.set_qform(quaternion_affine, codes[0])
    source.header.set_sform(OBLIQUE, codes[1])
    source.header.set_xyzt_units("mm", "sec")
    source.header["descrip"] = b"the scanner's words"
    nibabel.save(source, tmp_path / "source.nii.gz")
    image = read_image(tmp_path / "source.nii.gz")
    labels = Image((image.array > 50).astype(np.uint8), image.grid, "labels")
    write_image(tmp_path / "out.nii.gz", labels, like=tmp_path / "source.nii.gz")

    theirs, mine = (nibabel.load(tmp_path / name) for name in ("source.nii.gz", "out.nii.gz"))
    kept = ["qform_code", "sform_code", "pixdim", "srow_x", "srow_y", "srow_z", "xyzt_units", "descrip", "dim"]
    kept += ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
    for key in kept:
        assert np.array_equal(theirs.header[key], mine.header[key]), key
    assert np.array_equal(theirs.affine, mine.affine)
    assert type(mine) is kind
    np.testing.assert_array_equal(np.asarray(mine.dataobj), labels.array[0])


def test_like_of_a_4d_source_gives_a_3d_file_on_its_grid(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.float32), ORTHOGONAL), tmp_path / "s.nii.gz")
    image = read_image(tmp_path / "s.nii.gz")
    assert image.channels == 3
    labels = Image(np.ones((1, 4, 5, 6), np.uint8), image.grid, "labels")
    write_image(tmp_path / "out.nii.gz", labels, like=tmp_path / "s.nii.gz")
    back = nibabel.load(tmp_path / "out.nii.gz")
    assert back.shape == (4, 5, 6)
    assert np.array_equal(back.affine, nibabel.load(tmp_path / "s.nii.gz").affine)


def test_like_of_a_flat_nifti_stays_flat(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 9), np.uint8), ORTHOGONAL), tmp_path / "s.nii")
    image = read_image(tmp_path / "s.nii")
    assert image.grid.shape == (8, 9, 1)
    write_image(tmp_path / "out.nii", Image(image.array + 1, image.grid, "labels"), like=tmp_path / "s.nii")
    assert nibabel.load(tmp_path / "out.nii").shape == (8, 9)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_like_copies_itk_geometry_digit_for_digit(tmp_path, suffix):
    source = SimpleITK.GetImageFromArray(RNG.integers(0, 9, (7, 6, 5)).astype(np.int16))
    source.SetSpacing((0.1 + 0.2, 1 / 3, 2.7))
    source.SetOrigin((-1 / 7, 12.123456789, 3.0))
    SimpleITK.WriteImage(source, str(tmp_path / f"s{suffix}"))
    image = read_image(tmp_path / f"s{suffix}")
    write_image(
        tmp_path / f"o{suffix}", Image(image.array.astype(np.uint8), image.grid, "labels"), tmp_path / f"s{suffix}"
    )
    one, two = (SimpleITK.ReadImage(str(tmp_path / f"{name}{suffix}")) for name in "so")
    assert one.GetSpacing() == two.GetSpacing()
    assert one.GetOrigin() == two.GetOrigin()
    assert one.GetDirection() == two.GetDirection()


def test_like_on_another_grid_is_refused(tmp_path):
    write_image(tmp_path / "s.nii.gz", volume("uint8"))
    other = Image(np.ones((1, 5, 6, 7), np.uint8), Grid.plain((5, 6, 7), (1.0, 1.0, 1.0)), "labels")
    with pytest.raises(DataError, match=r"lies on .* but its source s\.nii\.gz on"):
        write_image(tmp_path / "o.nii.gz", other, like=tmp_path / "s.nii.gz")
    assert not (tmp_path / "o.nii.gz").exists()


def test_writing_twice_gives_equal_bytes(tmp_path):
    image = volume("int16")
    for suffix in (".nii.gz", ".mha", ".png", ".tif"):
        one = flat("uint8") if suffix == ".png" else image
        if suffix == ".tif":
            one = Image(image.array, Grid.plain((5, 6, 7)))
        digests = []
        for _ in range(2):
            write_image(tmp_path / f"a{suffix}", one)
            digests.append(hashlib.sha256((tmp_path / f"a{suffix}").read_bytes()).hexdigest())
        if suffix != ".tif":  # OME-XML carries a fresh identifier
            assert digests[0] == digests[1], suffix


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.jpg", ".png"),
        ("a.JPEG", ".png"),
        ("a.png", ".png"),
        ("a.nii.gz", ".nii.gz"),
        ("a.img", ".nii.gz"),
        ("a.mgz", ".nii.gz"),
        ("a.dcm", ".nii.gz"),
        ("a.nrrd", ".nrrd"),
        ("a.OME.TIF", ".ome.tif"),
    ],
)
def test_predictions_keep_a_suffix_that_holds_labels(name, suffix):
    assert suffix_for_labels(name) == suffix


def test_suffixes_are_the_longest_known():
    assert suffix_of("x.y.nii.gz") == ".nii.gz"
    assert suffix_of("x.ome.tiff") == ".ome.tiff"
    assert suffix_of("x.txt") == ""


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("a.jpg", Image(np.ones((1, 8, 8), np.uint8), Grid.plain((8, 8)), "labels"), "would spoil labels"),
        ("a.dcm", volume("int16"), "read but not written"),
        ("a.img", volume("int16"), "read but not written"),
        ("a.png", volume("int16"), "flat images"),
        ("a.png", Image(np.full((1, 8, 8), 0.5, np.float32), Grid.plain((8, 8))), "whole numbers"),
        ("a.png", Image(np.full((1, 8, 8), -1, np.int16), Grid.plain((8, 8))), "holds 0 to 65535; got -1 to -1"),
        ("a.bmp", Image(np.full((1, 8, 8), 256, np.int16), Grid.plain((8, 8))), "holds 0 to 255"),
        ("a.tif", Image(np.full((1, 8, 8), 256, np.int64), Grid.plain((8, 8))), "64-bit"),
        ("a.nii.gz", Image(np.full((1, 8, 8), -1, np.int16), Grid.plain((8, 8)), "labels"), "must not be negative"),
        ("a.docx", volume("int16"), "does not read .docx"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, image, words):
    with pytest.raises(DataError, match=words):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_reading_gives_arrays_of_its_own(tmp_path):
    for suffix, image in {".nii": volume("int16"), ".mha": volume("int16"), ".png": flat("uint8")}.items():
        write_image(tmp_path / f"a{suffix}", image)
        array = read_image(tmp_path / f"a{suffix}").array
        assert array.flags.writeable and array.flags.c_contiguous and type(array) is np.ndarray


def test_every_format_says_what_it_is():
    for name in formats:
        assert formats[name].summary
        assert all(suffix.startswith(".") and suffix.islower() for suffix in formats.build(name).suffixes)


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    write_image(tmp_path / "a.nii.gz", volume("int16"))
    before = (tmp_path / "a.nii.gz").read_bytes()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Exception, match="No space left on device"):
        write_image(tmp_path / "a.nii.gz", volume("float32"))
    assert (tmp_path / "a.nii.gz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
