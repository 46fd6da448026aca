"""TIFF as microscopes and their programs write it."""

import numpy as np
import pytest
import tifffile

from hyoid.core.errors import DataError
from hyoid.datasets.dataset import open_dataset
from hyoid.files.formats import read_header, read_image

RNG = np.random.default_rng(4)


def write(path, shape, **options):
    array = RNG.integers(0, 250, shape).astype(options.pop("dtype", np.uint8))
    tifffile.imwrite(path, array, **options)
    return array


def test_imagej_stack_with_channels_and_voxel_size(tmp_path):
    metadata = {"axes": "ZCYX", "unit": "micron", "spacing": 2.0}
    array = write(
        tmp_path / "a.tif", (5, 2, 30, 40), imagej=True, metadata=metadata, resolution=(4, 2), dtype=np.uint16
    )
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.array, array.swapaxes(0, 1))
    np.testing.assert_allclose(image.grid.spacing_mm, (0.002, 0.0005, 0.00025))


def test_print_resolution_is_no_pixel_size(tmp_path):
    write(tmp_path / "a.tif", (30, 40), resolution=(300, 300), resolutionunit="INCH")
    assert not read_header(tmp_path / "a.tif").grid.calibrated


def test_pages_are_planes(tmp_path):
    array = write(tmp_path / "a.tif", (5, 30, 40), photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.array[0], array)
    assert any("5 pages are taken as the planes" in note for note in read_header(tmp_path / "a.tif").notes)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_in_either_order(tmp_path, planar):
    shape = (30, 40, 3) if planar == "contig" else (3, 30, 40)
    array = write(tmp_path / "a.tif", shape, photometric="rgb", planarconfig=planar)
    expected = np.moveaxis(array, -1, 0) if planar == "contig" else array
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, expected)


def test_transparency_is_left_out_and_told(tmp_path):
    write(tmp_path / "a.tif", (30, 40, 4), photometric="rgb", extrasamples=["unassalpha"])
    assert read_image(tmp_path / "a.tif").channels == 3
    assert any("transparency" in note for note in read_header(tmp_path / "a.tif").notes)


def test_palettes_are_colours_for_images_and_indices_for_labels(tmp_path):
    colormap = np.zeros((3, 256), np.uint16)
    colormap[0, 7] = 65535
    indices = np.full((30, 40), 7, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colormap)
    assert (read_image(tmp_path / "a.tif").array == np.array([255, 0, 0])[:, None, None]).all()
    assert (read_image(tmp_path / "a.tif", "labels").array == 7).all()


def test_white_as_zero_is_inverted(tmp_path):
    array = write(tmp_path / "a.tif", (30, 40), photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array[0], 255 - array)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
@pytest.mark.parametrize("tiled", [{}, {"tile": (16, 16), "compression": "zlib"}])
def test_labels_are_as_stored_even_with_white_as_zero(tmp_path, dtype, tiled):
    mask = np.zeros((30, 40), dtype)
    mask[5:9, 6:20] = 1
    tifffile.imwrite(tmp_path / "a.tif", mask, photometric="miniswhite", **tiled)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", "labels").array[0], mask)
    assert "an annotation are taken as stored" in read_header(tmp_path / "a.tif").notes[0]


def test_boolean_masks_of_tifffile_make_a_data_set(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    write(tmp_path / "images" / "a.tif", (30, 40))
    mask = np.zeros((30, 40), bool)
    mask[5:9, 6:20] = True
    tifffile.imwrite(tmp_path / "labels" / "a.tif", mask)
    dataset = open_dataset(tmp_path)
    assert dataset.seen["a"].counts == {0: 1144, 1: 56}
    np.testing.assert_array_equal(dataset.read("a").truth.array[0], mask)


def test_points_in_time_are_refused(tmp_path):
    write(tmp_path / "a.tif", (4, 30, 40), imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(DataError, match="4 points in time"):
        read_image(tmp_path / "a.tif")


def test_ome_sizes_in_any_unit(tmp_path):
    for unit, size in (("nm", 500.0), ("µm", 0.5), ("\u03bcm", 0.5), ("mm", 0.0005), ("Å", 5000), ("cubit", 1)):
        metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
        metadata |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
        write(tmp_path / "a.ome.tif", (30, 40), metadata=metadata)
        header = read_header(tmp_path / "a.ome.tif")
        assert header.grid.calibrated == (unit != "cubit") == (not any("'cubit'" in note for note in header.notes))
        np.testing.assert_allclose(header.grid.spacing_mm, (0.0005,) * 2 if header.grid.calibrated else (1, 1))


def test_missing_files_of_an_ome_series_are_named(tmp_path, real_data):
    source = real_data / "formats" / "tiff" / "ome_multifile_master"
    for name in ("multifile-Z1.ome.tiff", "multifile-Z2.ome.tiff", "multifile-Z4.ome.tiff"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    with pytest.raises(DataError, match="other files that are missing"):
        read_image(tmp_path / "multifile-Z1.ome.tiff")


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "jpeg"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_compressions(tmp_path, compression, tile):
    array = write(tmp_path / "a.tif", (64, 48), compression=compression, tile=tile)
    image = read_image(tmp_path / "a.tif")
    assert image.array.shape == (1, 64, 48)
    assert compression == "jpeg" or np.array_equal(image.array[0], array)


def test_an_unknown_compression_is_said(tmp_path):
    write(tmp_path / "a.tif", (8, 9), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        place = tiff.pages[0].tags["Compression"].valueoffset
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[place : place + 2] = (60123).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match=r"compression \(.*60123\) is not supported; save it"):
        read_image(tmp_path / "a.tif")


def test_a_tag_that_asks_for_a_turned_view_is_told(tmp_path):
    array = write(tmp_path / "a.tif", (30, 40), extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array[0], array)
    assert any("Orientation tag" in note for note in read_header(tmp_path / "a.tif").notes)
