"""Warp: one resampling of a patch, however many rotations, scalings and deformations were drawn for it.

A Warp maps indices of a patch to indices of its source by an affine map and, optionally, a smooth displacement that
is stored as cubic B-spline coefficients on a coarse grid. `source_box` says which part of the source has to be read,
`warp_array` resamples that part on the CPU (`warp_labels` for labels), `warp_tensor` a batch on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_WHOLE = 1e-6


@dataclass(frozen=True)
class Warp:
    """A map from patch indices to source indices: `matrix @ p + offset + displacement(p)`.

    Attributes:
        shape: Voxels of the patch along each axis.
        matrix: (dims, dims).
        offset: (dims,), the source index of patch voxel 0 before displacement.
        control: (dims, *K) spline coefficients of the displacement in source voxels, or None. The K - 3 cells of
            an axis span the patch from its first voxel centre to its last (see `spline_control`).
    """

    shape: tuple[int, ...]
    matrix: np.ndarray
    offset: np.ndarray
    control: np.ndarray | None = None

    @property
    def dims(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def is_copy(self) -> bool:
        """Whether patch voxels are source voxels: whole shifts, flips and axis permutations, nothing else."""
        whole = np.array_equal(np.abs(self.matrix).sum(0), np.ones(self.dims))
        whole = whole and np.array_equal(np.abs(self.matrix), np.round(np.abs(self.matrix)))
        return bool(whole and self.control is None and np.abs(self.offset - np.rint(self.offset)).max() < _WHOLE)


@lru_cache(maxsize=256)
def _taps(n: int, num_control: int) -> tuple[np.ndarray, np.ndarray]:
    """For every patch index the first of the four coefficients that count, and their weights (n, 4)."""
    cells = num_control - 3
    position = np.arange(n) * (cells / max(n - 1, 1))
    cell = np.minimum(position.astype(np.int64), cells - 1)
    t = position - cell
    s = 1 - t
    return cell, np.stack([s**3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * s**2 + 3 * s**3, t**3], 1) / 6


@lru_cache(maxsize=256)
def spline_matrix(n: int, num_control: int) -> np.ndarray:
    """Values of the cubic B-splines at every patch index, (n, num_control)."""
    cell, weights = _taps(n, num_control)
    matrix = np.zeros((n, num_control))
    matrix[np.arange(n)[:, None], cell[:, None] + np.arange(4)] = weights
    return matrix


@lru_cache(maxsize=64)
def _interpolating(num_nodes: int) -> np.ndarray:
    """Node values to the coefficients of the cubic spline through them, mirrored at the ends: (nodes + 2, nodes)."""
    mirror = np.r_[1, np.arange(num_nodes), num_nodes - 2]
    values = np.zeros((num_nodes, num_nodes))
    for node in range(num_nodes):
        for tap, weight in zip(mirror[node : node + 3], (1 / 6, 4 / 6, 1 / 6), strict=True):
            values[node, tap] += weight
    return np.linalg.inv(values)[mirror]


def spline_control(nodes: np.ndarray) -> np.ndarray:
    """Coefficients of the cubic spline that takes the values `nodes`, (dims, *N), on a grid spanning the patch.

    The spline is continued by mirroring, so it is flat across the faces of the patch. An axis with one node is
    constant. Returns (dims, *N + 2) for `Warp.control` (N = 2 where there was one node).
    """
    control = np.asarray(nodes, float)
    for axis in range(1, control.ndim):
        if control.shape[axis] == 1:
            control = np.repeat(control, 2, axis)
        control = np.moveaxis(np.tensordot(control, _interpolating(control.shape[axis]), (axis, 1)), -1, axis)
    return control


def _refined(control: np.ndarray, least_cells: int = 8) -> np.ndarray:
    """The same spline on a finer grid, by inserting knots; its coefficients lie closer to its values."""
    for axis in range(1, control.ndim):
        while control.shape[axis] - 3 < least_cells:
            c = np.moveaxis(control, axis, 0)
            fine = np.empty((2 * len(c) - 3, *c.shape[1:]))
            fine[::2] = (c[1:] + c[:-1]) / 2
            fine[1::2] = (c[2:] + 6 * c[1:-1] + c[:-2]) / 8
            control = np.moveaxis(fine, 0, axis)
    return control


def source_box(warp: Warp) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Start and shape of the source voxels a warp needs, interpolation included; it may reach outside the source.

    The bound holds for every warp: within a spline cell a displacement lies between the coefficients around it. On
    the refined grid it is a voxel or so from the tightest one.
    """
    dims, last = warp.dims, np.array(warp.shape) - 1
    low = high = warp.offset.reshape(-1, *[1] * dims)
    cells = (1,) * dims
    if warp.control is not None:
        least = most = _refined(warp.control)
        cells = tuple(k - 3 for k in least.shape[1:])
        for axis, n in enumerate(cells, 1):
            least = np.min([least.take(range(k, k + n), axis) for k in range(4)], 0)
            most = np.max([most.take(range(k, k + n), axis) for k in range(4)], 0)
        low, high = low + least, high + most
    for axis, n in enumerate(cells):
        edges = np.linspace(0, last[axis], n + 1).reshape(-1, *[1] * (dims - 1 - axis))
        column = warp.matrix[:, axis].reshape(-1, *[1] * dims)
        ends = column * edges[:-1], column * edges[1:]
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    low, high = low.reshape(dims, -1).min(1), high.reshape(dims, -1).max(1)
    start = np.floor(low + _WHOLE).astype(int)
    stop = np.ceil(high - _WHOLE).astype(int) + 1
    return tuple(start.tolist()), tuple((stop - start).tolist())


def clipped(start: Sequence[int], shape: Sequence[int], limit: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The part (start, shape) of a box that lies in an image of this shape; beside it, the image's nearest voxels."""
    first = [min(max(s, 0), m - 1) for s, m in zip(start, limit, strict=True)]
    last = [min(max(s + n, f + 1), m) for s, n, f, m in zip(start, shape, first, limit, strict=True)]
    return tuple(first), tuple(b - a for a, b in zip(first, last, strict=True))


def warp_array(box: np.ndarray, box_start: Sequence[int], warp: Warp, fill: float | None = 0.0) -> np.ndarray:
    """A patch of intensities, resampled once, linearly.

    Args:
        box: (C, *S), the part of the image that starts at `box_start`; what lies beyond it counts as outside.
        box_start: Index of its first voxel in the image.
        warp: Where each voxel of the patch comes from, in indices of the image.
        fill: Value outside the image, blended at its edge; None continues the outermost voxels.

    Returns:
        (C, *warp.shape) float32; an exact copy when the warp is only whole shifts, flips and permutations.
    """
    box = np.ascontiguousarray(box, np.float32)
    return _resample(box, box_start, warp, "linear", None if fill is None else np.float32(fill))


def warp_labels(box: np.ndarray, box_start: Sequence[int], warp: Warp, fill: int | None = 0) -> np.ndarray:
    """A patch of labels, each the one with the largest share of the linear interpolation.

    Args:
        box: (C, *S) integers, the part of the label array that starts at `box_start`.
        box_start: Index of its first voxel in the image.
        warp: Where each voxel of the patch comes from, in indices of the image.
        fill: Label outside the image; None continues the outermost voxels.

    Returns:
        (C, *warp.shape) in the dtype of the box, or int32 when `fill` does not fit into that.
    """
    # One compiled variant serves every integer type.
    values = np.ascontiguousarray(box, np.int32)
    result = _resample(values, box_start, warp, "winner", None if fill is None else np.int32(fill))
    fits = np.can_cast(np.min_scalar_type(fill or 0), box.dtype)
    return result.astype(box.dtype if fits else np.int32, copy=False)


def _resample(box: np.ndarray, box_start: Sequence[int], warp: Warp, kernel: str, fill: Any) -> np.ndarray:
    """The patch by a compiled loop of this name, or as a copy."""
    start = np.asarray(box_start)
    if warp.is_copy:
        return _copied(box, start, warp, fill)
    from . import warp_kernels

    border = fill is None
    outside = box.dtype.type(0) if border else fill
    lift = (1,) * (3 - warp.dims)
    out = np.empty((box.shape[0], *lift, *warp.shape), box.dtype)
    motion, planar = _motion(warp, start)
    getattr(warp_kernels, kernel)(box.reshape(-1, *lift, *box.shape[1:]), motion, planar, border, outside, out)
    return out.reshape(-1, *warp.shape)


def _motion(warp: Warp, box_start: np.ndarray) -> tuple[tuple[np.ndarray, ...], bool]:
    """The warp in three dimensions and relative to the box, as the compiled loops want it."""
    lift = 3 - warp.dims
    matrix, offset = np.eye(3), np.zeros(3)
    matrix[lift:, lift:], offset[lift:] = warp.matrix, warp.offset - box_start
    depth, height, width = shape = (1,) * lift + warp.shape
    control, starts, weights = np.zeros((3, 0, 0, 0)), np.zeros(0, np.int64), np.zeros((4, 0))
    taps_z, taps_y = ((np.zeros(n, np.int64), np.zeros((n, 4))) for n in (depth, height))
    if warp.control is not None:
        own = warp.control.reshape(warp.dims, *(1,) * lift, *warp.control.shape[1:])
        control = np.repeat(own, 4, 1) if lift else own
        control = np.concatenate([np.zeros((lift, *control.shape[1:])), control])
        taps_z, taps_y = _taps(depth, control.shape[1]), _taps(height, control.shape[2])
        cells_x, weights_x = _taps(width, control.shape[3])
        starts, weights = np.searchsorted(cells_x, np.arange(control.shape[3] - 2)), weights_x.T
    motion = (matrix, offset, control, *taps_z, *taps_y, starts, weights)
    flat = abs(matrix[0, 0]) == 1 or shape[0] == 1
    planar = flat and not matrix[0, 1:].any() and not control[0].any() and abs(offset[0] - round(offset[0])) < _WHOLE
    return tuple(np.ascontiguousarray(m, np.float32 if m.dtype.kind == "f" else np.int64) for m in motion), bool(planar)


def _copied(box: np.ndarray, box_start: np.ndarray, warp: Warp, fill: Any) -> np.ndarray:
    """The patch of a warp that is a copy: cut, padded, flipped and transposed."""
    along = np.abs(warp.matrix).argmax(1)  # the patch axis that runs along each source axis
    signs = warp.matrix.sum(1).astype(int)
    shape = np.array(warp.shape)[along]
    low = np.rint(warp.offset).astype(int) - box_start - np.where(signs < 0, shape - 1, 0)
    size = box.shape[1:]
    if fill is not None and ((low >= size) | (low + shape <= 0)).any():
        return np.full((len(box), *warp.shape), fill, box.dtype)
    first, kept = map(np.array, clipped(low.tolist(), shape.tolist(), size))
    before = np.clip(first - low, 0, shape - kept)
    pads = [(0, 0), *zip(before, shape - kept - before, strict=True)]
    cut = box[(slice(None), *map(slice, first, first + kept))]
    patch = np.pad(cut, pads, "edge") if fill is None else np.pad(cut, pads, constant_values=fill)
    # A single voxel is not flipped: that would only leave a negative stride behind.
    turns = (slice(None, None, sign if n > 1 else 1) for sign, n in zip(signs, shape, strict=True))
    patch = patch[(slice(None), *turns)]
    return np.ascontiguousarray(patch.transpose(0, *(1 + np.argsort(along))))


def warp_tensor(
    boxes: torch.Tensor,
    starts: Sequence[Sequence[int]],
    warps: Sequence[Warp],
    fill: float | None = 0.0,
) -> torch.Tensor:
    """Patches of a batch on any device: the numbers of `warp_array`, or of `warp_labels` for integers.

    Args:
        boxes: (B, C, *S), the parts of the sources that were read, all of one shape.
        starts: Index of the first voxel of each box in its source.
        warps: One warp for each sample, all of one patch shape.
        fill: Value outside the box; None continues its outermost voxels.

    Returns:
        (B, C, *patch) in the dtype of the boxes.
    """
    import torch
    from torch.nn.functional import grid_sample

    points = torch.stack(
        [_tensor_coordinates(warp, start, boxes.device) for warp, start in zip(warps, starts, strict=True)]
    )
    if not boxes.is_floating_point():
        return torch.stack([_largest_share(box, where, fill) for box, where in zip(boxes, points, strict=True)])
    size = _put(np.array(boxes.shape[2:]), boxes.device)
    grid = ((2 * points + 1) / size - 1).flip(-1)
    padding, outside = "border" if fill is None else "zeros", fill or 0.0
    moved = grid_sample(boxes.float() - outside, grid, "bilinear", padding, align_corners=False)
    return (moved + outside).to(boxes.dtype)


def _largest_share(box: torch.Tensor, points: torch.Tensor, fill: float | None) -> torch.Tensor:
    """At each point (*P, dims) the label of a box (C, *S) with the largest share; of several the smallest.

    Each of the corners around a point is compared with each, which needs no list of the labels: to know it, the
    processor would have to wait for the device.
    """
    import torch

    size = box.shape[1:]
    if fill is None:
        points = torch.stack([points[..., a].clamp(0, n - 1) for a, n in enumerate(size)], -1)
    base = points.floor()
    beyond, base = points - base, base.long()
    labels, weights = [], []
    for corner in product((0, 1), repeat=len(size)):
        flat, weight = torch.zeros_like(base[..., 0]), torch.ones_like(beyond[..., 0])
        inside = torch.ones_like(flat, dtype=torch.bool)
        for axis, (n, step) in enumerate(zip(size, corner, strict=True)):
            index, part = base[..., axis] + step, beyond[..., axis]
            inside = inside & (index >= 0) & (index < n)
            flat = flat * n + index.clamp(0, n - 1)
            weight = weight * (part if step else 1 - part)
        found = box.flatten(1)[:, flat]
        labels.append(found if fill is None else torch.where(inside, found, int(fill)))
        weights.append(weight)
    shares = [weight.expand(labels[0].shape).clone() for weight in weights]
    for one, other in combinations(range(len(labels)), 2):
        same = labels[one] == labels[other]
        shares[one] += same * weights[other]
        shares[other] += same * weights[one]
    best, result = shares[0], labels[0]
    for share, label in zip(shares[1:], labels[1:], strict=True):
        better = (share > best) | ((share == best) & (label < result))
        best, result = torch.where(better, share, best), torch.where(better, label, result)
    return result


def _put(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A small array as float32 on a device, without waiting for what the device is doing."""
    import torch

    return torch.as_tensor(array, dtype=torch.float32).to(device, non_blocking=True)


def _tensor_coordinates(warp: Warp, start: Sequence[int], device: torch.device) -> torch.Tensor:
    """Coordinates in the box, (*shape, dims) float32."""
    import torch

    points = _put(warp.offset - np.asarray(start), device).expand(*warp.shape, warp.dims)
    for axis, n in enumerate(warp.shape):
        index = torch.arange(n, device=device, dtype=torch.float32).reshape(-1, *[1] * (warp.dims - axis))
        points = points + index * _put(warp.matrix[:, axis], device)
    if warp.control is not None:
        field = _put(warp.control, device)
        for n in warp.shape:
            field = torch.tensordot(field, _put(spline_matrix(n, field.shape[1]), device), ([1], [1]))
        points = points + field.movedim(0, -1)
    return points
