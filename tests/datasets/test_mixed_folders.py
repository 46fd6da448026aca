"""Folders in which several kinds of files lie together: nothing vanishes without a word."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import find_images, open_dataset
from hyoid.datasets.inspect import inspect_path
from hyoid.files.formats import read_header, write_image

BOX = Grid.plain((6, 7, 8), (1.0, 1.0, 2.0))


def write_slice(path: Path, position: float, **fields: object) -> None:
    pixels = np.arange(20, dtype=np.int16).reshape(4, 5)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.Modality, ds.SeriesInstanceUID = CTImageStorage, "CT", "1"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", 4, 5
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0.0, 0.0, position], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ds.PixelSpacing, ds.PixelData = [1.0, 1.0], pixels.tobytes()
    for name, value in fields.items():
        setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds)


def image(path: Path) -> Path:
    write_image(path, Image(np.arange(336, dtype=np.int16).reshape(1, *BOX.shape), BOX))
    return path


def test_a_header_and_its_voxels_are_one_image(tmp_path):
    import nibabel

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        voxels = np.zeros(BOX.shape, np.uint8)
        voxels[1:3, 1:3, 1:3] = 1
        nibabel.Nifti1Pair(voxels, np.diag([1.0, 1.0, 2.0, 1.0])).to_filename(tmp_path / folder / "ras.img")
    assert [entry.images for entry in find_images(tmp_path / "images")] == [(tmp_path / "images" / "ras.img",)]
    assert [entry.id for entry in find_images(sorted((tmp_path / "images").iterdir()))] == ["ras"]
    for path in (tmp_path, tmp_path / "images" / "ras.hdr"):
        assert open_dataset(path).read("ras").truth.array.sum() == 8


def test_equal_names_in_different_folders_are_named(tmp_path):
    for name in ("x", "y"):
        image(tmp_path / name / "scan.nii.gz")
    with pytest.raises(DataError, match=r"different folders are called 'scan' \(.*x/scan.*y/scan.*own name"):
        find_images([tmp_path / "x", tmp_path / "y"])


def test_a_stray_slice_does_not_hide_other_images(tmp_path, caplog):
    image(tmp_path / "c0.nii.gz")
    write_slice(tmp_path / "CT_small.dcm", 0)
    assert [entry.id for entry in find_images(tmp_path)] == ["c0"]
    assert "1 DICOM files beside other images are left out (CT_small.dcm)" in caplog.text
    (problem,) = inspect_path(tmp_path).problems
    assert "CT_small.dcm, c0.nii.gz" in problem


def test_an_image_beside_a_series_is_told(tmp_path, caplog):
    for k in range(3):
        write_slice(tmp_path / f"{k}.dcm", k)
    image(tmp_path / "mask.nii.gz")
    assert [entry.images for entry in find_images(tmp_path)] == [(tmp_path,)]
    assert "images beside it are left out: mask.nii.gz" in caplog.text
    assert "such as mask.nii.gz" in read_header(tmp_path).notes[-1]


def test_a_file_without_image_fields_is_left_out_of_a_series(tmp_path):
    write_slice(tmp_path / "0.dcm", 0)
    write_slice(tmp_path / "1.dcm", 2)
    other = Dataset()
    other.PatientName = "x"
    pydicom.dcmwrite(tmp_path / "UN_sequence.dcm", other, implicit_vr=False, little_endian=True)
    found = inspect_path(tmp_path)
    assert found.problems == () and "left out, such as UN_sequence.dcm" in found.notes[0]
    assert found.facts["slices"] == "2" and found.facts["DICOM files"] == "3"
    assert found.title == f"{tmp_path.name}: DICOM CT image"


def test_a_slice_without_a_modality_is_still_named_well(tmp_path):
    write_slice(tmp_path / "0.dcm", 0, Modality="")
    assert inspect_path(tmp_path).title == f"{tmp_path.name}: DICOM image"


def test_a_case_folder_that_mixes_kinds_is_told(tmp_path, caplog):
    image(tmp_path / "a.nii.gz")
    write_slice(tmp_path / "p1" / "0.dcm", 0)
    image(tmp_path / "p1" / "other.nii.gz")
    assert [entry.id for entry in find_images(tmp_path)] == ["a"]
    assert "mix DICOM slices with other images are left out: p1" in caplog.text
