"""Pictures of every mode, and arrays in .npy files."""

import numpy as np
import pytest
from PIL import Image as Picture

from hyoid.core.errors import DataError
from hyoid.files.formats import read_header, read_image

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


def test_a_rotation_tag_is_told_and_not_followed(tmp_path):
    exif = Picture.Exif()
    exif[274] = 6
    Picture.fromarray(RGBA[..., 0]).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").grid.shape == (20, 30)
    assert any("EXIF" in note for note in read_header(tmp_path / "a.jpg").notes)


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
