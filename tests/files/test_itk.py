"""Units, missing voxel sizes and negative spacings of NRRD and MetaImage."""

import zlib

import numpy as np
import pytest

from hyoid.core.errors import DataError
from hyoid.files.formats import read_header, read_image, write_image

VOXELS = np.arange(120, dtype=np.uint8).reshape(4, 5, 6)
DIRECTIONS = "space dimension: 3\nspace directions: (380,0,0) (0,380,0) (0,0,760)\n"
MICRONS = 'space units: "microns" "microns" "microns"\n'


def nrrd(path, fields):
    head = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 5 6\n{fields}encoding: raw\n\n"
    path.write_bytes(head.encode() + VOXELS.tobytes(order="F"))
    return path


def mha(path, fields):
    head = f"ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_UCHAR\n{fields}ElementDataFile = LOCAL\n"
    path.write_bytes(head.encode() + VOXELS.tobytes(order="F"))
    return path


@pytest.mark.parametrize(
    ("make", "fields", "spacing"),
    [
        (nrrd, DIRECTIONS + MICRONS, (0.38, 0.38, 0.76)),
        (nrrd, "spacings: 380 380 760\n" + MICRONS[6:], (0.38, 0.38, 0.76)),
        (nrrd, "spacings: 1 1 2\n" + MICRONS[6:].replace("microns", "cm"), (10, 10, 20)),
        (nrrd, "spacings: 1 1 2\n", (1, 1, 2)),
        (nrrd, 'spacings: 1 1 2\nunits: "pixel" "pixel" "pixel"\n', None),
        (nrrd, "", None),
        (nrrd, "spacings: NaN NaN NaN\n", None),
        (mha, "ElementSpacing = 380 380 760\nDistanceUnits = um\n", (0.38, 0.38, 0.76)),
        (mha, "ElementSpacing = 1 1 2\nDistanceUnits = mm\n", (1, 1, 2)),
        (mha, "Offset = 0 0 0\n", None),
    ],
)
def test_lengths_are_millimetres_or_unknown(tmp_path, make, fields, spacing):
    path = make(tmp_path / f"a.{make.__name__}", fields)
    image, notes = read_image(path), " ".join(read_header(path).notes)
    assert image.grid.calibrated == (spacing is not None)
    np.testing.assert_allclose(image.grid.spacing_mm, spacing or (1, 1, 1))
    assert ("millimetres" in notes) == ("icron" in fields or "cm" in fields or "um" in fields)
    assert ("no voxel size" in notes) == (spacing is None)
    write_image(tmp_path / f"b.{make.__name__}", image, like=path)
    assert read_image(tmp_path / f"b.{make.__name__}").grid.matches(image.grid)


def test_a_unit_that_is_not_known_is_told(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", DIRECTIONS + MICRONS.replace("microns", "cubits"))
    assert any("unit of lengths is not known" in note for note in read_header(path).notes)
    bare = mha(tmp_path / "a.mha", "ElementSpacing = 1 1 1\n")
    assert any("no unit of length" in note for note in read_header(bare).notes)


def test_axes_in_different_units_are_refused(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", DIRECTIONS + 'space units: "um" "um" "mm"\n')
    with pytest.raises(DataError, match=r"a\.nrrd: its axes are in different units \(mm, um\)"):
        read_header(path)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz"])
def test_a_negative_spacing_turns_its_axis_round_and_is_written_so(tmp_path, suffix):
    fields = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 1 1 -2\n"
    image = read_image(mha(tmp_path / "a.mha", fields), "labels")
    assert image.grid.orientation == "LPI" and image.grid.spacing_mm == (1, 1, 2)
    np.testing.assert_allclose(image.grid.to_world(np.array([0, 0, 5])), (-1, -2, 3 - 10))
    write_image(tmp_path / f"b{suffix}", image, like=tmp_path / "a.mha")
    back = read_image(tmp_path / f"b{suffix}", "labels")
    assert back.grid.matches(image.grid)
    np.testing.assert_array_equal(back.array[0], VOXELS)


@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_a_damaged_stream_of_a_compressed_metaimage_gives_no_voxels(tmp_path, suffix):
    voxels = np.random.default_rng(0).integers(0, 30, (5, 6, 7)).astype(">i2")
    stream = zlib.compress(voxels.tobytes())
    head = "NDims = 3\nDimSize = 7 6 5\nElementType = MET_SHORT\nCompressedData = True\nBinaryDataByteOrderMSB = True\n"
    path = tmp_path / f"a{suffix}"

    def read(data: bytes) -> np.ndarray:
        name = "LOCAL" if suffix == ".mha" else "a.zraw"
        text = f"{head}ElementDataFile = {name}\n".encode()
        path.write_bytes(text + data if suffix == ".mha" else text)
        (tmp_path / "a.zraw").write_bytes(data)
        return read_image(path).array[0]

    np.testing.assert_array_equal(read(stream), voxels.T)
    middle = len(stream) // 2
    flipped = stream[:middle] + bytes([stream[middle] ^ 85]) + stream[middle + 1 :]
    for damaged in (flipped, stream[:middle], zlib.compress(voxels[:4].tobytes()), b"q" * 500, b""):
        with pytest.raises(DataError, match=rf"a\{suffix}: the file is damaged or cut short"):
            read(damaged)


def test_an_unknown_thickness_leaves_the_sizes_in_the_plane(tmp_path):
    header = read_header(nrrd(tmp_path / "a.nrrd", "spacings: 0.5 0.6 nan\n"))
    np.testing.assert_allclose(header.grid.spacing_mm, (0.5, 0.6, 1.0))
    assert header.grid.calibrated and any("no voxel size along 1 of its axes; 1 is" in note for note in header.notes)


def test_bzip2_is_named(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", "spacings: 1 1 1\n")
    path.write_bytes(path.read_bytes().replace(b"encoding: raw", b"encoding: bz2"))
    with pytest.raises(DataError, match="bzip2 is not read; save it with gzip"):
        read_image(path)
