"""Dense random field: every voxel is tied to every other one, more strongly the nearer and the more alike they are.

E(x) = sum of -log p_i(x_i) + sum over all pairs of k(i, j) [x_i != x_j], with

k(i, j) = a exp(-|s_i - s_j|^2 / 2 A^2 - |I_i - I_j|^2 / 2 B^2) + b exp(-|s_i - s_j|^2 / 2 C^2),

both kernels divided by sqrt(n_i n_j), n being the sum of a kernel over all voxels. Mean field approximates it:
Q_i(l) <- p_i(l) exp(sum over j != i of k(i, j) Q_j(l)), scaled to sum to 1, a few times.

Reference:
    krahenbuhl2011dense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from pydantic import Field

from ..core.case import Image
from ..core.errors import DataError
from ..core.settings import Settings
from ..ops.morphology import bounding_box
from .lattice import Lattice
from .prior import checked

LEAST = 1e-4
"""No class is less likely than this, so that neighbours can always be heard."""
SURE = 0.99
LARGEST_PART = 2**22
"""Voxels that are refined at once."""
BEYOND = 3.0
"""How many reaches around the doubtful voxels are looked at too."""


class FieldSettings(Settings):
    """How strongly, and how far, voxels of a dense random field agree."""

    appearance: float = Field(2.0, ge=0, description="Weight a of nearby voxels that look alike.")
    appearance_reach: float = Field(8.0, gt=0, description="How far they are heard (A), in steps of the finest axis.")
    contrast: float = Field(
        0.4, gt=0, description="Difference that still looks alike (B), in standard deviations of the intensities."
    )
    smoothness: float = Field(1.0, ge=0, description="Weight b of near voxels, however they look.")
    smoothness_reach: float = Field(1.0, gt=0, description="How far they are heard (C), in steps of the finest axis.")
    steps: int = Field(5, ge=1, description="Rounds of mean field.")


Filter = Callable[[np.ndarray], np.ndarray]
"""From Q (K, *S) to the sum over the other voxels, weighed by one normalised kernel."""


def mean_field(
    image: Image, probabilities: np.ndarray, settings: FieldSettings | None = None, exact: bool = False
) -> np.ndarray:
    """The probabilities of each voxel once it has heard all others, float32 (K, *S), summing to 1.

    Args:
        image: What voxels look like, and how far apart they are.
        probabilities: Shape (K, *S), of classes that exclude each other.
        settings: Weights and reaches.
        exact: Sum over all pairs instead of filtering on a lattice: N^2 time and memory, for tiny images.

    Raises:
        DataError: When image and probabilities differ in shape.
    """
    settings = settings or FieldSettings()
    if probabilities.shape[1:] != image.grid.shape:
        raise DataError(f"probabilities of shape {probabilities.shape[1:]} do not fit an image on {image.grid}.")
    energies = -np.log(np.clip(probabilities, LEAST, 1))
    kernels = _all_pairs(image, settings) if exact else _filters(image, settings)
    weighed = zip((settings.appearance, settings.smoothness), kernels, strict=True)
    heard = [(weight, kernel) for weight, kernel in weighed if weight]
    q = _softmax(-energies)
    for _ in range(settings.steps if heard else 0):
        q = _softmax(sum((weight * kernel(q) for weight, kernel in heard), -energies))
    return q


def refine(
    image: Image, probabilities: np.ndarray, exclusive: bool = True, settings: FieldSettings | None = None
) -> np.ndarray:
    """Probabilities (K, *S) of a net after a dense random field has heard the image; same type.

    Only the box around voxels of which the net is less sure than 0.99 is changed, in parts of at most 4 million
    voxels that overlap by what they hear of each other; each takes about 250 bytes a voxel.

    Args:
        image: The case as it lies in its file.
        probabilities: On the same grid.
        exclusive: Channels are classes that exclude each other; otherwise each is a region by itself.
        settings: Weights and reaches.
    """
    settings = settings or FieldSettings()
    result = probabilities.copy()
    for channels in [slice(None)] if exclusive else [slice(k, k + 1) for k in range(len(probabilities))]:
        maps = probabilities[channels]
        if not exclusive:
            maps = np.concatenate([1 - maps, maps])
        for inner, outer in _parts(maps, image, settings):
            grid = image.grid.cropped([part.start for part in outer], [part.stop - part.start for part in outer])
            part = Image(image.array[(slice(None), *outer)], grid)
            answer = mean_field(part, maps[(slice(None), *outer)].astype(np.float32), settings)
            own = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
            answer = answer[(slice(None), *own)]
            result[(channels, *inner)] = answer if exclusive else answer[1:]
    return result


def _parts(
    maps: np.ndarray, image: Image, settings: FieldSettings
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Boxes to change, and around each the box that is heard."""
    # Where nothing was predicted at all, probabilities are 0, and stay.
    most = maps.max(0)
    box = bounding_box((most < SURE) & (most > 0))
    if box is None:
        return
    finest = min(image.grid.spacing_mm)
    reach = BEYOND * max(settings.appearance_reach, settings.smoothness_reach)
    margin = [int(np.ceil(reach * finest / spacing)) for spacing in image.grid.spacing_mm]
    long = int(np.argmax([part.stop - part.start for part in box]))
    heard = [part.stop - part.start + 2 * m for part, m in zip(box, margin, strict=True)]
    thick = max(1, int(LARGEST_PART / np.prod(heard[:long] + heard[long + 1 :])) - 2 * margin[long])
    for begin in range(box[long].start, box[long].stop, thick):
        inner = (*box[:long], slice(begin, min(begin + thick, box[long].stop)), *box[long + 1 :])
        sized = zip(inner, margin, most.shape, strict=True)
        yield inner, tuple(slice(max(0, part.start - m), min(size, part.stop + m)) for part, m, size in sized)


def _looks(image: Image) -> np.ndarray:
    """Intensities (C, *S) in standard deviations, extremes clipped."""
    array = checked(image)
    looks = np.empty_like(array)
    for channel, look in zip(array, looks, strict=True):
        low, high = np.percentile(channel, (0.5, 99.5))
        clipped = np.clip(channel, low, high)
        look[...] = clipped / (float(clipped.std()) or 1.0)
    return looks


def _filters(image: Image, settings: FieldSettings) -> tuple[Filter, Filter]:
    from scipy.ndimage import gaussian_filter

    steps = [min(image.grid.spacing_mm) / spacing for spacing in image.grid.spacing_mm]
    shape = image.grid.shape
    lattice = Lattice(_features(image, settings)) if settings.appearance else None
    sigma = [settings.smoothness_reach * step for step in steps]

    def alike(values: np.ndarray) -> np.ndarray:
        assert lattice is not None
        return lattice.filter(values.reshape(len(values), -1).T).T.reshape(values.shape)

    def near(values: np.ndarray) -> np.ndarray:
        return np.stack([gaussian_filter(one, sigma, mode="constant") for one in values])

    centre = np.zeros([1, *[2 * int(np.ceil(4 * s)) + 1 for s in sigma]], np.float32)
    middle = (0, *(n // 2 for n in centre.shape[1:]))
    centre[middle] = 1
    own = float(near(centre)[middle])
    return _normalised(alike, shape, 1.0) if lattice else near, _normalised(near, shape, own)


def _normalised(kernel: Filter, shape: tuple[int, ...], own: float) -> Filter:
    """The kernel divided by sqrt(n_i n_j), without what each voxel says to itself."""
    total = np.maximum(kernel(np.ones((1, *shape), np.float32))[0], own)
    root = 1 / np.sqrt(total)
    return lambda q: kernel(q * root) * root - q * (own / total)


def _features(image: Image, settings: FieldSettings) -> np.ndarray:
    """Places and looks of each voxel (N, d), in standard deviations of the kernel of appearance."""
    shape, finest = image.grid.shape, min(image.grid.spacing_mm)
    columns = []
    for axis, (size, spacing) in enumerate(zip(shape, image.grid.spacing_mm, strict=True)):
        place = np.arange(size, dtype=np.float32) * (spacing / finest / settings.appearance_reach)
        columns.append(np.broadcast_to(place.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape))
    columns += list(_looks(image) / np.float32(settings.contrast))
    return np.stack([column.ravel() for column in columns], 1).astype(np.float32)


def _all_pairs(image: Image, settings: FieldSettings) -> tuple[Filter, Filter]:
    """Both kernels as matrices."""
    dims = image.grid.dims
    features = _features(image, settings).astype(float)
    places = features[:, :dims] * (settings.appearance_reach / settings.smoothness_reach)

    def of(points: np.ndarray) -> Filter:
        kernel = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(2))
        root = 1 / np.sqrt(kernel.sum(1))
        kernel *= root[:, None] * root[None]
        np.fill_diagonal(kernel, 0)
        return lambda q: (q.reshape(len(q), -1) @ kernel).reshape(q.shape).astype(np.float32)

    return of(features), of(places)


def _softmax(values: np.ndarray) -> np.ndarray:
    values = np.exp(values - values.max(0))
    return (values / values.sum(0)).astype(np.float32)
