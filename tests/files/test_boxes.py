"""Images on disk: boxes are what the whole image holds there, and answers written in parts are the same files."""

import sys

import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from hyoid.core.boxes import walk
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError, DataError, HyoidError
from hyoid.core.grid import Grid
from hyoid.datasets.cases import open_case, read_case
from hyoid.datasets.dataset import Entry
from hyoid.files.canvas import Canvas
from hyoid.files.formats import open_image, read_header, read_image, suffix_for_labels, write_boxes, write_image

RNG = np.random.default_rng(0)


def tiff(name, array, photometric="minisblack", **options):
    return lambda folder: tifffile.imwrite(folder / name, array, photometric=photometric, **options) or folder / name


def colours(*shape):
    return RNG.integers(0, 255, shape, np.uint8)


def deep(*shape):
    return RNG.integers(0, 9999, shape, np.uint16)


def nifti(name, array, **header):
    def write(folder):
        image = nibabel.Nifti1Image(array, np.diag([-1.5, 2, 0.5, 1]))
        if header:
            image.header.set_slope_inter(**header)
        nibabel.save(image, folder / name)
        return folder / name

    return write


def npy(name, array):
    return lambda folder: np.save(folder / name, array) or folder / name


def chunked(name, array, axes, version, separator="/", **image):
    def write(folder):
        described = {
            "axes": [{"name": a, "type": "space", "unit": "micrometer"} for a in axes],
            "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [2.0] * len(axes)}]}],
            **image,
        }
        facts = {"multiscales": [described]}
        group = zarr.create_group(
            folder / name, zarr_format=version, attributes={"ome": facts} if version == 3 else facts
        )
        encoding = {"name": "default" if version == 3 else "v2", "separator": separator}
        chunks = tuple(min(n, 20) for n in array.shape)
        group.create_array("s0", data=array, chunks=chunks, chunk_key_encoding=encoding)
        return folder / name

    return write


FILES = {
    "tiles of colours": tiff("a.tif", colours(70, 90, 3), tile=(32, 48), compression="zlib", photometric="rgb"),
    "transparent": tiff("a.tif", colours(70, 90, 4), tile=(32, 48), photometric="rgb", extrasamples=["unassalpha"]),
    "colour planes": tiff("a.tif", colours(3, 70, 90), tile=(32, 48), photometric="rgb", planarconfig="separate"),
    "BigTIFF, big-endian": tiff("a.tif", deep(70, 90), tile=(32, 32), bigtiff=True, byteorder=">", compression="lzw"),
    "JPEG": tiff("a.tif", colours(70, 90, 3), tile=(32, 32), compression="jpeg", photometric="rgb"),
    "strips": tiff("a.tif", deep(70, 90), rowsperstrip=9, compression="zlib", predictor=True),
    "one lump": tiff("a.tif", deep(70, 90)),
    "lumps of colours": tiff("a.tif", colours(70, 90, 3), photometric="rgb"),
    "OME, planes and channels": tiff("a.ome.tif", deep(4, 2, 50, 60), tile=(32, 32), metadata={"axes": "ZCYX"}),
    "OME, channels first": tiff("a.ome.tif", deep(2, 4, 50, 60), metadata={"axes": "CZYX"}),
    "pages": tiff("a.tif", deep(5, 50, 60), compression="zlib"),
    "fractions": tiff("a.tif", RNG.random((50, 60)), tile=(32, 32)),
    "NIfTI": nifti("a.nii", RNG.integers(-900, 900, (20, 30, 14), np.int16)),
    "scaled NIfTI": nifti("a.nii", RNG.integers(-900, 900, (20, 30, 14), np.int16), slope=2.5, inter=-7),
    "NIfTI of channels": nifti("a.nii", RNG.random((20, 30, 14, 2)).astype(np.float64)),
    "array": npy("a.npy", deep(12, 30, 40)),
    "array of channels": npy("a.npy", deep(2, 12, 30, 40)),
    "array of colours": npy("a.npy", colours(40, 50, 3)),
    "zarr 2": chunked("a.ome.zarr", deep(1, 2, 30, 41, 25), "tczyx", 2),
    "zarr 2, flat names": chunked("a.zarr", deep(1, 3, 1, 41, 25), "tczyx", 2, "."),
    "zarr 3": chunked("a.zarr", deep(30, 41, 25), "zyx", 3),
    "zarr 3 of fractions": chunked("a.zarr", RNG.random((41, 25)), "yx", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_boxes_are_those_of_the_whole_image(name, tmp_path):
    path = FILES[name](tmp_path)
    whole, boxes, header = read_image(path), open_image(path), read_header(path)
    assert boxes.shape == whole.array.shape == (header.channels, *header.shape)
    assert boxes.dtype == whole.array.dtype
    for _ in range(20):
        low = [RNG.integers(0, n) for n in boxes.shape]
        box = tuple(slice(int(a), int(RNG.integers(a + 1, n + 1))) for a, n in zip(low, boxes.shape, strict=True))
        np.testing.assert_array_equal(boxes[box], whole.array[box])
    assert boxes[(slice(None), *(slice(0, 0),) * (len(boxes.shape) - 1))].size == 0


@pytest.mark.parametrize("name", FILES)
def test_a_walk_meets_every_voxel_of_a_box_once(name, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.core.boxes.WALKED", 3000)
    boxes = open_image(FILES[name](tmp_path))
    met = np.zeros(boxes.shape, int)
    within = [slice(0, boxes.shape[0]), *(slice(3 * (n > 5), n - (n > 5)) for n in boxes.shape[1:])]
    for box in walk(boxes, within):
        met[box] += 1
        assert boxes[box].shape == met[box].shape
    assert (met[tuple(within)] == 1).all() and met.sum() == met[tuple(within)].size


def test_a_pyramid_is_read_at_full_resolution(tmp_path):
    image = colours(128, 160, 3)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        options = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib"}
        file.write(image, subifds=1, metadata={"axes": "YXS"}, **options)
        file.write(image[::2, ::2], subfiletype=1, **options)
    boxes = open_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(boxes[(slice(None),) * 3], np.moveaxis(image, -1, 0))


@pytest.mark.parametrize("name", ["zarr 2", "zarr 3", "zarr 2, flat names"])
def test_zarr_tells_its_grid(name, tmp_path):
    grid = read_header(FILES[name](tmp_path)).grid
    assert grid.calibrated and grid.spacing_mm == (0.002,) * grid.dims and grid.dims == (2 if "flat" in name else 3)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (chunked("a.zarr", deep(3, 1, 2, 20, 20), "tczyx", 2), "3 points in time"),
        (chunked("a.zarr", deep(3, 20, 20), "qyx", 3), "expected axes among"),
        (chunked("a.zarr", deep(20, 20), "yx", 3, datasets=[]), "describes none"),
    ],
)
def test_other_zarr_is_refused_by_name(file, words, tmp_path):
    with pytest.raises(DataError, match=words):
        open_image(file(tmp_path))


def test_an_empty_folder_is_no_zarr(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(DataError, match=r"a\.zarr: expected an OME-Zarr image"):
        read_image(tmp_path / "a.zarr")


def test_without_zarr_the_command_to_install_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ConfigError, match=r"pip install 'zarr>=3'"):
        read_image(tmp_path / "a.zarr")


def test_a_damaged_tile_is_named(tmp_path):
    path = FILES["tiles of colours"](tmp_path)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif: the file is damaged"):
        open_image(path)[(slice(None),) * 3]


def test_one_large_strip_is_as_good_as_whole(tmp_path, monkeypatch):
    path = FILES["pages"](tmp_path)
    monkeypatch.setattr("hyoid.files.formats.LARGEST_BLOCK", 5000)
    assert open_image(path) is None


@pytest.mark.parametrize("name", ["a.nii.gz", "a.png"])
def test_files_that_must_be_read_whole_are_not_opened(name, tmp_path):
    grid = Grid.plain((8, 9, 10) if "nii" in name else (8, 9))
    write_image(tmp_path / name, Image(np.zeros((1, *grid.shape), np.uint8), grid))
    assert open_image(tmp_path / name) is None


def test_channels_come_from_several_files_or_are_repeated(tmp_path):
    for k in range(2):
        FILES["NIfTI"](tmp_path).rename(tmp_path / f"a_{k:04d}.nii")
    entry = Entry("a", (tmp_path / "a_0000.nii", tmp_path / "a_0001.nii"))
    box = (slice(None), slice(2, 5), slice(1, 9), slice(0, 3))
    np.testing.assert_array_equal(open_case(entry, 2).image.array[box], read_case(entry, 2).image.array[box])
    grey = Entry("b", (FILES["strips"](tmp_path),))
    box = (slice(1, 3), slice(4, 50), slice(9, 20))
    np.testing.assert_array_equal(open_case(grey, 3).image.array[box], read_case(grey, 3).image.array[box])
    assert open_case(grey, 2) is None


@pytest.mark.parametrize("name", ["tiles of colours", "strips", "pages", "NIfTI", "array", "zarr 2", "zarr 3"])
def test_labels_written_in_parts_are_those_written_whole(name, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.files.canvas.MAPPED_BYTES", 5000)
    source = FILES[name](tmp_path)
    grid = read_header(source).grid
    labels = RNG.integers(0, 5, grid.shape).astype(np.uint8)
    with Canvas(tmp_path / "scratch", grid.shape, np.uint8) as canvas:
        half = grid.shape[1] // 2
        for columns in (slice(0, half), slice(half, grid.shape[1])):
            place = (slice(None), columns, *(slice(None),) * (grid.dims - 2))
            canvas[place] = labels[place]
        assert not list((tmp_path / "scratch").iterdir()), "the canvas has no name"
        answer = tmp_path / f"answer{suffix_for_labels(source)}"
        write_boxes(answer, canvas, grid, like=source)
    found = read_image(answer, "labels")
    np.testing.assert_array_equal(found.array[0], labels)
    assert found.grid == grid
    write_image(tmp_path / f"whole{suffix_for_labels(source)}", Image(labels[None], grid, "labels"), like=source)
    assert read_header(tmp_path / f"whole{suffix_for_labels(source)}").grid == grid


def test_zarr_labels_keep_version_and_place_of_their_source(tmp_path):
    steps = [
        {"type": "scale", "scale": [1, 1, 0.5, 0.25, 0.25]},
        {"type": "translation", "translation": [0, 0, 7, 8, 9]},
    ]
    dataset = {"path": "s0", "coordinateTransformations": steps}
    source = chunked("a.zarr", deep(1, 2, 30, 41, 25), "tczyx", 2, datasets=[dataset])(tmp_path)
    write_boxes(tmp_path / "b.zarr", np.zeros((30, 41, 25), np.uint8), read_header(source).grid, like=source)
    group = zarr.open(tmp_path / "b.zarr", mode="r")
    image = group.attrs["multiscales"][0]
    assert group.metadata.zarr_format == 2 and image["version"] == "0.4"
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"] and image["axes"][0]["unit"] == "micrometer"
    assert image["datasets"][0]["coordinateTransformations"] == [
        {"type": "scale", "scale": [0.5, 0.25, 0.25]},
        {"type": "translation", "translation": [7.0, 8.0, 9.0]},
    ]


def test_tiff_labels_are_tiled_compressed_and_keep_resolution(tmp_path):
    source = tmp_path / "a.tif"
    tifffile.imwrite(
        source, colours(600, 700, 3), photometric="rgb", resolution=(4000, 2000), resolutionunit="CENTIMETER"
    )
    with Canvas(tmp_path, (600, 700), np.uint8) as canvas:
        canvas[:, :] = np.ones((600, 700), np.uint8)
        write_boxes(tmp_path / "b.tif", canvas, read_header(source).grid, like=source)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0]
        assert page.is_tiled and page.compression.name == "ADOBE_DEFLATE"
        assert page.tags["XResolution"].value == (4000, 1) and page.tags["YResolution"].value == (2000, 1)
        assert page.tags["ResolutionUnit"].value == 3


def test_a_full_disk_is_told_before_work_begins(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(HyoidError, match="there is no room"):
        Canvas(tmp_path, (10, 10), np.uint8)
