"""Reading an array at fractional positions: votes among labels, and grids that lie obliquely to each other.

Compiled loops over the output voxels; memory is the output alone. Coordinates of an oblique grid are computed on the
fly, never stored. All arrays are 3D here; flat images have a middle axis of size 1.
"""

from __future__ import annotations

import numpy as np

from .loops import compiled, compiled_fast, inlined


@inlined
def _winner(source, i0, i1, wi, j0, j1, wj, k0, k1, wk, values, votes):  # type: ignore[no-untyped-def]
    """The value with most linear weight among eight corners; the larger value when equal."""
    first = source[i0, j0, k0]
    if (
        source[i0, j0, k1] == first
        and source[i0, j1, k0] == first
        and source[i0, j1, k1] == first
        and source[i1, j0, k0] == first
        and source[i1, j0, k1] == first
        and source[i1, j1, k0] == first
        and source[i1, j1, k1] == first
    ):
        return first
    count = 0
    for corner in range(8):
        i, a = (i1, wi) if corner & 4 else (i0, 1 - wi)
        j, b = (j1, wj) if corner & 2 else (j0, 1 - wj)
        k, c = (k1, wk) if corner & 1 else (k0, 1 - wk)
        value, weight = source[i, j, k], a * b * c
        place = 0
        while place < count and values[place] != value:
            place += 1
        if place == count:
            values[place], votes[place] = value, 0.0
            count += 1
        votes[place] += weight
    best = 0
    for place in range(1, count):
        lead = votes[place] - votes[best]
        if lead > 1e-6 or (lead > -1e-6 and values[place] > values[best]):
            best = place
    return values[best]


@compiled
def vote(source, low, high, weight, target):  # type: ignore[no-untyped-def]
    """Labels at separable positions: for each of three axes the lower corner, the upper one and the upper's weight."""
    values = np.empty(8, source.dtype)
    votes = np.empty(8, np.float64)
    for i in range(target.shape[0]):
        i0, i1, wi = low[0][i], high[0][i], weight[0][i]
        for j in range(target.shape[1]):
            j0, j1, wj = low[1][j], high[1][j], weight[1][j]
            for k in range(target.shape[2]):
                k0, k1, wk = low[2][k], high[2][k], weight[2][k]
                target[i, j, k] = _winner(source, i0, i1, wi, j0, j1, wj, k0, k1, wk, values, votes)


@compiled_fast
def linear(source, low, high, weight, target):  # type: ignore[no-untyped-def]
    """Intensities at separable positions: for each of three axes the lower corner, the upper one and its weight.

    Four rows become one, which stays in the cache and is read at the positions of the last axis.
    """
    line, one = np.empty(source.shape[2], np.float32), np.float32(1)
    for i in range(target.shape[0]):
        below, above, wi = source[low[0][i]], source[high[0][i]], weight[0][i]
        for j in range(target.shape[1]):
            j0, j1, wj = low[1][j], high[1][j], weight[1][j]
            a, b, c, d = below[j0], below[j1], above[j0], above[j1]
            wa, wb, wc, wd = (one - wi) * (one - wj), (one - wi) * wj, wi * (one - wj), wi * wj
            for k in range(line.shape[0]):
                line[k] = wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k]
            for k in range(target.shape[2]):
                first = line[low[2][k]]
                target[i, j, k] = first + weight[2][k] * (line[high[2][k]] - first)


@inlined
def _corners(x, size):  # type: ignore[no-untyped-def]
    """Lower corner, upper corner and the upper one's weight, with the edge repeated."""
    x = min(max(x, 0.0), size - 1.0)
    low = int(x)
    return low, min(low + 1, size - 1), x - low


@inlined
def _outside(x, size):  # type: ignore[no-untyped-def]
    return x < -0.5001 or x > size - 0.4999


@inlined
def _coordinates(matrix, offset, i, j, k):  # type: ignore[no-untyped-def]
    x = matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2] * k + offset[0]
    y = matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2] * k + offset[1]
    z = matrix[2, 0] * i + matrix[2, 1] * j + matrix[2, 2] * k + offset[2]
    return x, y, z


@compiled
def vote_oblique(source, matrix, offset, nearest, target):  # type: ignore[no-untyped-def]
    """Labels at `matrix @ index + offset`; voxels outside the source keep what the target holds."""
    values = np.empty(8, source.dtype)
    votes = np.empty(8, np.float64)
    ni, nj, nk = source.shape
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            for k in range(target.shape[2]):
                x, y, z = _coordinates(matrix, offset, i, j, k)
                if _outside(x, ni) or _outside(y, nj) or _outside(z, nk):
                    continue
                if nearest:
                    x, y, z = np.floor(x + 0.5), np.floor(y + 0.5), np.floor(z + 0.5)
                i0, i1, wi = _corners(x, ni)
                j0, j1, wj = _corners(y, nj)
                k0, k1, wk = _corners(z, nk)
                target[i, j, k] = _winner(source, i0, i1, wi, j0, j1, wj, k0, k1, wk, values, votes)


@compiled
def linear_oblique(source, matrix, offset, nearest, target):  # type: ignore[no-untyped-def]
    """Linear (or nearest) values at `matrix @ index + offset`; voxels outside keep what the target holds."""
    ni, nj, nk = source.shape
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            for k in range(target.shape[2]):
                x, y, z = _coordinates(matrix, offset, i, j, k)
                if _outside(x, ni) or _outside(y, nj) or _outside(z, nk):
                    continue
                if nearest:
                    x, y, z = np.floor(x + 0.5), np.floor(y + 0.5), np.floor(z + 0.5)
                i0, i1, wi = _corners(x, ni)
                j0, j1, wj = _corners(y, nj)
                k0, k1, wk = _corners(z, nk)
                a = source[i0, j0, k0] * (1 - wk) + source[i0, j0, k1] * wk
                b = source[i0, j1, k0] * (1 - wk) + source[i0, j1, k1] * wk
                c = source[i1, j0, k0] * (1 - wk) + source[i1, j0, k1] * wk
                d = source[i1, j1, k0] * (1 - wk) + source[i1, j1, k1] * wk
                target[i, j, k] = (a * (1 - wj) + b * wj) * (1 - wi) + (c * (1 - wj) + d * wj) * wi


@inlined
def _cubic(x, weights):  # type: ignore[no-untyped-def]
    """The first of four coefficients around x, and their B-spline weights."""
    low = int(np.floor(x))
    t = x - low
    weights[0] = (1 - t) ** 3 / 6
    weights[1] = 2 / 3 - t * t + t**3 / 2
    weights[2] = 2 / 3 - (1 - t) ** 2 + (1 - t) ** 3 / 2
    weights[3] = t**3 / 6
    return low - 1


@compiled
def cubic_oblique(coefficients, margin, matrix, offset, target):  # type: ignore[no-untyped-def]
    """Cubic spline values at `matrix @ index + offset`.

    `coefficients` are B-spline coefficients with `margin` (at least 2) extra ones beyond each end.
    """
    ni, nj, nk = coefficients.shape
    wi, wj, wk = np.empty(4), np.empty(4), np.empty(4)
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            for k in range(target.shape[2]):
                x, y, z = _coordinates(matrix, offset, i, j, k)
                if _outside(x, ni - 2 * margin) or _outside(y, nj - 2 * margin) or _outside(z, nk - 2 * margin):
                    continue
                i0, j0, k0 = _cubic(x, wi) + margin, _cubic(y, wj) + margin, _cubic(z, wk) + margin
                total = 0.0
                for a in range(4):
                    for b in range(4):
                        line = 0.0
                        for c in range(4):
                            line += wk[c] * coefficients[i0 + a, j0 + b, k0 + c]
                        total += wi[a] * wj[b] * line
                target[i, j, k] = total


@compiled_fast
def blend(first, second, weight, left, slab, place):  # type: ignore[no-untyped-def]
    """Write `first + weight * (second - first)` of the columns from `left` on into one row of a slab.

    Planes are (C, columns, depth), the slab is (C, rows, some columns, depth).
    """
    weight = np.float32(weight)
    for c in range(slab.shape[0]):
        for j in range(slab.shape[2]):
            for k in range(slab.shape[3]):
                a = first[c, left + j, k]
                slab[c, place, j, k] = a + weight * (second[c, left + j, k] - a)


@compiled
def running_winner(channels, target):  # type: ignore[no-untyped-def]
    """Index of the largest of (C, voxels) for each voxel, in blocks that stay in the cache.

    Values and indices are equally wide and chosen without a branch, so that the loop runs in vector registers.
    """
    block = 1024
    best, index = np.empty(block, np.float32), np.empty(block, np.int32)
    for begin in range(0, channels.shape[1], block):
        count = min(block, channels.shape[1] - begin)
        best[:count] = channels[0, begin : begin + count]
        index[:count] = 0
        for c in range(1, channels.shape[0]):
            line, here = channels[c, begin : begin + count], np.int32(c)
            for v in range(count):
                value, largest, winner = line[v], best[v], index[v]
                index[v] = here if value > largest else winner
                best[v] = value if value > largest else largest
        target[begin : begin + count] = index[:count]
