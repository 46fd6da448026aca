"""Wrong inputs and the sentence each gives."""

import contextlib
import gzip
import re
import struct
import tracemalloc
import zlib

import nibabel
import numcodecs
import numpy as np
import pytest
import SimpleITK
import tifffile
import zarr

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import find_images, open_dataset, read_case
from hyoid.datasets.inspect import inspect_path
from hyoid.datasets.tables import labels_from_yaml
from hyoid.files import nifti
from hyoid.files.formats import read_header, read_image, write_image
from soak import seeds

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def good(tmp_path, name="good.nii.gz"):
    array = np.random.default_rng(0).integers(0, 1000, (12, 12, 12)).astype(np.int16)
    write_image(tmp_path / name, Image(array[None], Grid.from_affine(AFFINE, array.shape)))
    return (tmp_path / name).read_bytes()


def refuses(path, *words):
    with pytest.raises(DataError) as error:
        read_image(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.png", "a.jpg", "a.bmp", "a.tif", "a.npy", "a.dcm"])
def test_empty_missing_text_and_pointer_files(tmp_path, name):
    path = tmp_path / name
    refuses(path, "there is no such file")
    path.write_bytes(b"")
    refuses(path, "empty (0 bytes)")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 12\n")
    refuses(path, "git lfs pull")
    path.write_bytes(b"Dear reviewer, this is no image at all, " * 20)
    refuses(path, *(["text"] if name != "a.dcm" else []))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize(
    ("offset", "words"), [(2e9, "begin after 2,000,000,000 bytes"), (np.nan, "header is damaged"), (1e8, None)]
)
def test_bytes_between_header_and_voxels_cost_no_memory(tmp_path, name, offset, words):
    head = bytearray(gzip.decompress(good(tmp_path)))
    struct.pack_into("<f", head, 108, offset)
    path = tmp_path / name
    with gzip.open(path, "wb", 1) if name.endswith("gz") else path.open("wb") as file:
        file.write(head[:352])
        for _ in range(101 if offset == 1e8 else 1):
            file.write(bytes(10**6))
    if words:
        refuses(path, words)
        with pytest.raises(DataError, match=words):
            read_header(path)
        return
    tracemalloc.start()
    assert read_image(path).array.shape == (1, 12, 12, 12)
    assert tracemalloc.get_traced_memory()[1] < 6e7
    tracemalloc.stop()


def test_web_page_saved_as_image(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"<!DOCTYPE html><html><body>Please log in</body></html>" * 10)
    refuses(tmp_path / "a.nii.gz", "a web page")


def test_png_named_jpg_reads_and_png_named_nii_does_not(tmp_path):
    write_image(tmp_path / "a.png", Image(np.full((1, 20, 20), 7, np.uint8), Grid.plain((20, 20))))
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.png").read_bytes())
    assert read_image(tmp_path / "b.jpg").array.max() == 7
    (tmp_path / "c.nii").write_bytes((tmp_path / "a.png").read_bytes())
    refuses(tmp_path / "c.nii", "a PNG image")


@pytest.mark.parametrize("keep", [30, 400, 700])
def test_truncated_gzip(tmp_path, keep):
    content = good(tmp_path)
    (tmp_path / "a.nii.gz").write_bytes(content[: len(content) * keep // 1000])
    refuses(tmp_path / "a.nii.gz", "cut short")


def test_flipped_bytes_in_gzip(tmp_path):
    content = bytearray(good(tmp_path))
    content[len(content) // 2] ^= 0xFF
    content[len(content) // 2 + 9] ^= 0xFF
    (tmp_path / "a.nii.gz").write_bytes(bytes(content))
    refuses(tmp_path / "a.nii.gz", "damaged")


@pytest.mark.parametrize("name", ["a.nii", "a.nrrd", "a.mha", "a.png", "a.bmp", "a.tif", "a.npy"])
def test_files_cut_in_half(tmp_path, name):
    array = np.random.default_rng(0).integers(0, 255, (1, 40, 41)).astype(np.uint8)
    grid = Grid.plain((40, 41))
    if name.endswith((".nii", ".nrrd", ".mha")):
        array, grid = array[..., None], Grid.plain((40, 41, 1), (1.0, 1.0, 1.0))
    write_image(tmp_path / name, Image(array, grid))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    refuses(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd"])
def test_uncompressed_itk_files_cut_in_half(tmp_path, name):
    image = SimpleITK.GetImageFromArray(np.ones((20, 30, 40), np.int16))
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=False)
    data = tmp_path / name.replace(".mhd", ".raw")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert "Success" not in refuses(tmp_path / name, "cut short")


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_headers_without_their_voxels(tmp_path, name):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((2, 3, 4), np.int16)), str(tmp_path / name))
    voxels = next(path for path in tmp_path.iterdir() if path.name != name)
    voxels.unlink()
    refuses(tmp_path / name, f"its voxels are in {voxels.name}, which is missing")


def test_headers_that_claim_more_than_the_file_can_hold(tmp_path):
    nrrd = "NRRD0004\ntype: short\ndimension: 3\nsizes: 40000 40000 400\nencoding: gzip\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_text(nrrd)
    refuses(tmp_path / "a.nrrd", "bytes of voxels")


def test_plain_nifti_named_gz_reads(tmp_path):
    good(tmp_path, "a.nii")
    (tmp_path / "b.nii.gz").write_bytes((tmp_path / "a.nii").read_bytes())
    assert read_image(tmp_path / "b.nii.gz").grid.shape == (12, 12, 12)


def test_double_gzip_is_named(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(good(tmp_path)))
    refuses(tmp_path / "a.nii.gz", "gzip data")


def test_header_without_extent(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), AFFINE)
    content = bytearray(image.to_bytes())
    content[42:44] = (0).to_bytes(2, "little")
    (tmp_path / "a.nii").write_bytes(bytes(content))
    refuses(tmp_path / "a.nii", "at least one voxel")


def test_flat_affine_is_named(tmp_path):
    content = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), AFFINE).to_bytes())
    content[312:328] = bytes(16)  # srow_z
    (tmp_path / "a.nii").write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a\.nii: The affine does not span 3 dimensions") as error:
        read_header(tmp_path / "a.nii")
    assert "(0, 0, 0) mm. Correct the orientation in the header" in str(error.value) and "[" not in str(error.value)
    refuses(tmp_path / "a.nii", "does not span")


def test_labels_with_fractions(tmp_path):
    write_image(tmp_path / "a.nii.gz", Image(np.full((1, 4, 4, 4), 0.25, np.float32), Grid.plain((4, 4, 4), (1, 1, 1))))
    with pytest.raises(DataError, match="must be whole numbers"):
        read_image(tmp_path / "a.nii.gz", "labels")


def test_labels_of_whole_floats_are_whole_numbers(tmp_path):
    write_image(tmp_path / "a.nii.gz", Image(np.full((1, 4, 4, 4), 3.0, np.float32), Grid.plain((4, 4, 4), (1, 1, 1))))
    labels = read_image(tmp_path / "a.nii.gz", "labels")
    assert labels.array.dtype.kind == "i" and (labels.array == 3).all()


def test_array_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refuses(tmp_path / "a.npy")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_image_with_nan_names_case_file_and_place(tmp_path, bad):
    array = np.zeros((1, 5, 6, 7), np.float32)
    array[0, 1, 2, 3] = bad
    write_image(tmp_path / "case_7.nii.gz", Image(array, Grid.plain((5, 6, 7), (1.0, 1.0, 1.0))))
    with pytest.raises(DataError, match=r"case_7: 1 voxels of .*case_7\.nii\.gz are NaN or infinite.*\(1, 2, 3\)"):
        read_case(find_images(tmp_path)[0])


def test_large_finite_numbers_are_not_called_infinite(tmp_path):
    array = np.full((1, 5, 6, 7), 3e38, np.float32)
    write_image(tmp_path / "a.nii.gz", Image(array, Grid.plain((5, 6, 7), (1.0, 1.0, 1.0))))
    assert read_case(find_images(tmp_path)[0]).image.array.max() > 1e38


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(DataError, match="It is empty"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds none that hyoid reads"):
        find_images(tmp_path)
    with pytest.raises(DataError, match="holds no DICOM file"):
        read_image(tmp_path)


@pytest.mark.parametrize(("name", "hint"), [("a.gz", ""), ("a.webp", ""), ("a.nrdd", " Did you mean '.nrrd'?")])
def test_only_near_suffixes_are_suggested(tmp_path, name, hint):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match="does not read") as caught:
        read_image(tmp_path / name)
    assert ("Did you mean" in str(caught.value)) == bool(hint) and hint in str(caught.value)


def test_an_empty_table_is_said_to_be_empty(tmp_path):
    (tmp_path / "labels.yaml").write_text("\n")
    with pytest.raises(DataError, match=r"labels\.yaml: the file is empty"):
        labels_from_yaml(tmp_path / "labels.yaml")


def cut_to(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("slice_", [0, 5])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_series_with_a_cut_first_or_last_slice_is_refused(tmp_path, slice_, share):
    seeds.IMAGES["dicom_series"](tmp_path)
    cut_to(tmp_path / "series" / f"{slice_}.dcm", share)
    with pytest.raises(DataError, match=rf"{slice_}\.dcm|frames without a position"):
        read_image(tmp_path / "series")


@pytest.mark.parametrize("name", sorted(name for name in seeds.IMAGES if name.startswith("dicom_")))
def test_dicom_pixels_with_changed_bytes_are_refused_or_read(tmp_path, name):
    seeds.IMAGES[name](tmp_path)
    path = max(tmp_path.rglob("*.dcm"))
    whole = path.read_bytes()
    for place in range(len(whole) - 200, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            read_image(min(tmp_path.iterdir()))


def test_lossless_jpeg_is_read_digit_for_digit(tmp_path):
    seeds.IMAGES["dicom_lossless"](tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array[0, ..., 0].T, seeds.VOLUME[0].astype(int) - 1024)


def test_deflated_dicom_is_inflated_no_further_than_its_header_needs(tmp_path):
    seeds.IMAGES["dicom_deflated"](tmp_path)
    whole = (tmp_path / "a.dcm").read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    bomb = zlib.compressobj(wbits=-15)
    padding = (0xFFFCFFFC).to_bytes(4, "little") + b"OB\0\0" + (200 << 20).to_bytes(4, "little")
    packed = bomb.compress(zlib.decompress(whole[start:], -15) + padding)
    packed += b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    (tmp_path / "a.dcm").write_bytes(whole[:start] + packed)
    tracemalloc.start()
    assert read_image(tmp_path / "a.dcm").array.shape == (1, 20, 24, 1)
    assert tracemalloc.get_traced_memory()[1] < 190 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(name for name in seeds.IMAGES if "tiff" in name))
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.97])
def test_cut_stacks_of_pages_are_refused(tmp_path, name, share):
    seeds.IMAGES[name](tmp_path)
    path = min(tmp_path.iterdir())
    cut_to(path, share)
    refuses(path, "damaged or cut short")
    with pytest.raises(DataError):
        read_header(path)


def test_an_imagej_stack_in_one_page_is_as_long_as_it_says(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(seeds.PLANE, description="ImageJ=1.54f\nimages=6\nslices=6\n", metadata=None)
    refuses(tmp_path / "a.tif", "tells of 6 planes, 1 are there")


def page_of(tags, following):
    return (
        struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags) + struct.pack("<I", following)
    )


@pytest.mark.parametrize("below", [False, True])
def test_a_chain_of_pages_that_comes_back_to_itself_is_refused(tmp_path, below):
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 3, 1, 4), (279, 4, 1, 16)]
    second = 24 + len(page_of(tags, 0)) + (12 if below else 0)
    first = page_of([*tags, (330, 4, 1, second)], 0) if below else page_of(tags, second)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 24) + bytes(16) + first + page_of([], second))
    refuses(tmp_path / "a.tif", "chain of pages comes back")
    inspection = inspect_path(tmp_path / "a.tif")
    assert "comes back" in inspection.problems[0]


ZARRS = sorted(name for name in seeds.IMAGES if name.startswith("zarr_"))


def chunks_of(image):
    return sorted(f for f in image.rglob("*") if f.is_file() and not f.name.startswith(".") and f.suffix != ".json")


@pytest.mark.parametrize("name", ZARRS)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_cut_chunks_of_zarr_are_refused(tmp_path, name, share):
    seeds.IMAGES[name](tmp_path)
    cut_to(chunks_of(tmp_path)[0], share)
    refuses(tmp_path / "a.ome.zarr", "damaged or cut short")


@pytest.mark.parametrize("name", ZARRS)
def test_a_missing_chunk_is_told_of(tmp_path, name):
    seeds.IMAGES[name](tmp_path)
    chunk = chunks_of(tmp_path)[0]
    chunk.unlink()
    assert "missing, such as" in read_header(tmp_path / "a.ome.zarr").notes[0]
    assert "missing, such as" in inspect_path(tmp_path / "a.ome.zarr").notes[0]


@pytest.mark.parametrize("kind", ["intensities", "labels"])
def test_a_missing_chunk_is_refused_where_empty_ones_were_written(tmp_path, kind):
    array = np.zeros((1, 256, 128, 128), np.uint8)
    array[0, 3, 4, 5] = 1
    path = tmp_path / "a.ome.zarr"
    write_image(path, Image(array, Grid.plain(array.shape[1:], (1.0, 1.0, 1.0)), kind))
    assert len(chunks_of(path)) == 2 and read_image(path, kind).array.sum() == 1
    chunks_of(path)[0].unlink()
    refuses(path, "1 of 2 chunks are missing", "its writer left out none")


def test_gzipped_nifti_is_inflated_no_further_than_its_header_needs(tmp_path):
    whole = gzip.decompress(good(tmp_path))
    packed = gzip.compress(whole + bytes(200 << 20), 1)
    (tmp_path / "a.nii.gz").write_bytes(packed)
    tracemalloc.start()
    assert read_image(tmp_path / "a.nii.gz").array.shape == (1, 12, 12, 12)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    for lost in (1, 5, 9, 1000):
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(whole, 1)[:-lost])
        refuses(tmp_path / "a.nii.gz", "cut short")


@pytest.mark.parametrize("name", ["nifti", "nifti_gz", "nrrd", "nrrd_gz", "nhdr", "mha", "mha_zlib", "mhd", "npy"])
def test_absurd_sizes_are_damage_and_not_lack_of_memory(tmp_path, name):
    seeds.IMAGES[name](tmp_path)
    path = min(tmp_path.iterdir())
    content = path.read_bytes()
    packed = content.startswith(b"\x1f\x8b")
    content = bytearray(gzip.decompress(content) if packed else content)
    if name.startswith("nifti"):
        content[42:48] = (32767).to_bytes(2, "little") * 3
    else:
        for said in (b"sizes: 20 24 6", b"DimSize = 20 24 6", b"(6, 24, 20)"):
            content = content.replace(said, re.sub(rb"\d+", b"90001", said))
    path.write_bytes(gzip.compress(content) if packed else content)
    refuses(path)
    assert "memory" not in refuses(path)


def test_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    good(tmp_path)

    def starved(*_):
        raise MemoryError

    monkeypatch.setattr(nifti, "_scaled", starved)
    assert "damaged" not in refuses(tmp_path / "good.nii.gz", "not enough memory")


@pytest.mark.parametrize("name", ["mha", "mhd", "nrrd", "nhdr"])
@pytest.mark.parametrize("said", ["65536", "2147483648", "-1", "1e9", "nan"])
def test_numbers_of_axes_without_room_are_refused(tmp_path, name, said):
    seeds.IMAGES[name](tmp_path)
    path = min(tmp_path.iterdir())
    path.write_bytes(re.sub(rb"(NDims = |dimension: )3", rb"\g<1>" + said.encode(), path.read_bytes(), count=1))
    refuses(path, f"is {said}")


@pytest.mark.parametrize("codec", [numcodecs.Zstd(), numcodecs.Blosc(), numcodecs.LZ4()], ids=lambda one: one.codec_id)
def test_a_chunk_of_zarr_does_not_swell(tmp_path, codec):
    group = zarr.create_group(
        tmp_path / "a.zarr",
        zarr_format=2,
        attributes={"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]},
    )
    group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1", compressors=[codec])[:] = 1
    assert read_image(tmp_path / "a.zarr").array.sum() == 64
    (tmp_path / "a.zarr" / "0" / "0.0").write_bytes(codec.encode(bytes(100 << 20)))
    refuses(tmp_path / "a.zarr", "a chunk claims 104,857,600 bytes")
