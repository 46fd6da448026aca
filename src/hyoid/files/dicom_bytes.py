"""The bytes of DICOM files: decoded by libraries that refuse damaged ones, inflated no further than the header needs.

GDCM, which pydicom would choose for most compressed pixels, ends the whole process at some of them and is not used.
"""

from __future__ import annotations

import math
import mmap
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .sniff import ANY, DEFLATE

_JPEG = "1.2.840.10008.1.2.4."
_BASELINE, _EXTENDED, _LOSSLESS = f"{_JPEG}50", f"{_JPEG}51", (f"{_JPEG}57", f"{_JPEG}70")
_JPEG_LS = (f"{_JPEG}80", f"{_JPEG}81")
_DEFLATED, _RUN_LENGTH = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
_BESIDE_PIXELS = 1 << 26
"""Bytes that everything but the pixels of a deflated file may take."""

DECODER_DEPENDENCIES = dict.fromkeys((_EXTENDED, *_LOSSLESS), ("imagecodecs",))


def decoded(ds: Any) -> np.ndarray:
    """The stored numbers of a data set, colours as RGB."""
    from pydicom.pixels import get_decoder, pixel_array

    if not hasattr(ds, "file_meta"):
        return np.asarray(ds.pixel_array)
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    plugin = _plugin(syntax, ds)
    if plugin == "imagecodecs" and plugin not in (decoder := get_decoder(syntax)).available_plugins:
        decoder.add_plugin(plugin, (__name__, "decode_frame"))
    return np.asarray(pixel_array(ds, decoding_plugin=plugin))


def _plugin(syntax: str, ds: Any) -> str:
    if syntax == _BASELINE or (syntax == _EXTENDED and ds.get("BitsStored") == 8):
        return "pillow"
    if syntax in DECODER_DEPENDENCIES:
        return "imagecodecs"
    if syntax in _JPEG_LS:
        return "pyjpegls"
    return "pylibjpeg" if syntax.startswith(_JPEG) else ""


def is_available(syntax: str) -> bool:
    """What pydicom asks a module that decodes."""
    return syntax in DECODER_DEPENDENCIES


def decode_frame(data: bytes, runner: Any) -> bytes:
    """One frame of 12-bit or lossless JPEG, as pydicom wants it."""
    import imagecodecs

    frame = imagecodecs.jpeg8_decode(data)
    if frame.shape[:2] != (runner.rows, runner.columns):
        raise ValueError(f"the frame is {frame.shape[:2]} in size, the header says {(runner.rows, runner.columns)}")
    runner.set_option("bits_allocated", 8 * frame.itemsize)
    runner.set_option("planar_configuration", 0)
    return frame.tobytes()


def fields(path: Path, head: bytes, pixels: bool) -> Any:
    """The data set of a file that begins with these bytes, with or without its pixels."""
    import pydicom
    from pydicom.filereader import read_file_meta_info

    if _DEFLATED.encode() not in head:
        # An open file asks for the memory of whatever length a field claims to have, a map gives what there is.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            source: Any = mapped
            return pydicom.dcmread(source, stop_before_pixels=not pixels, force=head[128:132] != b"DICM")
    try:
        meta = read_file_meta_info(path)
    except MemoryError:  # it is some hundred bytes long
        raise ValueError("its file meta information claims to be longer than memory") from None
    content = _inflated(path.read_bytes()[144 + int(meta.FileMetaInformationGroupLength) :])
    ds = pydicom.dcmread(BytesIO(content), stop_before_pixels=not pixels)
    ds.file_meta = meta
    return ds


def _inflated(data: bytes) -> bytes:
    """The data set that deflated data holds, behind the mark of a DICOM file, as far as its pixels reach."""
    from pydicom import dcmread

    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = bytes(128) + b"DICM" + inflate.decompress(data, _BESIDE_PIXELS)
    if inflate.unconsumed_tail:
        header = dcmread(BytesIO(content), stop_before_pixels=True)
        content += inflate.decompress(inflate.unconsumed_tail, max(1, pixel_bytes(header)))
    if not inflate.eof and not inflate.unconsumed_tail:
        raise ValueError("the deflated data ends too early")
    return content


def pixel_bytes(ds: Any) -> int:
    """How many bytes the pixels take that the header tells of, when they are not compressed."""
    numbers = [int(ds.get(name) or 1) for name in ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")]
    bits = math.prod(numbers) * int(ds.get("BitsAllocated") or 16)
    return bits // 12 if ds.get("PhotometricInterpretation") == "YBR_FULL_422" else bits // 8


def packed(ds: Any) -> int:
    """How many times smaller, at the most, the pixels are in the file."""
    syntax = str(getattr(ds, "file_meta", {}).get("TransferSyntaxUID", ""))
    return DEFLATE if syntax == _DEFLATED else ANY if syntax.startswith((_JPEG, _RUN_LENGTH)) else 1


def is_cut_slice(ds: Any) -> bool:
    """Whether a data set is the beginning of an image that ends before its size; reports and plans have none."""
    from pydicom.uid import UID_dictionary

    if "Rows" in ds and "Columns" in ds:
        return False
    meta = getattr(ds, "file_meta", {})
    said = (ds.get("SOPClassUID"), meta.get("MediaStorageSOPClassUID"))
    names = [UID_dictionary[one][0] for one in said if one in UID_dictionary]
    says_nothing = not names and all(tag.group == 0 for tag in ds.keys())  # noqa: SIM118
    return "Rows" in ds or says_nothing or any("Image Storage" in name for name in names)
