"""DICOM series made here: sorting, tilt, gaps, mixed folders, rescaling, colours."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hyoid.core.errors import DataError
from hyoid.datasets.below import images_below
from hyoid.datasets.dataset import find_images, open_dataset
from hyoid.files.dicom import holds_volume
from hyoid.files.formats import read_header, read_image, write_image

RNG = np.random.default_rng(5)
VOLUME = RNG.integers(0, 2000, (6, 10, 12)).astype(np.int16)  # slices, rows, columns


def write_slice(
    path: Path, pixels: np.ndarray, position=None, orientation=(1, 0, 0, 0, 1, 0), series="1", **fields
) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
    ds.SeriesInstanceUID, ds.SamplesPerPixel, ds.PhotometricInterpretation = series, 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    if position is not None:
        ds.ImagePositionPatient, ds.ImageOrientationPatient = list(map(float, position)), list(map(float, orientation))
        ds.PixelSpacing, ds.SliceThickness = [0.5, 0.75], 3.0
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds)


def write_series(folder: Path, shift=(0.0, 0.0, 2.5), skip=(), **fields) -> None:
    names = RNG.permutation(len(VOLUME))  # file names do not tell the order
    for k, pixels in enumerate(VOLUME):
        if k not in skip:
            write_slice(
                folder / f"{names[k]:03d}.dcm", pixels, np.array([-10.0, 20.0, 5.0]) + k * np.array(shift), **fields
            )


def test_slices_are_sorted_by_position(tmp_path):
    write_series(tmp_path)
    image = read_image(tmp_path)
    np.testing.assert_array_equal(image.array[0], VOLUME.transpose(2, 1, 0))
    assert image.grid.orientation == "LPS" and image.array.dtype == np.int16
    np.testing.assert_allclose(image.grid.spacing_mm, (0.75, 0.5, 2.5))
    np.testing.assert_allclose(image.grid.origin_mm, (10.0, -20.0, 5.0))


def test_oblique_series_lie_where_the_standard_says(tmp_path):
    row, column = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, -1.0])
    normal = np.cross(row, column)
    for k, pixels in enumerate(VOLUME):
        write_slice(tmp_path / f"{9 - k}.dcm", pixels, 4.0 * k * normal, (*row, *column))
    image = read_image(tmp_path)
    for k, r, c in ((0, 0, 0), (5, 9, 11), (2, 3, 7)):
        lps = 4.0 * k * normal + 0.75 * c * row + 0.5 * r * column
        np.testing.assert_allclose(image.grid.to_world(np.array([c, r, k])), lps * (-1, -1, 1), atol=1e-6)
        assert image.array[0, c, r, k] == VOLUME[k, r, c]


def test_gantry_tilt_is_kept_in_the_grid_and_told(tmp_path):
    write_series(tmp_path, shift=(0.0, -2.5 * np.tan(np.radians(15)), 2.5))
    header = read_header(tmp_path)
    assert any("Gantry tilt of 15.0 degrees" in note for note in header.notes)
    last = np.array([-10.0, 20.0, 5.0]) + 5 * np.array([0, -2.5 * np.tan(np.radians(15)), 2.5])
    np.testing.assert_allclose(header.grid.to_world(np.array([0, 0, 5])), last * (-1, -1, 1), atol=1e-6)


def test_missing_slices_are_named(tmp_path):
    write_series(tmp_path, skip=(3,))
    with pytest.raises(DataError, match=r"slices are missing between 10 and 15 mm .*usual distance 2.5 mm"):
        read_image(tmp_path)


def test_repeated_positions_are_named(tmp_path):
    write_series(tmp_path)
    write_slice(tmp_path / "again.dcm", VOLUME[0] + 1, (-10.0, 20.0, 5.0))
    with pytest.raises(DataError, match="several slices lie at one position"):
        read_image(tmp_path)


def test_uneven_distances_are_told(tmp_path):
    for k, pixels in enumerate(VOLUME):
        write_slice(tmp_path / f"{k}.dcm", pixels, (0, 0, 2.5 * k + 0.2 * (k % 2)))
    assert any("Slice distances vary" in note for note in read_header(tmp_path).notes)


def test_the_largest_series_is_read_and_the_rest_told(tmp_path):
    write_series(tmp_path)
    write_slice(tmp_path / "scout.dcm", VOLUME[0], (0, 0, 0), series="2")
    write_slice(tmp_path / "localizer.dcm", VOLUME[0], (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    header = read_header(tmp_path)
    assert header.grid.shape == (12, 10, 6)
    assert any("holds 2 series; the largest (6 slices, the first in 000.dcm)" in note for note in header.notes)
    assert any("1 DICOM files that are not slices are left out, such as localizer.dcm" in note for note in header.notes)


def test_rescaling_of_each_slice(tmp_path):
    for k, pixels in enumerate(VOLUME):
        write_slice(tmp_path / f"{k}.dcm", pixels, (0, 0, k), RescaleSlope=str(k + 0.5), RescaleIntercept="-10")
    image = read_image(tmp_path)
    assert image.array.dtype == np.float32
    np.testing.assert_allclose(image.array[0, ..., 4].T, VOLUME[4] * 4.5 - 10)


def test_hounsfield_units_stay_in_16_bits(tmp_path):
    write_series(tmp_path, RescaleSlope="1", RescaleIntercept="-1024", BitsStored=12, HighBit=11, PixelRepresentation=0)
    image = read_image(tmp_path)
    assert image.array.dtype == np.int16 and read_header(tmp_path).dtype == "int16"
    np.testing.assert_array_equal(image.array[0], VOLUME.transpose(2, 1, 0) - 1024)


def test_x_rays_are_flat_and_white_as_zero_is_inverted(tmp_path):
    pixels = VOLUME[0].astype(np.uint16)
    write_slice(
        tmp_path / "a.dcm",
        pixels,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        ImagerPixelSpacing=[0.1, 0.2],
    )
    image = read_image(tmp_path / "a.dcm")
    assert image.grid.dims == 2 and image.grid.spacing_mm == (0.1, 0.2)
    np.testing.assert_array_equal(image.array[0], 65535 - pixels)
    assert any("detector" in note for note in read_header(tmp_path / "a.dcm").notes)


def test_a_folder_of_flat_pictures_is_no_volume(tmp_path):
    for k in range(3):
        write_slice(tmp_path / f"{k}.dcm", VOLUME[k], Modality="CR", series=str(k))
    assert not holds_volume(tmp_path)
    assert [entry.id for entry in find_images(tmp_path)] == ["0", "1", "2"]


def test_series_folders_are_cases_with_labels_in_nifti(tmp_path):
    for name in ("p1", "p2"):
        write_series(tmp_path / "images" / name)
    image = read_image(tmp_path / "images" / "p1")
    for name in ("p1", "p2"):
        labels = image.with_array((image.array > 1000).astype(np.uint8), "labels")
        write_image(tmp_path / "labels" / f"{name}.nii.gz", labels)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p1", "p2")
    case = dataset.read("p2")
    np.testing.assert_array_equal(case.truth.array, case.image.array > 1000)
    assert [entry.id for entry in find_images(tmp_path / "images")] == ["p1", "p2"]
    assert [entry.id for entry in find_images(tmp_path / "images" / "p1")] == ["p1"]


def test_files_without_suffix_are_known_by_their_first_bytes(tmp_path):
    write_series(tmp_path / "series")
    for k, path in enumerate(sorted((tmp_path / "series").iterdir())):
        path.rename(path.with_name(f"IM{k}"))
    assert read_image(tmp_path / "series").grid.shape == (12, 10, 6)
    assert read_image(tmp_path / "series" / "IM0").grid.shape == (12, 10, 1)


def test_slices_of_two_sizes_are_refused(tmp_path):
    write_series(tmp_path)
    write_slice(tmp_path / "z.dcm", VOLUME[0][:5], (0, 0, 99))
    with pytest.raises(DataError, match=r"z\.dcm have 10 x 12 and 5 x 12 rows x columns"):
        read_header(tmp_path)


def test_series_below_the_directory_of_a_disc_are_found(tmp_path):
    write_series(tmp_path / "PT0" / "SE0")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert images_below(tmp_path) == {tmp_path / "PT0" / "SE0": "PT0/SE0"}


@pytest.mark.parametrize("beside", ["", "seg"], ids=["among the slices", "in a folder of its own"])
def test_a_series_with_a_dicom_segmentation_says_how_to_convert_it(beside, tmp_path):
    write_series(tmp_path / "p1" / "ct")
    write_slice(tmp_path / "p1" / (beside or "ct") / "seg.dcm", VOLUME[0], Modality="SEG")
    with pytest.raises(DataError, match=r"no annotated images found. .*seg.dcm is a DICOM segmentation \(SEG\).*dcmqi"):
        open_dataset(tmp_path)


def test_a_folder_of_segmentations_is_no_series(tmp_path):
    for k in range(2):
        write_slice(tmp_path / f"{k}.dcm", VOLUME[0], Modality="SEG", NumberOfFrames=1)
    with pytest.raises(DataError, match=r"none of the 2 DICOM files holds one. 0.dcm is a DICOM segmentation \(SEG\)"):
        read_image(tmp_path)
    with pytest.raises(DataError, match=r"1.dcm: this is a DICOM segmentation \(SEG\), which hyoid does not read"):
        read_image(tmp_path / "1.dcm")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "ImageOrientationPatient",
            (
                [0.99234475, 0.1235001, 0, -0.1235001, 0.99234475, 0],
                [0.99234475, 0.1234999, 0, -0.1234999, 0.99234475, 0],
            ),
        ),
        ("EchoTime", ("2.5", "2.50")),
        ("EchoTime", ("2.4600", "2.4601")),
        ("PixelSpacing", (["0.5859375", "0.5859375"], ["0.585938", "0.585938"])),
    ],
)
def test_numbers_that_differ_by_rounding_tear_no_series(tmp_path, name, values):
    for k, pixels in enumerate(VOLUME):
        write_slice(tmp_path / f"{k}.dcm", pixels, (0, 0, 2.5 * k), **{name: values[k % 2]})
    image = read_image(tmp_path)
    np.testing.assert_array_equal(image.array[0], VOLUME.transpose(2, 1, 0))
    assert image.grid.spacing_mm[2] == pytest.approx(2.5)


def test_echoes_stay_apart(tmp_path):
    for k, pixels in enumerate(VOLUME):
        write_slice(tmp_path / f"{k}.dcm", pixels, (0, 0, 2.5 * (k // 2)), EchoTime=("2.3", "4.6")[k % 2])
    np.testing.assert_array_equal(read_image(tmp_path).array[0], VOLUME[::2].transpose(2, 1, 0))


@pytest.mark.parametrize("renamed", [False, True])
def test_copies_of_a_slice_are_left_out_and_told(tmp_path, renamed):
    write_series(tmp_path)
    ds = pydicom.dcmread(tmp_path / "003.dcm")
    if renamed:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.save_as(tmp_path / "003 (1).dcm")
    np.testing.assert_array_equal(read_image(tmp_path).array[0], VOLUME.transpose(2, 1, 0))
    assert any("hold a slice again are left out (1, such as 003" in note for note in read_header(tmp_path).notes)


def test_slices_that_share_a_name_by_mistake_are_kept(tmp_path):
    write_series(tmp_path, SOPInstanceUID="1.2.3")
    assert read_image(tmp_path).grid.shape == (12, 10, 6)


def multi_frame(path: Path, pairs: list[tuple[float, float]]) -> None:
    write_slice(
        path, VOLUME.reshape(-1, VOLUME.shape[2]), Rows=VOLUME.shape[1], NumberOfFrames=len(VOLUME), Modality="MR"
    )
    ds = pydicom.dcmread(path)
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2.0
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    frames = []
    for k in range(len(VOLUME)):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, 2.0 * k]
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [place], [plane]
        frame.PixelMeasuresSequence = [measures]
        if k < len(pairs):
            scale = Dataset()
            scale.RescaleSlope, scale.RescaleIntercept = pairs[k]
            frame.PixelValueTransformationSequence = [scale]
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [Dataset()], frames
    ds.save_as(path)


@pytest.mark.parametrize("step", [1, 0.5])
def test_each_frame_is_rescaled_by_its_own_slope(tmp_path, step):
    multi_frame(tmp_path / "a.dcm", [(1 + step * k, 10 * k) for k in range(6)])
    right = [VOLUME[k] * (1 + step * k) + 10 * k for k in range(6)]
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_allclose(image.array[0], np.transpose(right, (2, 1, 0)))
    assert (image.array.dtype.kind == "f") == (step == 0.5)


def test_frames_without_a_slope_among_others_are_refused(tmp_path):
    multi_frame(tmp_path / "a.dcm", [(1, 0), (2, 0)])
    with pytest.raises(DataError, match="2 of 6 frames have a rescale slope"):
        read_image(tmp_path / "a.dcm")


def test_slices_that_are_turned_against_each_other_and_tables_of_numbers_are_refused(tmp_path):
    for k, pixels in enumerate(VOLUME):
        turn = np.radians(0.6 * (k % 2))
        rows = [np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0]
        write_slice(tmp_path / f"{k}.dcm", pixels, (0, 0, 2.5 * k), ImageOrientationPatient=rows)
    with pytest.raises(DataError, match=r"turned against each other by 0\.6 degrees"):
        read_image(tmp_path)
    write_slice(tmp_path / "table" / "a.dcm", VOLUME[0], (0, 0, 0), ModalityLUTSequence=[Dataset()])
    with pytest.raises(DataError, match=r"a table \(Modality LUT\)"):
        read_image(tmp_path / "table" / "a.dcm")
