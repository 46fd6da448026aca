"""Small whole files of every format that hyoid reads; each lies in a folder of its own, named after what it is."""

import json
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import SimpleITK
import tifffile
import zarr
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, generate_uid

_RANDOM = np.random.default_rng(0)
PLANE = (np.add.outer(np.arange(24), np.arange(20)) * 5 + _RANDOM.integers(0, 9, (24, 20))).astype(np.uint8)
VOLUME = np.stack([PLANE + 10 * number for number in range(6)]).astype(np.int16)
COLOUR = np.stack([PLANE, PLANE[::-1], PLANE // 2], -1)


def _nifti(folder: Path, name: str, array: np.ndarray = VOLUME, kind: type = nibabel.Nifti1Image) -> None:
    image = kind(array, np.diag([1.0, 1.0, 2.0, 1.0]))
    if kind is not nibabel.MGHImage and array.dtype == np.int16:
        image.header.set_slope_inter(2.0, -5.0)
    nibabel.save(image, folder / name)


def _itk(folder: Path, name: str, packed: bool, array: np.ndarray = VOLUME) -> None:
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(array, isVector=array.ndim > 3), str(folder / name), useCompression=packed
    )


def slice_of(
    plane: np.ndarray, syntax: str, number: int = 0, series: str = "1.2.3", frame: bytes | None = None
) -> Dataset:
    """A CT slice (or colour picture) with these pixels, or with this frame encoded in the transfer syntax."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
    ds.Modality, ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.PatientID = "CT", series, "1.2", "P"
    ds.Rows, ds.Columns = plane.shape[:2]
    ds.SamplesPerPixel = 3 if plane.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if plane.ndim == 3 else "MONOCHROME2"
    if plane.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * plane.dtype.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(plane.dtype.kind == "i")
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.8], 2.0
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0.0, 0.0, 2.0 * number], [1, 0, 0, 0, 1, 0]
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024 if plane.ndim == 2 else 0
    ds.PixelData = plane.tobytes() if frame is None else encapsulate([frame])
    ds["PixelData"].VR = "OB" if frame is not None or plane.dtype.itemsize == 1 else "OW"
    return ds


def _dicom(folder: Path, name: str, plane: np.ndarray, syntax: str, frame: bytes | None = None) -> None:
    slice_of(plane, syntax, frame=frame).save_as(folder / name, enforce_file_format=True)


def _series(folder: Path) -> None:
    (folder / "series").mkdir()
    for number, plane in enumerate(VOLUME):
        slice_of(plane, EXPLICIT, number).save_as(folder / "series" / f"{number}.dcm", enforce_file_format=True)


def _run_length(folder: Path) -> None:
    ds = slice_of(VOLUME[0], EXPLICIT)
    ds.compress("1.2.840.10008.1.2.5")
    ds.save_as(folder / "a.dcm", enforce_file_format=True)


def _tiff(folder: Path, array: np.ndarray = VOLUME, name: str = "a.tif", **options: object) -> None:
    tifffile.imwrite(folder / name, array, **options)


def _pages(folder: Path, **options: object) -> None:
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for plane in VOLUME:
            file.write(plane, contiguous=False, metadata=None, **options)


def _pillow_stack(folder: Path) -> None:
    first, *rest = (Picture.fromarray(plane.astype(np.uint8)) for plane in VOLUME)
    first.save(folder / "a.tif", save_all=True, append_images=rest)


def _zarr(folder: Path, version: int, compressor: object, shards: tuple[int, ...] | None = None) -> None:
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [2.0, 0.7, 0.8]}]
    facts = {
        "multiscales": [
            {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
        ]
    }
    attributes = {"ome": {"version": "0.5", **facts}} if version == 3 else facts
    group = zarr.create_group(store=folder / "a.ome.zarr", zarr_format=version, attributes=attributes)
    array = group.create_array(
        "0", shape=VOLUME.shape, chunks=(3, 12, 20), shards=shards, dtype=VOLUME.dtype, compressors=[compressor]
    )
    array[:] = VOLUME


def _picture(folder: Path, name: str, picture: Picture.Image, **options: object) -> None:
    picture.save(folder / name, **options)


def _dataset(folder: Path) -> Path:
    """A small data set in folders, to which tables are laid."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for number in range(3):
            array = PLANE if kind == "images" else (PLANE > 100).astype(np.uint8)
            Picture.fromarray(array).save(folder / kind / f"c{number}.png")
    return folder


def _text(folder: Path, name: str, text: str) -> None:
    (_dataset(folder) / name).write_text(text)


def _manifest(folder: Path) -> None:
    rows = [{"image": f"images/c{n}.png", "label": f"labels/c{n}.png"} for n in range(3)]
    _text(folder, "dataset.json", json.dumps({"name": "a", "labels": {"background": 0, "liver": 1}, "training": rows}))


EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
JPEG, LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
BLOSC_2, ZLIB_2 = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}, {"id": "zlib", "level": 1}

IMAGES = {
    "nifti": lambda f: _nifti(f, "a.nii"),
    "nifti_gz": lambda f: _nifti(f, "a.nii.gz"),
    "nifti_float": lambda f: _nifti(f, "a.nii.gz", VOLUME.astype(np.float32)),
    "nifti_two": lambda f: _nifti(f, "a.nii", VOLUME, nibabel.Nifti2Image),
    "nifti_pair": lambda f: _nifti(f, "a.hdr", VOLUME, nibabel.Nifti1Pair),
    "mgz": lambda f: _nifti(f, "a.mgz", VOLUME.astype(np.float32), nibabel.MGHImage),
    "nrrd": lambda f: _itk(f, "a.nrrd", False),
    "nrrd_gz": lambda f: _itk(f, "a.nrrd", True),
    "nhdr": lambda f: _itk(f, "a.nhdr", False),
    "mha": lambda f: _itk(f, "a.mha", False),
    "mha_zlib": lambda f: _itk(f, "a.mha", True),
    "mha_colour": lambda f: _itk(f, "a.mha", False, np.stack([VOLUME] * 3, -1)),
    "mhd": lambda f: _itk(f, "a.mhd", False),
    "dicom": lambda f: _dicom(f, "a.dcm", VOLUME[0], EXPLICIT),
    "dicom_implicit": lambda f: _dicom(f, "a.dcm", VOLUME[0], IMPLICIT),
    "dicom_deflated": lambda f: _dicom(f, "a.dcm", VOLUME[0], DEFLATED),
    "dicom_jpeg": lambda f: _dicom(f, "a.dcm", PLANE, JPEG, imagecodecs.jpeg8_encode(PLANE)),
    "dicom_lossless": lambda f: _dicom(
        f,
        "a.dcm",
        VOLUME[0].view(np.uint16),
        LOSSLESS,
        imagecodecs.jpeg8_encode(VOLUME[0].view(np.uint16), lossless=True),
    ),
    "dicom_jpeg_ls": lambda f: _dicom(f, "a.dcm", PLANE, JPEG_LS, imagecodecs.jpegls_encode(PLANE)),
    "dicom_jpeg_2000": lambda f: _dicom(
        f, "a.dcm", PLANE, JPEG_2000, imagecodecs.jpeg2k_encode(PLANE, codecformat="j2k", reversible=True)
    ),
    "dicom_colour": lambda f: _dicom(f, "a.dcm", COLOUR, EXPLICIT),
    "dicom_rle": _run_length,
    "dicom_series": _series,
    "tiff": _tiff,
    "tiff_deflate": lambda f: _pages(f, compression="zlib"),
    "tiff_lzw_tiles": lambda f: _tiff(f, PLANE, compression="lzw", tile=(16, 16)),
    "tiff_jpeg": lambda f: _tiff(f, COLOUR, compression="jpeg"),
    "tiff_pages": _pages,
    "tiff_pillow": _pillow_stack,
    "tiff_imagej": lambda f: _tiff(f, VOLUME, imagej=True, metadata={"axes": "ZYX", "unit": "mm", "spacing": 2.0}),
    "tiff_big": lambda f: _tiff(f, VOLUME, bigtiff=True),
    "ome_tiff": lambda f: _tiff(f, VOLUME, "a.ome.tif", metadata={"axes": "ZYX"}),
    "ome_tiff_zlib": lambda f: _tiff(f, VOLUME, "a.ome.tif", metadata={"axes": "ZYX"}, compression="zlib"),
    "zarr_blosc": lambda f: _zarr(f, 2, BLOSC_2),
    "zarr_zlib": lambda f: _zarr(f, 2, ZLIB_2),
    "zarr_three_blosc": lambda f: _zarr(f, 3, zarr.codecs.BloscCodec()),
    "zarr_three_zstd": lambda f: _zarr(f, 3, zarr.codecs.ZstdCodec()),
    "zarr_shards": lambda f: _zarr(f, 3, zarr.codecs.GzipCodec(), (6, 24, 20)),
    "png": lambda f: _picture(f, "a.png", Picture.fromarray(PLANE)),
    "png_colour": lambda f: _picture(f, "a.png", Picture.fromarray(COLOUR)),
    "png_palette": lambda f: _picture(f, "a.png", Picture.fromarray(COLOUR).quantize(5)),
    "png_deep": lambda f: _picture(f, "a.png", Picture.fromarray(VOLUME[0].astype(np.uint16))),
    "png_bit": lambda f: _picture(f, "a.png", Picture.fromarray(PLANE > 100)),
    "jpeg": lambda f: _picture(f, "a.jpg", Picture.fromarray(COLOUR), quality=90),
    "bmp": lambda f: _picture(f, "a.bmp", Picture.fromarray(COLOUR)),
    "gif": lambda f: _picture(f, "a.gif", Picture.fromarray(PLANE)),
    "pnm": lambda f: _picture(f, "a.pgm", Picture.fromarray(PLANE)),
    "npy": lambda f: np.save(f / "a.npy", VOLUME),
}
"""What lays each image into an empty folder; the damaged file is any below it."""

LABELS = "background: 0\nliver: 1\ntumour: 2\n"
FACTS = "case,patient,site\nc0,p0,a\nc1,p1,b\nc2,p2,b\n"
SPLITS = '[{"train": ["c0", "c1"], "val": ["c2"]}]'
TABLES = {
    "labels_yaml": lambda f: _text(f, "labels.yaml", LABELS),
    "cases_csv": lambda f: _text(f, "cases.csv", FACTS),
    "manifest": _manifest,
    "dataset": _dataset,
}
"""What lays each data set into an empty folder; the damaged file is a table of it, or a picture where there is none."""


def experiment(folder: Path) -> None:
    """Lay the settings of a run."""
    from hyoid.experiment import Experiment

    Experiment(data="images").write(folder / "experiment.yaml")
