"""The compiled loops of `warp`: coordinates of one row at a time from a coarse grid, then interpolation.

Everything here is three-dimensional; a 2D image is a volume of one slice. A motion is the tuple

    (matrix (3, 3), offset (3,), control (3, Kz, Ky, Kx),
     cells_z (depth,), weights_z (depth, 4), cells_y, weights_y, starts_x (Kx - 2,), weights_x (4, width))

where the coordinate of patch voxel p is `matrix @ p + offset` plus the cubic B-spline with coefficients `control`.
`cells` and `weights` say which four coefficients count for a patch index, and how much; `starts` is the first index
of every cell. An empty control means no elastic part. `planar` says that every row stays within one whole slice of
the source, as in 2D; then four taps are enough. `border` continues the image by its outermost voxels. The cost is
one pass over the patch; nothing the size of a coordinate field exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .loops import compiled_fast

Motion = tuple[np.ndarray, ...]


@compiled_fast
def _rows(motion: Motion, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Room for the coefficients of a slice, the coefficients of a row, and the coordinates of a row."""
    grid = motion[2].shape
    return np.empty((3, grid[2], grid[3]), np.float32), np.empty(grid[3], np.float32), np.empty((3, width), np.float32)


@compiled_fast
def _plane(motion: Motion, z: int, plane: np.ndarray) -> None:
    """Sum the control grid along z: coefficients of the elastic part in slice z of the patch."""
    control = motion[2]
    if control.shape[1] > 0:
        cell, w = motion[3][z], motion[4][z]
        for a in range(3):
            for i in range(control.shape[2]):
                for j in range(control.shape[3]):
                    plane[a, i, j] = (
                        w[0] * control[a, cell, i, j]
                        + w[1] * control[a, cell + 1, i, j]
                        + w[2] * control[a, cell + 2, i, j]
                        + w[3] * control[a, cell + 3, i, j]
                    )


@compiled_fast
def _line(plane: np.ndarray, a: int, cell: int, w: np.ndarray, line: np.ndarray) -> None:
    """Sum the coefficients of a slice along y: those of component a in one row."""
    for k in range(line.shape[0]):
        line[k] = w[0] * plane[a, cell, k] + w[1] * plane[a, cell + 1, k]
        line[k] += w[2] * plane[a, cell + 2, k] + w[3] * plane[a, cell + 3, k]


@compiled_fast
def _row(
    motion: Motion,
    z: int,
    y: int,
    plane: np.ndarray,
    line: np.ndarray,
    rows: np.ndarray,
    size: Any,
    planar: bool,
    border: bool,
) -> bool:
    """Fill in the coordinates of row (z, y), shape (3, width); False when it surely lies outside the box."""
    matrix, offset, starts, weights = motion[0], motion[1], motion[7], motion[8]
    width = rows.shape[1]
    for a in range(3):
        last = np.float32(size[a] - 1)
        first = matrix[a, 0] * np.float32(z) + matrix[a, 1] * np.float32(y) + offset[a]
        step = matrix[a, 2]
        end = first + step * np.float32(width - 1)
        low, high = min(first, end), max(first, end)
        for x in range(width):
            rows[a, x] = first + step * np.float32(x)
        if a == 0 and planar:
            whole = np.rint(first)
            if (whole < 0 or whole > last) and not border:
                return False
            rows[a, :] = min(max(whole, np.float32(0)), last)
            continue
        if starts.shape[0] > 0:
            _line(plane, a, motion[5][y], motion[6][y], line)
            low, high = low + line.min(), high + line.max()
            for k in range(starts.shape[0] - 1):
                p0, p1, p2, p3 = line[k], line[k + 1], line[k + 2], line[k + 3]
                for x in range(starts[k], starts[k + 1]):
                    rows[a, x] += p0 * weights[0, x] + p1 * weights[1, x] + p2 * weights[2, x] + p3 * weights[3, x]
        if border:
            for x in range(width):
                rows[a, x] = min(max(rows[a, x], np.float32(0)), last)
        elif low >= last + 1 or high <= -1:
            return False
    return True


@compiled_fast
def _locate(rows: np.ndarray, size: Any, planar: bool, at: np.ndarray, parts: np.ndarray, edge: np.ndarray) -> bool:
    """Split coordinates into the flat index of the first tap and the parts of a voxel beyond it.

    `edge` becomes 0 where all taps lie inside, 1 where some may not, and 2 where none does. Where it is not 0 the
    index is that of the first voxel, so that a loop without branches may read there, too; it may not in a box with
    an axis of one voxel, and False is returned.
    """
    height, width = np.int32(size[1]), np.int32(size[2])
    ends = np.float32(size[0]), np.float32(size[1]), np.float32(size[2])
    lift = np.float32(0 if planar else 1)
    wide = size[1] > 1 and size[2] > 1 and (size[0] > 1 or planar)
    for x in range(rows.shape[1]):
        z, y, x_ = rows[0, x], rows[1, x], rows[2, x]
        inside = (z >= 0) & (y >= 0) & (x_ >= 0) & (z < ends[0] - lift) & (y < ends[1] - 1) & (x_ < ends[2] - 1)
        outside = (z <= -1) | (y <= -1) | (x_ <= -1) | (z >= ends[0]) | (y >= ends[1]) | (x_ >= ends[2])
        inside = inside & wide
        iz, iy, ix = np.int32(z), np.int32(y), np.int32(x_)
        first = np.int32(np.int32(np.int32(iz * height) + iy) * width) + ix
        at[x] = first if inside else 0
        edge[x] = 0 if inside else (2 if outside else 1)
        parts[0, x], parts[1, x], parts[2, x] = z - np.float32(iz), y - np.float32(iy), x_ - np.float32(ix)
    return wide


@compiled_fast
def _inner_row(
    source: np.ndarray, at: np.ndarray, parts: np.ndarray, size: Any, planar: bool, target: np.ndarray
) -> None:
    """Interpolate a row of which all taps can be read. Unsigned indices spare the test for counting from the end."""
    one, line, slab = np.uintp(1), np.uintp(size[2]), np.uintp(size[1] * size[2])
    for x in range(target.shape[0]):
        i, wy, wx = np.uintp(at[x]), parts[1, x], parts[2, x]
        low, high = source[i], source[i + line]
        low += wx * (source[i + one] - low)
        high += wx * (source[i + line + one] - high)
        value = low + wy * (high - low)
        if not planar:
            i += slab
            low, high = source[i], source[i + line]
            low += wx * (source[i + one] - low)
            high += wx * (source[i + line + one] - high)
            value += parts[0, x] * (low + wy * (high - low) - value)
        target[x] = value


@compiled_fast
def _taps(source: np.ndarray, rows: np.ndarray, x: int, size: Any, fill: Any, values: Any, weights: Any) -> None:
    """The eight voxels around coordinate x of a row, `fill` for those outside, and their weights."""
    fz, fy, fx = np.floor(rows[0, x]), np.floor(rows[1, x]), np.floor(rows[2, x])
    wz, wy, wx = rows[0, x] - fz, rows[1, x] - fy, rows[2, x] - fx
    for k in range(8):
        iz, iy, ix = int(fz) + (k >> 2), int(fy) + ((k >> 1) & 1), int(fx) + (k & 1)
        inside = 0 <= iz < size[0] and 0 <= iy < size[1] and 0 <= ix < size[2]
        values[k] = source[(iz * size[1] + iy) * size[2] + ix] if inside else fill
        weights[k] = (wz if k & 4 else 1 - wz) * (wy if k & 2 else 1 - wy) * (wx if k & 1 else 1 - wx)


@compiled_fast
def linear(box: np.ndarray, motion: Motion, planar: bool, border: bool, fill: Any, out: np.ndarray) -> None:
    """Multilinear interpolation; taps outside the box are `fill`."""
    channels, size, width = box.shape[0], box.shape[1:], out.shape[3]
    flat = box.reshape(channels, -1)
    plane, line, rows = _rows(motion, width)
    at, parts, edge = np.empty(width, np.int32), np.empty((3, width), np.float32), np.empty(width, np.int32)
    values, weights = np.empty(8, box.dtype), np.empty(8, np.float32)
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            if not _row(motion, z, y, plane, line, rows, size, planar, border):
                out[:, z, y] = fill
                continue
            wide = _locate(rows, size, planar, at, parts, edge)
            for c in range(channels):
                if wide:
                    _inner_row(flat[c], at, parts, size, planar, out[c, z, y])
                for x in range(width):
                    if edge[x] == 2:
                        out[c, z, y, x] = fill
                    elif edge[x] == 1:
                        _taps(flat[c], rows, x, size, fill, values, weights)
                        out[c, z, y, x] = (values * weights).sum()


@compiled_fast
def _largest_share(labels: np.ndarray, weights: np.ndarray) -> Any:
    """The label with the largest sum of weights; of several such labels the smallest."""
    best, found = np.float32(-1), labels[0]
    for k in range(8):
        share = np.float32(0)
        for m in range(8):
            if labels[m] == labels[k]:
                share += weights[m]
        if share > best or (share == best and labels[k] < found):
            best, found = share, labels[k]
    return found


@compiled_fast
def _inner_labels(
    source: np.ndarray, at: np.ndarray, size: Any, planar: bool, target: np.ndarray, differs: np.ndarray
) -> None:
    """The first tap of each coordinate, and the bits in which the other taps differ from it."""
    one, line, slab = np.uintp(1), np.uintp(size[2]), np.uintp(0 if planar else size[1] * size[2])
    for x in range(target.shape[0]):
        i = np.uintp(at[x])
        j = i + slab
        label = source[i]
        near = (label ^ source[i + one]) | (label ^ source[i + line]) | (label ^ source[i + line + one])
        far = (label ^ source[j]) | (label ^ source[j + one])
        far |= (label ^ source[j + line]) | (label ^ source[j + line + one])
        target[x] = label
        differs[x] = near | far


@compiled_fast
def winner(box: np.ndarray, motion: Motion, planar: bool, border: bool, fill: Any, out: np.ndarray) -> None:
    """The label whose share of the multilinear interpolation is largest; taps outside the box are `fill`."""
    channels, size, width = box.shape[0], box.shape[1:], out.shape[3]
    flat = box.reshape(channels, -1)
    plane, line, rows = _rows(motion, width)
    at, parts, edge = np.empty(width, np.int32), np.empty((3, width), np.float32), np.empty(width, np.int32)
    values, weights, differs = np.empty(8, box.dtype), np.empty(8, np.float32), np.zeros(width, box.dtype)
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            if not _row(motion, z, y, plane, line, rows, size, planar, border):
                out[:, z, y] = fill
                continue
            wide = _locate(rows, size, planar, at, parts, edge)
            for c in range(channels):
                if wide:
                    _inner_labels(flat[c], at, size, planar, out[c, z, y], differs)
                for x in range(width):
                    if edge[x] == 2:
                        out[c, z, y, x] = fill
                    elif edge[x] == 1 or differs[x] != 0:
                        _taps(flat[c], rows, x, size, fill, values, weights)
                        out[c, z, y, x] = _largest_share(values, weights)
