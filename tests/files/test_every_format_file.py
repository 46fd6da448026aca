"""Every file of the collection of odd files either reads as its own library says, or is refused in one sentence."""

import csv
import os
import warnings
from fnmatch import fnmatch
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
import tifffile

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.datasets.inspect import inspect_path
from hyoid.files.formats import read_header, read_image, read_stored, suffix_of

FOLDER = Path(os.environ.get("HYOID_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"

# What is refused, and the words the sentence must hold. Everything else must read.
REFUSED = [
    ("corrupt_made_here/bad_magic.nii", "NIfTI header is damaged"),
    ("corrupt_made_here/dicom_cut_in_pixels.dcm", "damaged or cut short (its header claims"),
    ("corrupt_made_here/empty.nii.gz", "the file is empty"),
    ("corrupt_made_here/header_only.nii", "cut short"),
    ("corrupt_made_here/lfs_pointer.nii.gz", "Git LFS pointer"),
    ("corrupt_made_here/text_named_as.nii.gz", "the file is text"),
    ("corrupt_made_here/truncated.nii", "cut short"),
    ("corrupt_made_here/truncated.nii.gz", "cut short"),
    ("corrupt_made_here/truncated.png", "cut short"),
    ("*/rtss.dcm", "contours"),
    ("dicom_rtstruct/*rt.dcm", "contours"),
    ("dicom_seg/*/seg_image_*.dcm", "DICOM segmentation"),
    ("dicom_seg/*/seg/*.dcm", "DICOM segmentation"),
    ("dicom_seg/ct_3slices/seg/*.dcm", "DICOM segmentation"),
    ("dicom_seg/labelmap_seg/*.dcm", "DICOM segmentation"),
    ("dicom_seg/highdicom/sm_annotations.dcm", "annotations"),
    ("dicom_seg/highdicom/sm_image*.dcm", "whole slide in tiles"),
    ("dicom_seg/highdicom/sr_*.dcm", "structured report"),
    ("dicom_tricky/pydicom/ExplVR_*NoMeta.dcm", "treatment plan"),
    ("dicom_tricky/pydicom/JPEG2000-embedded-sequence-delimiter.dcm", "damaged or cut short"),
    ("dicom_tricky/pydicom/MR_truncated.dcm", "cut short"),
    ("dicom_tricky/pydicom/SC_rgb_rle*_2frame.dcm", "2 frames without a position"),
    ("dicom_tricky/pydicom/examples_ybr_color.dcm", "30 frames without a position"),
    ("dicom_tricky/pydicom/liver_*1frame.dcm", "DICOM segmentation"),
    ("dicom_tricky/pydicom/badVR.dcm", "field cannot be read"),
    ("dicom_tricky/pydicom/rtplan*.dcm", "treatment plan"),
    ("dicom_tricky/pydicom/rtstruct.dcm", "contours"),
    ("dicom_tricky/pydicom/reportsi*.dcm", "structured report"),
    ("dicom_tricky/pydicom/test-SR.dcm", "structured report"),
    ("dicom_tricky/pydicom/waveform_ecg.dcm", "electrocardiogram"),
    ("dicom_tricky/pydicom/UN_sequence.dcm", "none of its fields"),
    ("dicom_tricky/pydicom/empty_charset_LEI.dcm", "none of its fields"),
    ("dicom_tricky/pydicom/meta_missing_tsyntax.dcm", "holds none of its fields"),
    ("dicom_tricky/pydicom/n*_SQ.dcm", "none of its fields"),
    ("dicom_tricky/pydicom/priv_SQ.dcm", "none of its fields"),
    ("dicom_tricky/pydicom/no_meta*.dcm", "none of its fields"),
    ("nifti_tricky/complex.nii.gz", "complex numbers"),
    ("nifti_tricky/nibabel/analyze.hdr", "partner analyze.img is missing"),
    ("nifti_tricky/nibabel/nifti*.hdr", "is missing"),
    ("tiff/ome/time-series.ome.tif", "7 points in time"),
    ("tiff/ome_multifile_multi_image_node/*Cycle00001_Ch1_000001.ome.tif", "4 points in time"),
    ("tiff/openslide/unopenable.tiff", "compression (number 52479) is not supported"),
]
FOREIGN = (".txt", ".json", ".dump", ".icc", ".gz", ".ome", ".svs", ".mnc", ".HEAD")


def rows() -> list[dict[str, str]]:
    if not (FOLDER / "index.csv").is_file():
        return []
    with (FOLDER / "index.csv").open() as file:
        return [row for row in csv.DictReader(file) if (FOLDER / row["file"]).is_file()]


def refusal(name: str) -> str | None:
    if name.endswith(FOREIGN) and not suffix_of(name):
        return "does not read"
    return next((words for pattern, words in REFUSED if fnmatch(name, pattern)), None)


ROWS = rows()


def test_collection_is_there(real_data):
    assert len(ROWS) >= 290
    assert {row["file"].split("/")[0] for row in ROWS} >= {"corrupt_made_here", "dicom_tricky", "nifti_tricky", "tiff"}


@pytest.mark.parametrize("name", [row["file"] for row in ROWS if refusal(row["file"])])
def test_refused_with_one_sentence(name):
    path = FOLDER / name
    with pytest.raises(DataError) as error:
        read_image(path)
    message = str(error.value)
    assert refusal(name) in message
    assert path.name in message and "\n" not in message and "Traceback" not in message
    problems = inspect_path(path).problems
    assert len(problems) == 1 and refusal(name) in problems[0]


@pytest.mark.parametrize("name", [row["file"] for row in ROWS if not refusal(row["file"])])
def test_reads_as_its_library_says(name):
    path = FOLDER / name
    stored, header = read_stored(path), read_header(path)
    assert stored.array.shape == (header.channels, *header.shape)
    assert str(stored.array.dtype) == header.dtype
    assert header.grid == stored.header.grid
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own remarks on odd files
        oracle(path)(path, Image(stored.array, stored.header.grid))


def oracle(path: Path):
    suffix = suffix_of(path)
    if suffix in (".nii", ".nii.gz", ".img", ".hdr", ".mgz"):
        return as_nibabel
    if suffix in (".mha", ".nrrd"):
        return as_itk
    if suffix in (".tif", ".tiff", ".ome.tif", ".ome.tiff"):
        return as_tifffile
    return as_pillow if suffix in (".png", ".jpg", ".bmp") else as_pydicom


def as_nibabel(path, image):
    theirs = nibabel.load(path.with_suffix(".img") if path.suffix == ".hdr" else path)
    assert image.grid.shape == (*theirs.shape, 1, 1)[:3]
    scale = 1.0 if path.suffix == ".mgz" else {"micron": 1e-3, "meter": 1e3}.get(theirs.header.get_xyzt_units()[0], 1.0)
    np.testing.assert_allclose(image.grid.affine[:3] / scale, theirs.affine[:3], atol=1e-4)
    numbers = np.asanyarray(theirs.dataobj)
    if numbers.dtype.names is None:
        first = numbers.reshape((*image.grid.shape, -1))[..., 0]
        if first.dtype.kind in "iu":
            assert np.array_equal(image.array[0], first)
            return
        tolerance = 1e-6 * float(np.nanmax(np.abs(first[np.isfinite(first)])))
        np.testing.assert_allclose(image.array[0], first.astype(image.array.dtype), rtol=1e-5, atol=tolerance)


def as_itk(path, image):
    theirs = SimpleITK.ReadImage(str(path))
    numbers = SimpleITK.GetArrayFromImage(theirs)
    if image.grid.dims == 3:
        np.testing.assert_array_equal(image.array[0], numbers.transpose(2, 1, 0))
        for corner in ((0, 0, 0), tuple(n - 1 for n in theirs.GetSize())):
            x, y, z = theirs.TransformIndexToPhysicalPoint(corner)
            np.testing.assert_allclose(image.grid.to_world(np.array(corner)), (-x, -y, z), atol=1e-4)
    else:
        np.testing.assert_array_equal(image.array[0], numbers)
        np.testing.assert_allclose(image.grid.spacing_mm, theirs.GetSpacing()[::-1])


def as_tifffile(path, image):
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        numbers, page = series.asarray(), series.keyframe
    if page.photometric == 3:  # a palette
        assert image.grid.shape == numbers.shape and image.channels == 3
        assert len(np.unique(image.array.reshape(3, -1), axis=1).T) <= 256
    elif page.axes == "YXS" and page.samplesperpixel >= 3:
        np.testing.assert_array_equal(np.moveaxis(image.array, 0, -1), numbers[..., :3])
    else:
        np.testing.assert_array_equal(image.array.squeeze(), numbers)


def as_pillow(path, image):
    from PIL import Image as Picture

    with Picture.open(path) as picture:
        bits = picture.mode == "1"
        numbers = np.asarray(picture.convert("RGB"))
    assert image.grid.shape == numbers.shape[:2]
    np.testing.assert_array_equal(image.array[-1] * (255 if bits else 1), numbers[..., -1])


def as_pydicom(path, image):
    ds = pydicom.dcmread(path, force=True)
    assert image.grid.shape[:2] == ((ds.Rows, ds.Columns) if image.grid.dims == 2 else (ds.Columns, ds.Rows))
    frames = int(ds.get("NumberOfFrames") or 1)
    assert image.grid.shape[2:] == ((frames,) if image.grid.dims == 3 else ())
    slope, intercept = (
        float(ds.get("RescaleSlope") or ds.get("DoseGridScaling") or 1),
        float(ds.get("RescaleIntercept") or 0),
    )
    numbers = ds.pixel_array.astype(float)
    if image.grid.dims == 3 and frames == 1:
        np.testing.assert_allclose(image.array[0, :, :, 0].T, numbers * slope + intercept, atol=1e-2)
        x, y, z = map(float, ds.ImagePositionPatient)
        np.testing.assert_allclose(image.grid.origin_mm, (-x, -y, z), atol=1e-4)
        one_down = np.asarray(ds.ImageOrientationPatient[3:], float) * float(ds.PixelSpacing[0]) * (-1, -1, 1)
        np.testing.assert_allclose(image.grid.to_world(np.array([0, 1, 0])) - image.grid.origin_mm, one_down, atol=1e-2)
    elif image.grid.dims == 3:
        sums = image.array[0].sum(axis=(0, 1), dtype=float)
        np.testing.assert_allclose(np.sort(sums), np.sort(numbers.sum(axis=(1, 2)) * slope + intercept), rtol=1e-6)
    elif ds.PhotometricInterpretation == "MONOCHROME1":
        np.testing.assert_array_equal(image.array[0], 2**ds.BitsStored - 1 - numbers)
    elif image.channels == 1:
        np.testing.assert_allclose(image.array[0], numbers * slope + intercept, atol=1e-3)


def test_folder_of_slices_is_sorted_by_position(real_data):
    folder = FOLDER / "dicom_series" / "ct_lung_jpeg_lossless"
    image = read_image(folder)
    assert image.grid.shape == (512, 512, 10) and image.grid.orientation == "LPS"
    np.testing.assert_allclose(image.grid.spacing_mm, (0.634765625, 0.634765625, 2.0), atol=1e-6)
    np.testing.assert_allclose(image.grid.origin_mm, (162.1826171875, 307.1826171875, -190.5), atol=1e-5)
    lowest = read_image(folder / "99C628-ASAD_138.dcm")  # file numbers run against the body
    np.testing.assert_array_equal(image.array[..., 0], lowest.array[..., 0])


def test_series_agrees_with_its_multi_frame_file_and_label(real_data):
    for name in ("tiny_23x38x3", "tiny_24x38x3"):
        folder = FOLDER / "dicom_seg" / name
        series, frames, label = (read_image(folder / part) for part in ("image", "mf.dcm", "label.nrrd"))
        assert series.grid.matches(frames.grid) and series.grid.matches(label.grid, tolerance_mm=1e-2)
        np.testing.assert_array_equal(series.array, frames.array)


def test_sixteen_axis_orders_show_one_head(real_data):
    reference = read_image(FOLDER / "nifti_tricky" / "orientations" / "RAS.nii.gz")
    middle = reference.grid.to_world((np.array(reference.grid.shape) - 1) / 2)
    for path in sorted((FOLDER / "nifti_tricky" / "orientations").glob("*.nii.gz")):
        image = read_image(path)
        assert image.grid.orientation == path.name[:3]
        place = tuple(np.rint(image.grid.to_index(middle)).astype(int))
        here = tuple(np.rint(reference.grid.to_index(image.grid.to_world(np.array(place)))).astype(int))
        assert abs(float(image.array[0][place]) - float(reference.array[0][here])) < 40, path.name
        assert image.grid.oriented("RAS").shape == reference.grid.shape
