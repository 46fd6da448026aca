"""Pictures of every mode, and arrays in .npy files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture
from PIL import ImageOps

from hyoid.core.errors import DataError
from hyoid.datasets.dataset import open_dataset
from hyoid.evaluation import evaluate_folders
from hyoid.files.formats import read_header, read_image, read_stored, suffix_for_labels, write_image

RNG = np.random.default_rng(6)
RGBA = RNG.integers(0, 255, (20, 30, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("mode", "channels", "dtype"),
    [
        ("L", 1, "uint8"),
        ("RGB", 3, "uint8"),
        ("RGBA", 3, "uint8"),
        ("LA", 1, "uint8"),
        ("1", 1, "uint8"),
        ("P", 3, "uint8"),
    ],
)
def test_every_mode_of_png(tmp_path, mode, channels, dtype):
    Picture.fromarray(RGBA, "RGBA").convert(mode).save(tmp_path / "a.png")
    image, header = read_image(tmp_path / "a.png"), read_header(tmp_path / "a.png")
    assert image.array.shape == (channels, 20, 30) == (header.channels, *header.shape)
    assert image.array.dtype == dtype == header.dtype
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(image.array, RGBA[..., :3].transpose(2, 0, 1))
    assert any("transparency" in note for note in header.notes) == (mode in ("RGBA", "LA"))


def test_a_deep_grey_png(tmp_path):
    deep = RNG.integers(0, 65535, (20, 30)).astype(np.uint16)
    Picture.fromarray(deep).save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").dtype == "uint16"
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array[0], deep)


def test_photographs_in_cmyk_become_rgb(tmp_path):
    Picture.fromarray(RGBA, "RGBA").convert("CMYK").save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").channels == 3 == read_header(tmp_path / "a.jpg").channels


def stored_with(path: Path, array: np.ndarray, tag: int) -> Path:
    """A picture whose pixels are these and whose EXIF tag asks for a turned view."""
    exif = Picture.Exif()
    exif[274] = tag
    path.parent.mkdir(exist_ok=True)
    Picture.fromarray(array).save(path, exif=exif)
    return path


def test_a_rotation_tag_is_told_and_pixels_are_as_stored(tmp_path):
    path = stored_with(tmp_path / "a.jpg", RGBA[..., 0], 6)
    assert read_image(path).grid.shape == (20, 30)
    assert any("EXIF" in note for note in read_header(path).notes)


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("shape", [(20, 30), (24, 24)])
def test_masks_fit_the_view_that_exif_asks_for_and_answers_the_stored_pixels(tmp_path, tag, shape):
    array = RNG.integers(0, 255, shape).astype(np.uint8)
    mask = np.where(RNG.random(shape) < 0.3, 2, 0).astype(np.uint8)
    image = stored_with(tmp_path / "images" / "a.png", array, tag)
    drawn = ImageOps.exif_transpose(Picture.open(stored_with(tmp_path / "b.png", mask, tag)))
    (tmp_path / "labels").mkdir()
    Picture.fromarray(np.asarray(drawn)).save(tmp_path / "labels" / "a.png")
    truth = open_dataset(tmp_path).read("a").truth
    np.testing.assert_array_equal(truth.array[0], mask)
    answer = tmp_path / "answers" / "a.png"
    write_image(answer, truth, like=image)
    with Picture.open(answer) as picture:
        np.testing.assert_array_equal(np.asarray(picture), mask)
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(picture)), np.asarray(drawn))
    assert evaluate_folders(answer.parent, tmp_path / "labels").rows[0].values["dice"] == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_damaged_exif_part_does_no_harm(tmp_path, suffix):
    Picture.fromarray(RGBA[..., 0]).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0garbage")
    assert read_image(tmp_path / f"a{suffix}").grid == read_header(tmp_path / f"a{suffix}").grid


def test_a_mask_that_only_fits_the_stored_pixels_is_taken_so(tmp_path):
    stored_with(tmp_path / "images" / "a.png", RGBA[..., 0], 6)
    mask = (RGBA[..., 1] > 200).astype(np.uint8)
    stored_with(tmp_path / "labels" / "a.png", mask, 1)
    np.testing.assert_array_equal(open_dataset(tmp_path).read("a").truth.array[0], mask)


@pytest.mark.parametrize(("bits", "classes"), [(1, 1), (2, 3), (4, 15)])
def test_masks_of_few_bits_keep_their_values(tmp_path, bits, classes):
    mask = RNG.integers(0, classes + 1, (20, 32)).astype(np.uint8)
    packed = np.packbits(np.unpackbits(mask[..., None], axis=-1)[..., 8 - bits :].reshape(20, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    content = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", 32, 20, bits, 0, 0, 0, 0)
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "a.png").write_bytes(content)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(mask, bitspersample=bits if bits > 1 else None, photometric="minisblack")
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name, "labels").array[0], mask)


@pytest.mark.parametrize("most", [1, 3, 255, 4095, 65535])
def test_masks_in_pgm_keep_their_values(tmp_path, most):
    mask = RNG.integers(0, most + 1, (20, 30)).astype(np.uint16)
    numbers = mask.astype(">u2" if most > 255 else "u1").tobytes()
    (tmp_path / "a.pgm").write_bytes(b"P5\n30 20\n%d\n" % most + numbers)
    labels = read_image(tmp_path / "a.pgm", "labels")
    np.testing.assert_array_equal(labels.array[0], mask)
    write_image(tmp_path / "b.pgm", labels, like=tmp_path / "a.pgm")
    np.testing.assert_array_equal(read_image(tmp_path / "b.pgm", "labels").array[0], mask)


@pytest.mark.parametrize("suffix", [".gif", ".pgm", ".ppm", ".pbm"])
def test_gif_and_pnm_are_read_and_answered_without_loss(tmp_path, suffix):
    picture = {".ppm": RGBA[..., :3], ".pbm": RGBA[..., 0] > 127}.get(suffix, RGBA[..., 0])
    Picture.fromarray(picture).save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.array[0], picture[..., 0] if picture.ndim == 3 else picture)
    assert image.channels == read_header(tmp_path / f"a{suffix}").channels
    assert suffix_for_labels(tmp_path / f"a{suffix}") == (".png" if suffix == ".gif" else ".pgm")
    (tmp_path / f"cut{suffix}").write_bytes((tmp_path / f"a{suffix}").read_bytes()[:60])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_image(tmp_path / f"cut{suffix}")


def test_masks_in_gif_are_grey_levels_whatever_the_order_of_the_palette(tmp_path):
    mask = np.where(RGBA[..., 0] > 127, 2, 0).astype(np.uint8)
    Picture.fromarray(mask).save(tmp_path / "a.gif", optimize=True)
    labels = read_image(tmp_path / "a.gif", "labels")
    np.testing.assert_array_equal(labels.array[0], mask)


WHITE, BLACK = np.full((20, 30, 3), 255, np.uint8), np.zeros((20, 30, 3), np.uint8)
SEEN = (RGBA[..., 0] > 127)[..., None]
DRAWN = np.where(SEEN, (9, 0, 200), WHITE).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("colours", "alpha", "expected"),
    [
        (WHITE, 255 * SEEN, WHITE * SEEN),
        (BLACK, 255 * SEEN, 255 * SEEN),
        (np.where(SEEN, BLACK, WHITE), 255 * SEEN, 255 * SEEN),
        (DRAWN, 255 * SEEN, np.where(SEEN, DRAWN, 0)),
        (WHITE * SEEN, 255 + 0 * SEEN, WHITE * SEEN),
        (WHITE * SEEN, 0 * SEEN, WHITE * SEEN),
        (WHITE, 0 * SEEN, BLACK),
    ],
)
def test_masks_in_the_alpha_channel(tmp_path, suffix, colours, alpha, expected):
    picture = np.concatenate([colours, alpha], axis=-1).astype(np.uint8)
    if suffix == ".tif":
        tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", extrasamples=["unassalpha"])
    else:
        Picture.fromarray(picture).save(tmp_path / "a.png")
    found = read_stored(tmp_path / f"a{suffix}", as_labels=True).array
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1), expected if len(found) == 3 else expected[..., :1])
    assert len(found) == 3 or (expected[..., :1] == expected).all()


def test_print_resolution_is_no_pixel_size(tmp_path):
    Picture.fromarray(RGBA[..., 0]).save(tmp_path / "a.png", dpi=(300, 300))
    assert not read_image(tmp_path / "a.png").grid.calibrated


def test_moving_pictures_give_their_first_frame(tmp_path):
    frames = [Picture.fromarray(RGBA[..., k]) for k in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array[0], RGBA[..., 0])
    assert any("3 frames" in note for note in read_header(tmp_path / "a.png").notes)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((40, 50), (1, 40, 50)),
        ((40, 50, 3), (3, 40, 50)),
        ((12, 40, 50), (1, 12, 40, 50)),
        ((40, 50, 20), (1, 40, 50, 20)),
        ((2, 12, 40, 50), (2, 12, 40, 50)),
    ],
)
def test_arrays_by_their_shape(tmp_path, shape, expected):
    np.save(tmp_path / "a.npy", np.zeros(shape, ">f4"))
    image, header = read_image(tmp_path / "a.npy"), read_header(tmp_path / "a.npy")
    assert image.array.shape == expected == (header.channels, *header.shape)
    assert image.array.dtype == header.dtype == "float32" and not image.grid.calibrated


@pytest.mark.parametrize(
    "array", [np.zeros(5), np.zeros((2, 3, 4, 5, 6)), np.zeros((3, 4), complex), np.array([["a", "b"]])]
)
def test_arrays_that_are_no_images(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match="an image array"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("most", [3, 100, 255, 4095, 65535])
def test_images_in_pgm_keep_their_numbers(tmp_path, most):
    numbers = RNG.integers(0, most + 1, (20, 30)).astype(np.uint16)
    (tmp_path / "a.pgm").write_bytes(
        b"P5\n30 20\n%d\n" % most + numbers.astype(">u2" if most > 255 else "u1").tobytes()
    )
    image = read_image(tmp_path / "a.pgm")
    np.testing.assert_array_equal(image.array[0], numbers)
    assert image.array.dtype == read_header(tmp_path / "a.pgm").dtype


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((b"P5\n30 20\n255\n" + bytes(600)) * 2, "holds several images"),
        ((b"P4\n30 20\n" + bytes(80)) * 2, "holds several images"),
        (b"P6\n30 20\n1023\n" + bytes(3600), "colours of more than 8 bits are not read"),
    ],
)
def test_what_would_be_cut_from_pnm_is_refused(tmp_path, content, words):
    (tmp_path / "a.pnm").write_bytes(content)
    for read in (read_header, read_image):
        with pytest.raises(DataError, match=rf"a\.pnm: .*{words}"):
            read(tmp_path / "a.pnm")


def test_an_array_of_objects_is_not_called_damaged(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object))
    with pytest.raises(DataError, match="holds Python objects"):
        read_image(tmp_path / "a.npy")
