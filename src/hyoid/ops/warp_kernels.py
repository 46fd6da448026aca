"""The compiled loops of `warp`: coordinates of one row at a time from a coarse grid, then interpolation.

Everything here is three-dimensional; a 2D image is a volume of one slice. A motion is the tuple

    (matrix (3, 3), offset (3,), control (3, Kz, Ky, Kx), cells_z, t_z, cells_y, t_y, starts_x, t_x)

where the coordinate of patch voxel p is `matrix @ p + offset` plus the cubic B-spline with coefficients `control`;
`cells` and `t` name the spline cell of each patch index and the position within it, `starts_x` the first index of
each cell. An empty control means no elastic part. `planar` says that every row stays within one whole slice of the
source, as in 2D; then four taps are enough. `border` continues the image by its outermost voxels. Cost is one pass over the patch, memory three rows; nothing the size of a coordinate field exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a loop without the interpreter lock; keep the machine code on disk where that is possible."""
    try:
        return njit(nogil=True, fastmath=True, cache=True)(function)
    except RuntimeError:  # neither the package folder nor the user's cache folder can be written
        return njit(nogil=True, fastmath=True)(function)


@compiled
def _weights(t):
    s = 1 - t
    return s * s * s / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6, t * t * t / 6


@compiled
def _plane(motion, z, plane):
    """Sum the control grid along z: coefficients of the elastic part in slice z of the patch."""
    control, cell = motion[2], motion[3][z]
    if control.shape[1] == 0:
        return
    w0, w1, w2, w3 = _weights(motion[4][z])
    for a in range(3):
        for i in range(control.shape[2]):
            for j in range(control.shape[3]):
                plane[a, i, j] = (
                    w0 * control[a, cell, i, j]
                    + w1 * control[a, cell + 1, i, j]
                    + w2 * control[a, cell + 2, i, j]
                    + w3 * control[a, cell + 3, i, j]
                )


@compiled
def _unclamped(motion, z, y, plane, coordinates):
    """Source coordinates of row (z, y) of the patch, shape (3, width)."""
    matrix, offset, control, starts, t = motion[0], motion[1], motion[2], motion[7], motion[8]
    width = coordinates.shape[1]
    elastic = control.shape[1] > 0
    cell = motion[5][y]
    w0, w1, w2, w3 = _weights(motion[6][y])
    for a in range(3):
        first = matrix[a, 0] * z + matrix[a, 1] * y + offset[a]
        step = matrix[a, 2]
        row = coordinates[a]
        for x in range(width):
            row[x] = first + step * x
        if elastic:
            for k in range(starts.shape[0] - 1):
                p = plane[a]
                p0 = w0 * p[cell, k] + w1 * p[cell + 1, k] + w2 * p[cell + 2, k] + w3 * p[cell + 3, k]
                k1, k2, k3 = k + 1, k + 2, k + 3
                p1 = w0 * p[cell, k1] + w1 * p[cell + 1, k1] + w2 * p[cell + 2, k1] + w3 * p[cell + 3, k1]
                p2 = w0 * p[cell, k2] + w1 * p[cell + 1, k2] + w2 * p[cell + 2, k2] + w3 * p[cell + 3, k2]
                p3 = w0 * p[cell, k3] + w1 * p[cell + 1, k3] + w2 * p[cell + 2, k3] + w3 * p[cell + 3, k3]
                c0, c1 = (p0 + 4 * p1 + p2) / 6, (p2 - p0) / 2
                c2, c3 = (p0 - 2 * p1 + p2) / 2, (p3 - p0 + 3 * (p1 - p2)) / 6
                for x in range(starts[k], starts[k + 1]):
                    row[x] += c0 + t[x] * (c1 + t[x] * (c2 + t[x] * c3))


@compiled
def _row(motion, z, y, plane, coordinates, size, planar, border):
    """Fill in the coordinates of row (z, y); 0 when it lies outside, 2 when every tap lies inside, else 1."""
    _unclamped(motion, z, y, plane, coordinates)
    inside = True
    for a in range(3):
        row = coordinates[a]
        last = np.float32(size[a] - 1)
        if border:
            for x in range(row.shape[0]):
                row[x] = min(max(row[x], np.float32(0)), last)
        if a == 0 and planar:
            row[:] = np.rint(row[0])
            if row[0] < 0 or row[0] > last:
                return 0
            continue
        low = high = row[0]
        for x in range(row.shape[0]):
            low = min(low, row[x])
            high = max(high, row[x])
        if low >= last + 1 or high <= -1:
            return 0
        inside = inside and low >= 0 and high < last
    return 2 if inside else 1


@compiled
def linear(box, motion, planar, border, fill, out):
    """Multilinear interpolation; taps outside the box are `fill`."""
    channels, depth, height, width = box.shape
    flat, slab = box.reshape(channels, -1), height * width
    plane = np.empty((3, motion[2].shape[2], motion[2].shape[3]), np.float32)
    coordinates = np.empty((3, out.shape[3]), np.float32)
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            where = _row(motion, z, y, plane, coordinates, box.shape[1:], planar, border)
            if where == 0:
                out[:, z, y] = fill
                continue
            for c in range(channels):
                source, target = flat[c], out[c, z, y]
                for x in range(target.shape[0]):
                    fz, fy, fx = np.floor(coordinates[0, x]), np.floor(coordinates[1, x]), np.floor(coordinates[2, x])
                    iz, iy, ix = int(fz), int(fy), int(fx)
                    wz, wy, wx = coordinates[0, x] - fz, coordinates[1, x] - fy, coordinates[2, x] - fx
                    if where == 2 or (0 <= iy < height - 1 and 0 <= ix < width - 1 and (planar or 0 <= iz < depth - 1)):
                        at = iz * slab + iy * width + ix
                        low = source[at] + wx * (source[at + 1] - source[at])
                        high = source[at + width] + wx * (source[at + width + 1] - source[at + width])
                        value = low + wy * (high - low)
                        if not planar:
                            at += slab
                            low = source[at] + wx * (source[at + 1] - source[at])
                            high = source[at + width] + wx * (source[at + width + 1] - source[at + width])
                            value += wz * (low + wy * (high - low) - value)
                        target[x] = value
                    else:
                        value = np.float32(0)
                        for k in range(8):
                            jz, jy, jx = iz + (k >> 2), iy + ((k >> 1) & 1), ix + (k & 1)
                            w = (wz if k & 4 else 1 - wz) * (wy if k & 2 else 1 - wy) * (wx if k & 1 else 1 - wx)
                            inside = 0 <= jz < depth and 0 <= jy < height and 0 <= jx < width
                            value += w * (source[jz * slab + jy * width + jx] if inside else fill)
                        target[x] = value


@compiled
def nearest(box, motion, planar, border, fill, out):
    """The voxel nearest to each coordinate; `fill` outside."""
    channels, depth, height, width = box.shape
    plane = np.empty((3, motion[2].shape[2], motion[2].shape[3]), np.float32)
    coordinates = np.empty((3, out.shape[3]), np.float32)
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            if _row(motion, z, y, plane, coordinates, box.shape[1:], planar, border) == 0:
                out[:, z, y] = fill
                continue
            for x in range(out.shape[3]):
                iz = int(np.rint(coordinates[0, x]))
                iy = int(np.rint(coordinates[1, x]))
                ix = int(np.rint(coordinates[2, x]))
                inside = 0 <= iz < depth and 0 <= iy < height and 0 <= ix < width
                for c in range(channels):
                    out[c, z, y, x] = box[c, iz, iy, ix] if inside else fill


@compiled
def _largest_share(label, weight):
    """The label with the largest sum of weights; of several such labels the smallest."""
    best, found = np.float32(-1), label[0]
    for k in range(8):
        share = np.float32(0)
        for m in range(8):
            if label[m] == label[k]:
                share += weight[m]
        if share > best or (share == best and label[k] < found):
            best, found = share, label[k]
    return found


@compiled
def winner(box, motion, planar, border, fill, out):
    """The label whose share of the multilinear interpolation is largest; taps outside the box are `fill`."""
    channels, depth, height, width = box.shape
    flat, slab = box.reshape(channels, -1), height * width
    plane = np.empty((3, motion[2].shape[2], motion[2].shape[3]), np.float32)
    coordinates = np.empty((3, out.shape[3]), np.float32)
    label, weight = np.empty(8, box.dtype), np.empty(8, np.float32)
    lift = 0 if planar else slab
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            where = _row(motion, z, y, plane, coordinates, box.shape[1:], planar, border)
            if where == 0:
                out[:, z, y] = fill
                continue
            for c in range(channels):
                source, target = flat[c], out[c, z, y]
                for x in range(target.shape[0]):
                    fz, fy, fx = np.floor(coordinates[0, x]), np.floor(coordinates[1, x]), np.floor(coordinates[2, x])
                    iz, iy, ix = int(fz), int(fy), int(fx)
                    if where == 2 or (0 <= iy < height - 1 and 0 <= ix < width - 1 and (planar or 0 <= iz < depth - 1)):
                        at = iz * slab + iy * width + ix
                        one = source[at]
                        if (
                            one == source[at + 1]
                            and one == source[at + width]
                            and one == source[at + width + 1]
                            and one == source[at + lift]
                            and one == source[at + lift + 1]
                            and one == source[at + lift + width]
                            and one == source[at + lift + width + 1]
                        ):
                            target[x] = one
                            continue
                    wz, wy, wx = coordinates[0, x] - fz, coordinates[1, x] - fy, coordinates[2, x] - fx
                    for k in range(8):
                        jz, jy, jx = iz + (k >> 2), iy + ((k >> 1) & 1), ix + (k & 1)
                        inside = 0 <= jz < depth and 0 <= jy < height and 0 <= jx < width
                        label[k] = source[jz * slab + jy * width + jx] if inside else fill
                        weight[k] = (wz if k & 4 else 1 - wz) * (wy if k & 2 else 1 - wy) * (wx if k & 1 else 1 - wx)
                    target[x] = _largest_share(label, weight)


@compiled
def cubic(box, motion, planar, border, fill, out):
    """The cubic B-spline whose coefficients are in the box, mirrored at its ends; `fill` outside the voxels."""
    channels = box.shape[0]
    size = box.shape[1:]
    plane = np.empty((3, motion[2].shape[2], motion[2].shape[3]), np.float32)
    coordinates = np.empty((3, out.shape[3]), np.float32)
    weight, index = np.empty((3, 4), np.float32), np.empty((3, 4), np.int64)
    for z in range(out.shape[1]):
        _plane(motion, z, plane)
        for y in range(out.shape[2]):
            if _row(motion, z, y, plane, coordinates, size, planar, border) == 0:
                out[:, z, y] = fill
                continue
            for x in range(out.shape[3]):
                outside = False
                for a in range(3):
                    at, last = coordinates[a, x], size[a] - 1
                    outside = outside or at < -0.5 or at > last + 0.5
                    whole = np.floor(at)
                    weight[a, 0], weight[a, 1], weight[a, 2], weight[a, 3] = _weights(at - whole)
                    for k in range(4):
                        j = abs(int(whole) - 1 + k)
                        index[a, k] = max(min(j, 2 * last - j), 0)
                for c in range(channels):
                    value = np.float32(0)
                    if outside:
                        value = fill
                    else:
                        for i in range(4):
                            for j in range(4):
                                w = weight[0, i] * weight[1, j]
                                line = box[c, index[0, i], index[1, j]]
                                for k in range(4):
                                    value += w * weight[2, k] * line[index[2, k]]
                    out[c, z, y, x] = value
