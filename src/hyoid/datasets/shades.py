"""Masks whose grey levels are noise, traces of JPEG or soft edges, and the levels that were meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from ..core.errors import DataError
from .entry import listed
from .masks import Encoding, Marks, total_counts

_GAP = 0.08
"""Share of the grey levels that must be without a voxel to keep two meant levels apart."""

_FAIR = 0.002
"""Share of all voxels that a level must have; what is rarer is an overshoot of another one."""

_PIECES, _SPECK = 4, 12
"""Shades lie in more pieces each than this, and their pieces have no more voxels than that; labels are larger areas."""

_BLENDS, _SOLID, _EDGE = 10, 0.1, 0.3
"""Blends are so many numbers at least, with fewer blocks than this a voxel, in at most this share of all voxels."""


def are_shades(marks: Sequence[Marks]) -> bool:
    """Whether numbers up to white (255, or more in 16 bits) are shades of few levels, and not label values."""
    return _plain_shades(marks) or bool(_blended(marks))


def _plain_shades(marks: Sequence[Marks]) -> bool:
    total = total_counts(marks)
    if max(total) < 200 or min(total) < 0:
        return False
    return _scattered(marks) or (max(total) <= 255 and _soft_edges(marks, total))


def blends(marks: Sequence[Marks], total: Mapping[float, int]) -> set[float]:
    """Numbers that form no areas, as those on soft edges do; empty if they are few."""
    blocks = _all_blocks(marks)
    found = {value for value, count in total.items() if blocks[value] <= _SOLID * count}
    return found if len(found) >= _BLENDS and any(one.blocks for one in marks) else set()


def _all_blocks(marks: Sequence[Marks]) -> Counter[float]:
    blocks: Counter[float] = Counter()
    for one in marks:
        blocks.update(one.blocks or one.counts)
    return blocks


def _blended(marks: Sequence[Marks]) -> list[float]:
    """The levels that form areas, if all other numbers are blends of them at thin edges; empty if not clear."""
    total = total_counts(marks)
    rest = blends(marks, total)
    solid, blocks = sorted(total.keys() - rest), _all_blocks(marks)
    if len(solid) < 2 or solid[0] < 0 or len(rest) < 3 * len(solid):
        return []
    edge = sum(total[value] for value in rest)
    inside = sum(total[value] for value in rest if solid[0] < value < solid[-1])
    if edge > _EDGE * sum(total.values()) or inside < 0.95 * edge or sum(blocks[v] for v in rest) > 0.02 * edge:
        return []
    return [max(group, key=lambda value: total[value]) for group in _groups(solid)]


def from_shades(marks: Sequence[Marks], written: int, single: bool, notes: list[str]) -> Encoding:
    """The encoding that cuts shades half way between their levels: black and white, or several that are clear.

    Args:
        marks: Annotations whose numbers are shades.
        written: Value of the structure where there are two levels.
        single: Whether only one structure is known to be there.
        notes: Gets a sentence on what was done.

    Raises:
        DataError: When there are several levels that run into each other.
    """
    clear = [] if any(one.lossy for one in marks) or _plain_shades(marks) else _blended(marks)
    if len(clear) > 2:
        named = listed([f"{value:g}" for value in clear])
        raise DataError(
            f"{marks[0].case}: the annotation has soft edges between the levels {named}, and a grey between two of"
            " them may be either; save it with one value for each structure, and resize without blending (nearest"
            " neighbour)."
        )
    total, lossy = total_counts(marks), any(one.lossy for one in marks)
    white, levels = max(total), [] if lossy or single or _soft_edges(marks, total) else _levels(total)
    grey = [one.case for one in marks if len(one.counts) > 2]
    cases = grey[0] if len(grey) == 1 else f"{len(grey)} cases such as {grey[0] if grey else marks[0].case}"
    if len(levels) > 2:
        notes.append(f"Masks have shades around {listed([str(one) for one in levels])} in {cases}; the nearest counts.")
        return Encoding(kind="levels", levels=tuple(levels))
    if not clear and sum(one.thick for one in marks) > 0.1 * _inner(total):
        changed = ", and JPEG has changed their values" if lossy else ""
        raise DataError(
            f"{marks[0].case}: the annotation is a picture with several grey levels{changed}; save it as PNG with one"
            " value for each structure."
        )
    middle = sum(clear) / 2 if clear else white / 2
    notes.append(f"Masks have grey edges or specks in {cases}; numbers above {middle:g} are the structure.")
    return Encoding(kind="threshold", threshold=middle, written=written)


def _inner(total: Mapping[float, int]) -> int:
    white = max(total)
    return sum(n for v, n in total.items() if 0.25 * white < v < 0.75 * white)


def _soft_edges(marks: Sequence[Marks], total: Mapping[float, int]) -> bool:
    """Whether numbers between 0 and white are only the edges (or specks) of a black and white mask."""
    white, inner = max(total), _inner(total)
    between = {v: n for v, n in total.items() if 0 < v < white}
    low, high = (sum(n for v, n in between.items() if (v < white / 2) == lower) for lower in (True, False))
    share = (low + high) / sum(total.values())
    if not low or not high or inner > sum(n for v, n in total.items() if v >= 0.75 * white):
        return False
    return (share < 0.005 or (len(between) >= 10 and share < 0.2)) and sum(one.thick for one in marks) <= 0.1 * inner


def _scattered(marks: Sequence[Marks]) -> bool:
    many = [one for one in marks if one.pieces]
    pieces, values = sum(one.pieces for one in many), sum(len(one.counts) for one in many)
    shades = sum(n for one in many for v, n in one.counts.items() if 0 < v < 255)
    return pieces > _PIECES * values and shades < _SPECK * pieces


def _levels(total: Mapping[float, int]) -> list[int]:
    """The mean of each group of neighbouring numbers, black and white where a group has them; empty if not clear."""
    groups = _groups(total)
    gaps = [right[0] - left[-1] for left, right in pairwise(groups)]
    if not gaps or max(group[-1] - group[0] for group in groups) > min(gaps):
        return []
    voxels = [sum(total[v] for v in group) for group in groups]
    large = [one for one, count in zip(groups, voxels, strict=True) if count > _FAIR * sum(voxels)]
    means = [round(sum(v * total[v] for v in group) / sum(total[v] for v in group)) for group in large]
    return [next((end for end in (0, 255, 65535) if end in one), mean) for one, mean in zip(large, means, strict=True)]


def _groups(values: Collection[float]) -> list[list[float]]:
    groups: list[list[float]] = []
    for value in sorted(values):
        if not groups or value - groups[-1][-1] > _GAP * max(values):
            groups.append([])
        groups[-1].append(value)
    return groups
