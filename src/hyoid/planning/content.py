"""What is kept of the voxels of an image: by what it is known again, and how bright it is."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

_DIGESTED = 1 << 20
_DRAWN = 20_000
PERCENTILES = (1.0, 50.0, 99.0)


def digest_of(array: np.ndarray) -> str:
    """A short fingerprint of numbers and shape, the same for any type that holds them; needs little memory."""
    found = blake2b(repr(array.shape).encode(), digest_size=12)
    flat = np.ascontiguousarray(array).reshape(-1)
    for start in range(0, flat.size, _DIGESTED):
        found.update(flat[start : start + _DIGESTED].astype("<f4").tobytes())
    return found.hexdigest()


BLANK = "-"


def content_of(array: np.ndarray) -> str:
    """A digest of each channel of an image (C, *S), with blanks between them; "-" where all voxels are the same.

    An image is known again by any channel, such as a grey one that another file holds as red, green and blue.
    """
    return " ".join(BLANK if one.min() == one.max() else _content_of(one[None]) for one in array)


def parts_of(content: str) -> list[str]:
    """The digests of the channels of an image that tell it from others."""
    return [one for one in dict.fromkeys(content.split()) if one != BLANK]


def _content_of(array: np.ndarray) -> str:
    """The digest of an image (C, *S) in one pose, whatever the order and direction of its axes: of mirror images too.

    Formats differ in both, so that the same image from another file has another array. Axes come in the order of their
    length, then of how far the centre of mass is from the middle, which lies in the first half.
    """
    array = array.reshape(len(array), *(size for size in array.shape[1:] if size > 1))
    leans: list[tuple[int, float]] = []
    for axis, size in enumerate(array.shape[1:], 1):
        profile = array.sum(axis=tuple(other for other in range(array.ndim) if other != axis), dtype=np.float64)
        weight = float(np.abs(profile).sum()) or 1.0
        places = np.arange(size, dtype=np.float64) - (size - 1) / 2
        lean = round(float(profile @ places) / (weight * size), 7)
        leans.append((size, abs(lean)))
        array = np.flip(array, axis) if lean > 0 else array
    order = sorted(range(len(leans)), key=leans.__getitem__)
    return digest_of(array.transpose(0, *(axis + 1 for axis in order)))


def levels_of(array: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """The 1st, 50th and 99th percentile of each channel of an image (C, *S), of voxels that are not all 0.

    20 000 voxels are drawn, always the same ones.
    """
    flat = array.reshape(len(array), -1)
    if flat.shape[1] > _DRAWN:
        flat = flat[:, np.random.default_rng(0).integers(0, flat.shape[1], _DRAWN)]
    flat = flat.astype(np.float64)
    flat = flat[:, (flat != 0).any(axis=0)] if flat.any() else flat
    found = np.percentile(flat, PERCENTILES, axis=1).T
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in found)
