"""Putting an image onto another grid: exactly where voxels coincide, by interpolation where they do not.

`onto` undoes any chain of crop, orientation and resampling, since a Grid remembers it. Three ways, the cheapest that
fits: whole voxels, axis permutations and flips are copied bit for bit; parallel axes are resampled one after the other
by banded operators (O(taps) per output value); oblique grids are read voxel by voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.case import Image
from ..core.errors import DataError
from ..core.grid import Grid

_TOLERANCE = 0.01
"""Voxels that positions may be off and still count as whole; headers keep about six digits."""

_THICK_RATIO = 3.0
"""Spacing ratio above which the coarsest axis is not interpolated (nnU-Net's anisotropy threshold)."""

_SLAB_BYTES = 1 << 22
"""Small enough that interpolating and decoding a piece stays in the cache."""

Decode = Callable[[np.ndarray], np.ndarray]


def onto(image: Image, grid: Grid, order: int | None = None, fill: float = 0, averaged: bool = False) -> Image:
    """The image on another grid.

    Args:
        image: Intensities are read by cubic B-splines, probabilities linearly, labels by the value with most linear
            weight (the larger value when equal), so that no value is invented. Fields are read linearly; their
            vectors point in the body, not in the array, and keep their values when axes are turned or flipped.
        grid: Where the result lies. When axes are parallel, one that is more than three times coarser than another
            is read at its nearest voxel (isensee2021nnunet, separate z); not of a field, which is smooth.
        order: 0, 1 or 3 instead of the default of the kind; labels take at most 1.
        fill: Value of voxels outside the image. Between the outermost voxel centres and faces the edge repeats.
        averaged: Intensities become the mean of the voxels that become one, along parallel axes that shrink, so that
            patterns finer than the new voxels vanish instead of turning into coarse ones.

    Returns:
        Same dtype, bit for bit, when both grids share voxels, or for labels; otherwise, and for fields, float32.

    Raises:
        DataError: When one grid is 2D and the other 3D.
    """
    if image.grid.dims != grid.dims:
        raise DataError(f"An image of {image.grid.dims} dimensions cannot be put onto a grid of {grid.dims}: {grid}.")
    order = _order(image.kind, order)
    matrix, offset = _relation(image.grid, grid)
    axes = _parallel(matrix, offset, image.grid, grid, averaged and image.kind == "intensities")
    whole = axes is not None and all(axis.whole for axis in axes)
    kept = image.kind == "labels" or (whole and image.kind != "field")
    result = np.full((image.channels, *grid.shape), fill, image.array.dtype.newbyteorder("=") if kept else np.float32)
    if axes is None:
        for source, target in zip(_solid(image.array), _solid(result), strict=True):
            _read_oblique(source, matrix, offset, order, target, image.kind == "labels")
    elif all(axis.begin < axis.end for axis in axes):
        orders = [order] * 3 if image.kind == "field" else _orders(axes, order, image.grid, grid)
        inside = tuple(slice(axis.begin, axis.end) for axis in axes)
        for source, target in zip(_solid(image.array), _solid(result), strict=True):
            turned = source.transpose([axis.source for axis in axes])
            target[inside] = _vote(turned, axes, orders) if image.kind == "labels" else _stretched(turned, axes, orders)
    return Image(result, grid, image.kind)


def resize(array: np.ndarray, shape: Sequence[int], order: int = 3, separate_axis: int | None = None) -> np.ndarray:
    """The array stretched to another shape, outer voxel faces staying where they are; float32.

    Args:
        array: (C, *S) intensities or probabilities, 2D or 3D.
        shape: New *S.
        order: 0, 1 or 3 (cubic B-spline), edges repeated, no smoothing before.
        separate_axis: This axis is read at its nearest voxel.
    """
    axes, orders = [], []
    for axis, (old, new) in enumerate(zip(array.shape[1:], shape, strict=True)):
        axes.append(_Axis(axis, old, 0, new, (np.arange(new) + 0.5) * old / new - 0.5, old == new))
        orders.append(0 if axis == separate_axis else order)
    if len(axes) == 2:
        axes.insert(1, _Axis(1, 1, 0, 1, np.zeros(1), True))
        orders.insert(1, 0)
    channels = [_stretched(channel, axes, orders) for channel in _solid(array)]
    result = channels[0][None] if len(channels) == 1 else np.stack(channels)
    return np.asarray(result, np.float32).reshape(len(array), *shape)


def decode_onto(
    probabilities: np.ndarray, source_grid: Grid, target_grid: Grid, decode: Decode, slab_bytes: int = _SLAB_BYTES
) -> np.ndarray:
    """The answer on another grid, from probabilities interpolated linearly and decoded slab by slab.

    The probabilities never exist at full size: beyond the answer, memory is two planes of all channels.

    Args:
        probabilities: (C, *S) float16 or float32 on `source_grid`; may be a memory map.
        source_grid: Where they lie.
        target_grid: Where the answer lies.
        decode: Gives integers (*T) for float32 probabilities (C, *T); called voxel by voxel alike on any slab.
        slab_bytes: Size of a slab that is decoded at once.

    Returns:
        Integers of `target_grid.shape`; 0 outside the source grid.
    """
    if probabilities.shape[1:] != source_grid.shape:
        raise DataError(f"Probabilities have shape {probabilities.shape} but their grid is {source_grid}.")
    matrix, offset = _relation(source_grid, target_grid)
    axes = _parallel(matrix, offset, source_grid, target_grid)
    solid = _solid(probabilities)
    if axes is None:
        slabs = _oblique_slabs(solid, matrix, offset, _solid_shape(target_grid.shape), slab_bytes)
    else:
        slabs = _parallel_slabs(solid, axes, _orders(axes, 1, source_grid, target_grid), slab_bytes)
    result: np.ndarray | None = None
    for place, slab in slabs:
        answer = np.asarray(decode(slab if target_grid.dims == 3 else slab[:, :, 0]))
        if result is None:
            result = np.zeros(target_grid.shape, answer.dtype if answer.dtype.itemsize <= 4 else np.int32)
        _solid(result[None])[0][place] = answer.reshape(slab.shape[1:])
    return np.zeros(target_grid.shape, np.uint8) if result is None else result


def thick_axis(*spacings_mm: Sequence[float]) -> int | None:
    """The axis more than three times coarser than another in the first spacing that has one; None without.

    Two equally coarse axes are not thick: then the third is merely fine.
    """
    for spacing in spacings_mm:
        coarsest = max(spacing)
        if len(spacing) == 3 and coarsest > _THICK_RATIO * min(spacing):
            candidates = [axis for axis, value in enumerate(spacing) if value > 0.99 * coarsest]
            return candidates[0] if len(candidates) == 1 else None
    return None


@dataclass(frozen=True)
class _Axis:
    """How one target axis reads the source axis it is parallel to."""

    source: int
    size: int
    begin: int
    end: int
    positions: np.ndarray
    whole: bool
    width: float = 0  # voxels that are averaged around a position; 0 where they are interpolated


def _order(kind: str, order: int | None) -> int:
    if order is None:
        return 3 if kind == "intensities" else 1
    if order not in (0, 1, 3):
        raise DataError(f"Interpolation order is 0, 1 or 3, got {order}.")
    return min(order, 1) if kind == "labels" else order


def _solid_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A 3D shape; flat images get a middle axis, so that rows stay first and columns contiguous."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else tuple(shape)


def _solid(array: np.ndarray) -> np.ndarray:
    return array[:, :, None] if array.ndim == 3 else array


def _relation(source: Grid, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Target index to source index as a 3x3 matrix and an offset."""
    affine = np.linalg.solve(source.affine, target.affine)
    matrix, offset = affine[:-1, :-1], affine[:-1, -1]
    if source.dims == 3:
        return matrix, offset
    solid = np.eye(3)
    solid[::2, ::2] = matrix
    return solid, np.array([offset[0], 0.0, offset[1]])


def _parallel(
    matrix: np.ndarray, offset: np.ndarray, source: Grid, target: Grid, averaged: bool = False
) -> list[_Axis] | None:
    """For each target axis how it reads its source axis; None when the grids are oblique to each other."""
    source_shape, target_shape = _solid_shape(source.shape), _solid_shape(target.shape)
    partners = np.abs(matrix).argmax(0)
    if len(set(partners.tolist())) < 3:
        return None
    strays = np.abs(matrix) * (np.asarray(target_shape) - 1)
    strays[partners, range(3)] = 0
    if strays.sum(1).max() > _TOLERANCE:
        return None
    return [
        _axis(int(partner), matrix[partner, axis], offset[partner], source_shape[partner], target_shape[axis], averaged)
        for axis, partner in enumerate(partners)
    ]


def _axis(source: int, step: float, first: float, size: int, length: int, averaged: bool) -> _Axis:
    positions = first + step * np.arange(length)
    rounded = np.round(first) + np.sign(step) * np.arange(length)
    width = abs(step) if averaged and abs(step) > 1 + _TOLERANCE else 0
    whole = not width and bool(np.abs(positions - rounded).max() <= _TOLERANCE)
    if whole:
        positions = rounded
    inside = np.flatnonzero((positions >= -0.5 - 1e-4) & (positions <= size - 0.5 + 1e-4))
    begin, end = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)
    return _Axis(source, size, begin, end, positions[begin:end], whole, width)


def _orders(axes: list[_Axis], order: int, source: Grid, target: Grid) -> list[int]:
    """Interpolation order of each target axis: 0 along a thick one."""
    orders = [order] * 3
    if source.dims == 3:
        thick = thick_axis([source.spacing_mm[axis.source] for axis in axes], target.spacing_mm)
        if thick is not None:
            orders[thick] = 0
    return orders


def _steps(axis: _Axis) -> slice:
    """The positions of a whole axis as a slice."""
    first, last = int(axis.positions[0]), int(axis.positions[-1])
    if first <= last:
        return slice(first, last + 1)
    return slice(first, last - 1 if last else None, -1)


def _stretched(source: np.ndarray, axes: list[_Axis], orders: list[int]) -> np.ndarray:
    """Intensities read along each axis in turn, those that shrink most first; leading axes of the source stay."""
    from . import banded

    leading = source.ndim - len(axes)
    fractional = [3 if axis.width else order for axis, order in zip(axes, orders, strict=True) if not axis.whole]
    if not leading and len(fractional) > 1 and max(fractional) <= 1:
        return _linear(source, axes, orders)
    whole = tuple(_steps(axis) if axis.whole else slice(None) for axis in axes)
    source = source[(slice(None),) * leading + whole]
    for place in sorted(range(len(axes)), key=lambda a: len(axes[a].positions) / axes[a].size):
        axis = axes[place]
        if not axis.whole:
            if axis.width:
                band = banded.averaging(axis.positions, axis.size, axis.width)
            else:
                band = banded.interpolation(axis.positions, axis.size, orders[place])
            source = banded.apply(source, band, leading + place)
    return source


def _linear(source: np.ndarray, axes: list[_Axis], orders: list[int]) -> np.ndarray:
    """Intensities read linearly, or at the nearest voxel, along all axes at once."""
    from .sampling import linear

    lows, highs, weights = [], [], []
    for place, (axis, order) in enumerate(zip(axes, orders, strict=True)):
        low, high, weight = _corners(axis, order)
        source = source[(slice(None),) * place + (slice(low.min(), high.max() + 1),)]
        lows.append((low - low.min()).astype(np.int32))
        highs.append((high - low.min()).astype(np.int32))
        weights.append(weight.astype(np.float32))
    target = np.empty([len(axis.positions) for axis in axes], np.float32)
    kind = np.int16 if source.dtype == np.int16 else np.float32
    linear(np.ascontiguousarray(source, kind), tuple(lows), tuple(highs), tuple(weights), target)
    return target


def _vote(source: np.ndarray, axes: list[_Axis], orders: list[int]) -> np.ndarray:
    from .sampling import vote

    if all(axis.whole for axis in axes):
        return source[tuple(_steps(axis) for axis in axes)]
    corners = [_corners(axis, order) for axis, order in zip(axes, orders, strict=True)]
    low, high, weight = zip(*corners, strict=True)
    target = np.empty([len(axis.positions) for axis in axes], source.dtype.newbyteorder("="))
    vote(_native(source), low, high, weight, target)
    return target


def _native(labels: np.ndarray) -> np.ndarray:
    """Labels as compiled code takes them: contiguous and in the byte order of the machine."""
    return np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))


def _corners(axis: _Axis, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each position the voxels below and above and the weight of the one above."""
    positions = np.round(axis.positions, 6)
    if order == 0:
        positions = np.floor(positions + 0.5)
    positions = np.clip(positions, 0, axis.size - 1)
    low = np.floor(positions).astype(np.int64)
    return low, np.minimum(low + 1, axis.size - 1), positions - low


def _read_oblique(
    source: np.ndarray, matrix: np.ndarray, offset: np.ndarray, order: int, target: np.ndarray, labels: bool
) -> None:
    from . import banded, sampling

    if labels:
        sampling.vote_oblique(_native(source), matrix, offset, order == 0, target)
    elif order < 3:
        sampling.linear_oblique(np.ascontiguousarray(source, np.float32), matrix, offset, order == 0, target)
    else:
        margin = 2
        for axis, size in enumerate(source.shape):
            source = banded.apply(source, banded.spline_coefficients(size, margin), axis)
        sampling.cubic_oblique(source, margin, matrix, offset, target)


Slab = tuple[tuple[slice, ...], np.ndarray]
"""Where a piece of the target lies, and its channels (C, *piece)."""


def _oblique_slabs(
    source: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], slab_bytes: int
) -> Iterator[Slab]:
    # Each slab reads the whole source, so these are fewer and larger.
    step = max(1, 64 * slab_bytes // (4 * len(source) * shape[1] * shape[2]))
    for begin in range(0, shape[0], step):
        end = min(begin + step, shape[0])
        slab = np.zeros((len(source), end - begin, *shape[1:]), np.float32)
        for channel, target in zip(source, slab, strict=True):
            _read_oblique(channel, matrix, offset + begin * matrix[:, 0], 1, target, labels=False)
        yield (slice(begin, end), slice(None), slice(None)), slab


def _parallel_slabs(source: np.ndarray, axes: list[_Axis], orders: list[int], slab_bytes: int) -> Iterator[Slab]:
    """Pieces of the first target axis and then the second; each source plane is stretched once, kept while needed."""
    from .sampling import blend

    if any(axis.begin == axis.end for axis in axes):
        return
    first, second, third = axes
    turned = source.transpose([0, *(axis.source + 1 for axis in axes)])
    rows = list(zip(*(corner.tolist() for corner in _corners(first, orders[0])), strict=True))
    width, line = second.end - second.begin, 4 * len(source) * (third.end - third.begin)
    step, part = max(1, slab_bytes // (line * width)), min(width, max(1, slab_bytes // line))
    planes: dict[int, np.ndarray] = {}
    for begin in range(0, len(rows), step):
        piece = rows[begin : begin + step]
        needed = {row for low, high, weight in piece for row in ((low, high) if weight else (low,))}
        planes = {row: plane for row, plane in planes.items() if row in needed}
        for row in sorted(needed - planes.keys()):
            plane = _stretched(turned[:, row], [second, third], orders[1:])
            planes[row] = np.ascontiguousarray(plane, np.float32)
        for left in range(0, width, part):
            right = min(left + part, width)
            slab = np.empty((len(source), len(piece), right - left, third.end - third.begin), np.float32)
            for place, (low, high, weight) in enumerate(piece):
                blend(planes[low], planes[high if weight else low], weight, left, slab, place)
            starts = (first.begin + begin, second.begin + left, third.begin)
            yield tuple(slice(a, a + n) for a, n in zip(starts, slab.shape[1:], strict=True)), slab
