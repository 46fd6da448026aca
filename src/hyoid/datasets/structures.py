"""Structures that have a file of their own: their names, and the numbers of voxels in which several of them lie."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ..core.errors import DataError
from ..core.labels import Labels
from ..files.formats import stem_of
from .entry import listed

_RATER = re.compile(r"(^|[-_. ])(rater|reader|observer|annotator|grader|expert)[-_. ]?\w?\d*$", re.IGNORECASE)

LARGEST = 2**53
"""Numbers up to this one are exact as floating point numbers, and serve for voxels of several structures."""


def structure_files(labels: Sequence[Path | tuple[Path, ...] | None], declared: Labels | None) -> dict[str, int]:
    """Number of each structure that has a file of its own, by name; empty where files are objects.

    The name is that of the file (`liver.nii.gz`, or `CASE_liver.nii.gz` in the folder of the case), or that of the
    folder with a file for each case (`liver/CASE.nii.gz`). Names are structures when the declared labels name them;
    without declared labels when two cases share most of them, and they are more than one word with a number.

    Raises:
        DataError: When the declared labels name some of them only, or files are of several raters.
    """
    groups = [label for label in labels if isinstance(label, tuple)]
    for group in groups:
        if len(group) > 1 and all(_RATER.search(stem_of(file)) or _RATER.search(file.parent.name) for file in group):
            names = listed([f"{file.parent.name}/{file.name}" for file in group])
            raise DataError(
                f"{group[0].parent.parent}: {names} are the same structure as several raters drew it; a case has one"
                " annotation. Keep one of them, or write their consensus into a file."
            )
    if not groups or len(groups) < sum(label is not None for label in labels):
        return {}
    values = {name: group[0] for name, group in zip(declared.names, declared.values, strict=True)} if declared else {}
    for style in range(3):
        named = [[_names(file)[style] for file in group] for group in groups]
        if any("" in names or len(set(names)) < len(names) for names in named):
            continue
        cases = Counter(name for names in named for name in names)
        if values.keys() & cases.keys():
            if unknown := sorted(cases.keys() - values.keys()):
                raise DataError(
                    f"Files are called {listed(unknown)}, but the declared structures are {listed(list(values))}."
                    " Declare them too, or take the files out."
                )
            return {name: values[name] for name in sorted(cases)}
        if declared is None and _are_shared(cases) and not _are_counted(named):
            return {name: number for number, name in enumerate(sorted(cases), 1)}
    return {}


def name_of(file: Path, known: Collection[str]) -> str:
    """The name of the structure whose file this is."""
    return next(name for name in _names(file) if name in known)


def _names(file: Path) -> tuple[str, str, str]:
    """What a file's structure may be called: by its name, by that without the case, or by its folder."""
    stem, folders = stem_of(file), (file.parent.name, file.parent.parent.name)
    rests = [stem[len(name) + 1 :] for name in folders if name and re.match(re.escape(name) + "[-_. ].", stem)]
    return stem, next(iter(rests), ""), file.parent.name


def _are_shared(cases: Mapping[str, int]) -> bool:
    shared = [name for name, count in cases.items() if count > 1]
    return 2 * len(shared) > len(cases) and len(_words(shared)) > 1


def _are_counted(named: Sequence[Sequence[str]]) -> bool:
    """Whether the files of every case that has several differ by their numbers alone, such as x_mask and x_mask_1."""
    several = [names for names in named if len(names) > 1]
    return bool(several) and all(len(_words(names)) == 1 for names in several)


def _words(names: Iterable[str]) -> set[str]:
    return {re.sub(r"[-_. ]?\d+$", "", name) for name in names}


def combined(numbers: Iterable[int], base: int) -> int:
    """One number for a voxel in which structures of several numbers lie; that of a single one is its own.

    Numbers below `base` are digits to it, the smallest first.
    """
    return sum(number * base**place for place, number in enumerate(sorted(numbers)))


def parts_of(number: int, base: int) -> set[int]:
    """The numbers that `combined` put together."""
    parts = set()
    while number:
        number, digit = divmod(number, base)
        parts.add(digit)
    return parts


def with_overlaps(
    labels: Labels, files: Mapping[str, int], numbers: Collection[int]
) -> tuple[Labels, dict[int, int], list[str]]:
    """Labels in which structures share the values of the voxels they share.

    Args:
        labels: A structure for each file.
        files: Number of each structure, by name.
        numbers: Those that occur, combined ones among them.

    Returns:
        The labels, the value of each combined number, and the pairs of names that overlap.
    """
    base = max(files.values()) + 1
    together = {number: parts_of(number, base) for number in sorted(numbers) if number >= base}
    values, pairs = {}, []
    groups = dict(zip(labels.names, labels.values, strict=True))
    for number, parts in together.items():
        inside = [name for name in files if files[name] in parts]
        owners = {v: {n for n, group in groups.items() if v in group} for group in groups.values() for v in group}
        value = next((v for v, names in sorted(owners.items()) if names == set(inside)), None)
        if value is None:
            value = 1 + max(labels.known_values[-1], *owners)
            groups |= {name: (*groups[name], value) for name in inside}
        values[number] = value
        pairs.append(" and ".join(inside))
    return labels.model_copy(update={"values": tuple(groups.values())}), values, pairs
