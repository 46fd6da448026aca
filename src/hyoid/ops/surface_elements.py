"""The surface between voxels as small elements with an area (a length in 2D), one for each corner where voxels meet.

An element is where the level 1/2 runs through the 2x2x2 voxels around a corner (marching cubes): its vertices are the
middles of the edges between a voxel inside and one outside. Inside voxels that touch only by an edge or a corner are
apart, and so are outside voxels when they are the fewer; a loop of vertices that is not flat is filled with the
triangles of largest area on a unit cube. These rules give the areas of Nikolov et al. (2021) for all 256 patterns.

Reference:
    lorensen1987marching, nikolov2021surface.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np

from .loops import compiled

Corner = tuple[int, ...]
Edge = tuple[Corner, Corner]


def surface_elements(mask: np.ndarray, spacing_mm: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Which corners of voxels hold a piece of the surface, boolean (*S + 1), and its areas in their order.

    Outside the array there is nothing, so a mask cut by its border has a surface there.

    Args:
        mask: Boolean (*S) of two or three axes.
        spacing_mm: Voxel size along each axis; areas are in mm² (lengths in mm for 2D).
    """
    codes = np.zeros([n + 1 for n in mask.shape], np.uint8)
    inside = np.ascontiguousarray(mask, bool).view(np.uint8)
    _add_codes(inside if mask.ndim == 3 else inside[None], codes if mask.ndim == 3 else codes[None])
    full = (1 << 2**mask.ndim) - 1
    there = (codes != 0) & (codes != full)
    return there, element_areas(tuple(map(float, spacing_mm)))[codes[there]]


@lru_cache(maxsize=64)
def element_areas(spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Area of the surface in each pattern of the voxels around a corner, float64 (256,) or (16,).

    Bit b of a pattern is set when the voxel b is inside, voxels in C order.
    """
    scale = np.asarray(spacing_mm)
    result = np.zeros(1 << 2 ** len(scale))
    for pattern, pieces in enumerate(_pieces(len(scale))):
        for piece in pieces:
            result[pattern] += _size(np.asarray(piece) * scale)
    return result


def _size(vertices: np.ndarray) -> float:
    """Length of a segment (2, 2) or area of a triangle (3, 3)."""
    if len(vertices) == 2:
        return float(np.linalg.norm(vertices[1] - vertices[0]))
    return float(np.linalg.norm(np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])) / 2)


@lru_cache(maxsize=2)
def _pieces(dims: int) -> list[list[np.ndarray]]:
    """Segments or triangles of every pattern, on voxels of size one."""
    corners = list(product((0, 1), repeat=dims))
    result: list[list[np.ndarray]] = []
    for pattern in range(1 << len(corners)):
        inside = [corner for bit, corner in enumerate(corners) if pattern >> bit & 1]
        if 2 * len(inside) > len(corners):
            inside = [corner for corner in corners if corner not in inside]
        found: list[np.ndarray] = []
        for group in _groups(inside):
            loop = _loop([(one, other) for one in group for other in corners if _beside(one, other)], set(group))
            found += [loop] if dims == 2 else _filled(loop)
        result.append(found)
    return result


def _beside(one: Corner, other: Corner) -> bool:
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _groups(inside: list[Corner]) -> Iterator[list[Corner]]:
    """Corners joined by edges."""
    waiting = set(inside)
    while waiting:
        group = [min(waiting)]
        waiting.remove(group[0])
        for corner in group:
            joined = {other for other in waiting if _beside(corner, other)}
            group += sorted(joined)
            waiting -= joined
        yield group


def _loop(edges: list[Edge], group: set[Corner]) -> np.ndarray:
    """Middles of the cut edges in the order in which the surface runs around the group, (N, dims)."""
    cut = [edge for edge in edges if edge[1] not in group]
    path = [cut[0]]
    while len(path) < len(cut):
        path.append(next(edge for edge in cut if edge not in path and _adjoin(path[-1], edge, cut)))
    return np.array([np.add(*edge) / 2 for edge in path])


def _adjoin(one: Edge, other: Edge, cut: list[Edge]) -> bool:
    """Whether the surface runs over a face from one cut edge to another; where four are cut it turns at a corner."""
    dims = len(one[0])
    for axis, side in product(range(dims), (0, 1)):
        on_face = [edge for edge in cut if edge[0][axis] == edge[1][axis] == side]
        if dims == 2:
            on_face = cut
        if one in on_face and other in on_face and (len(on_face) == 2 or one[0] == other[0]):
            return True
    return False


def _filled(loop: np.ndarray) -> list[np.ndarray]:
    """The triangles of largest area that fill a loop of vertices."""
    fillings = ([loop[list(triangle)] for triangle in filling] for filling in _triangulations(range(len(loop))))
    return max(fillings, key=lambda triangles: round(sum(map(_size, triangles)), 9))


def _triangulations(polygon: Sequence[int]) -> Iterator[list[tuple[int, int, int]]]:
    """Every way to cut a polygon into triangles of its vertices."""
    if len(polygon) < 3:
        yield []
    for middle in range(1, len(polygon) - 1):
        for left, right in product(_triangulations(polygon[: middle + 1]), _triangulations(polygon[middle:])):
            yield [*left, *right, (polygon[0], polygon[middle], polygon[-1])]


@compiled
def _add_codes(inside, codes):  # type: ignore[no-untyped-def]
    """Each voxel inside sets its bit at the corners around it."""
    flat = codes.shape[0] == inside.shape[0]
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            for k in range(inside.shape[2]):
                if inside[i, j, k]:
                    for a in range(1 if flat else 2):
                        for b in range(2):
                            for c in range(2):
                                codes[i + a, j + b, k + c] |= 1 << (
                                    (1 - b) * 2 + (1 - c) + (0 if flat else (1 - a) * 4)
                                )
